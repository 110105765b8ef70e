"""Kafka clients with settings that suit a ledger: the library's own defaults lose records and skip to the end. Every
start has a limit of time, because one on a missing topic or with a wrong login would hang for ever."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.helpers import create_ssl_context

from libs.runtime import batches
from libs.runtime.settings import KafkaSettings, SettingsError, StartRefused

T = TypeVar("T")
batches.guard()

REQUEST_BYTES_MAX = 900_000  # below the topics' limit of 1 MiB, batch overhead included


def producer(settings: KafkaSettings, client_id: str, **more: Any) -> Any:
    """An idempotent producer that waits for all replicas. Make a new one after any error: it may be dead for good."""
    given: dict[str, Any] = {
        "acks": "all",
        "enable_idempotence": True,
        "max_request_size": REQUEST_BYTES_MAX,
        "max_batch_size": REQUEST_BYTES_MAX,
        "request_timeout_ms": settings.kafka_timeout_ms,
    }
    return AIOKafkaProducer(client_id=client_id, **(connection(settings) | given | more))


def consumer(settings: KafkaSettings, client_id: str, **more: Any) -> Any:
    """A consumer for partitions that are assigned by hand: it commits nothing and never jumps by itself."""
    given: dict[str, Any] = {
        "group_id": None,
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "request_timeout_ms": settings.kafka_timeout_ms,
    }
    return AIOKafkaConsumer(client_id=client_id, **(connection(settings) | given | more))


async def start(client: Any, settings: KafkaSettings) -> None:
    """Start a client within the limit. Raises StartRefused with a sentence for the operator."""
    try:
        await within(client.start(), settings.kafka_timeout_ms / 1000)
    except (TimeoutError, KafkaError, OSError) as error:
        await stop(client)
        raise StartRefused(
            f"Kafka at DEED_KAFKA_BOOTSTRAP ({settings.kafka_bootstrap}) does not answer: {type(error).__name__}."
        ) from error


async def stop(client: Any, seconds: float = 5.0) -> None:
    """Stop a client; one that does not stop in time is left behind."""
    with suppress(TimeoutError, KafkaError, OSError):
        await within(client.stop(), seconds)


async def partitions(client: Any, topic: str, settings: KafkaSettings) -> int:
    """How many partitions a topic has; 0 for one that is not there. For a producer that was started."""
    try:
        return len(await within(client.partitions_for(topic), settings.kafka_timeout_ms / 1000))
    except (TimeoutError, KafkaError):
        return 0


async def within(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """Wait so long and no longer: the library sometimes swallows a cancellation, which would make
    `asyncio.timeout` wait for ever."""
    task = asyncio.create_task(work)
    try:
        done, _ = await asyncio.wait((task,), timeout=seconds)
    finally:
        task.cancel()
    if not done or task.cancelled():  # it also cancels itself at times
        raise TimeoutError
    return task.result()


def connection(settings: KafkaSettings) -> dict[str, Any]:
    """How to reach the brokers, as both kinds of client take it."""
    given: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap,
        "security_protocol": settings.kafka_security,
    }
    if settings.kafka_security.endswith("SSL"):
        given["ssl_context"] = _tls(settings)
    if settings.kafka_security.startswith("SASL"):
        assert settings.kafka_password is not None  # checked by KafkaSettings
        given |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": settings.kafka_password.get_secret_value(),
        }
    return given


def _tls(settings: KafkaSettings) -> ssl.SSLContext:
    try:
        context: ssl.SSLContext = create_ssl_context(
            cafile=settings.kafka_ca_file or None,
            certfile=settings.kafka_cert_file or None,
            keyfile=settings.kafka_key_file or None,
        )
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"DEED_KAFKA_CA_FILE, DEED_KAFKA_CERT_FILE or DEED_KAFKA_KEY_FILE cannot be read: {error}."
        ) from None
    return context
