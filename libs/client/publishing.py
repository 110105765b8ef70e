"""Intents on Kafka: the record as intake reads it, in its home lane, acknowledged by all replicas."""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import errors

from libs.client.errors import DeedbookError, InvalidRequest, Misconfigured, PermissionDenied, Unavailable
from libs.ledger.partition import lane_of
from libs.runtime import kafka
from libs.runtime.settings import KafkaSettings, SettingsError, StartRefused

TOPIC = "intents"
_RIGHTS = "Ask the operator of Kafka for the right to write to the topic `intents`, or submit by gRPC."
_SMALLER = "Send less, and large data by reference."
_LOGIN = "Correct DEED_KAFKA_USERNAME, DEED_KAFKA_PASSWORD and DEED_KAFKA_SASL_MECHANISM."
_BROKER = "Let DEED_KAFKA_BOOTSTRAP name the broker that Deedbook uses."
# The first that fits counts; whatever else Kafka says is Unavailable: it is not known whether the record is on the log.
BY_ERROR: tuple[tuple[type[Exception], type[DeedbookError], str, str], ...] = (
    (errors.MessageSizeTooLargeError, InvalidRequest, "OVERSIZE", _SMALLER),
    (errors.TopicAuthorizationFailedError, PermissionDenied, "KAFKA_NOT_WRITABLE", _RIGHTS),
    (errors.ClusterAuthorizationFailedError, PermissionDenied, "KAFKA_NOT_WRITABLE", _RIGHTS),
    (errors.SaslAuthenticationFailed, Misconfigured, "KAFKA_LOGIN", _LOGIN),
    (errors.UnknownTopicOrPartitionError, Misconfigured, "NO_TOPIC", _BROKER),
)


class IntentLog:
    """One producer for all publications; a new one after any error, since one that failed once may be dead for good.
    Publishing the same intent again is harmless, so an unknown end is answered by `Unavailable`: ask again."""

    def __init__(self, settings: KafkaSettings, client_id: str = "deedbook") -> None:
        self._settings = settings
        self._client_id = client_id
        self._client: Any = None
        self._lanes = 0
        self._opening = asyncio.Lock()

    async def publish(self, key: bytes, value: bytes, token: str) -> tuple[int, int]:
        """(partition, offset) of the intent with this id and value, once it is durable. Raises a DeedbookError."""
        client: Any = None
        headers = [("authorization", f"Bearer {token}".encode())]
        try:
            async with asyncio.timeout(self._settings.kafka_timeout_ms / 1000):
                client = await self._producer()
                lane = lane_of(key, self._lanes)
                sent = await client.send(TOPIC, value, key=key, partition=lane, headers=headers)
                acked = await sent
        except (TimeoutError, errors.KafkaError, OSError, StartRefused) as error:
            await self._drop(client)
            raise from_kafka(error, client is not None) from None
        return lane, acked.offset

    async def close(self) -> None:
        """What was sent is answered first, as far as time allows."""
        await self._drop(self._client)

    async def _producer(self) -> Any:
        async with self._opening:
            if self._client is None:
                client = kafka.producer(self._settings, self._client_id, linger_ms=0)
                try:
                    await kafka.start(client, self._settings)
                    self._lanes = await kafka.partitions(client, TOPIC, self._settings)
                except asyncio.CancelledError:  # time is over; else it would go on in the background for ever
                    await kafka.stop(client)
                    raise
                if not self._lanes:
                    await kafka.stop(client)
                    where = self._settings.kafka_bootstrap
                    raise Misconfigured(f"There is no topic {TOPIC} at {where}.", "NO_TOPIC", _BROKER)
                self._client = client
            return self._client

    async def _drop(self, client: Any) -> None:
        if client is not None and client is self._client:
            self._client = None
            await kafka.stop(client)


def from_kafka(error: Exception, sent: bool = True) -> DeedbookError:
    """The error that a failed publication stands for. `sent`: it had come so far that the record may be there."""
    if isinstance(error, SettingsError):
        return Misconfigured(str(error))
    found = error.__cause__ if isinstance(error, StartRefused) and error.__cause__ else error
    for sort, kind, code, remedy in BY_ERROR:
        if isinstance(found, sort):
            return kind(str(found) or type(found).__name__, code, remedy)
    said = str(error) or type(error).__name__
    if isinstance(error, StartRefused) or not sent:
        return Unavailable(f"Nothing was sent, Kafka does not answer: {said}")
    return Unavailable(f"It is not known whether the intent is on the log: {said}")
