"""What operators' commands need besides the gateway: the log, the databases and the processes themselves. Each is what
a variable names, else that of the local system."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pydantic import Field

from libs.client.settings import ClientSettings
from libs.runtime.settings import KafkaSettings, Secret, Settings, SettingsError, StartRefused, is_loopback, load
from libs.stack.errors import NothingRuns, StackError
from libs.stack.folders import Folder, home
from libs.stack.report import Report
from libs.stack.report import load as load_report
from libs.stack.where import databases_of

SERVERS_FILE = "servers.toml"
LEDGER = "ledger.intake"


class OperatorSettings(Settings):
    """How an operator's commands reach a deployment that is not the local system."""

    processes: tuple[str, ...] = Field(
        (), description="Addresses of all processes' HTTP ports, as a JSON list of URLs; empty = the local system's."
    )
    http_token: Secret | None = Field(None, description="Bearer token that their /metrics asks for.")
    servers_file: str = Field("", description="TOML file with the operator's tool servers; empty = the local one.")


def local() -> Report:
    """What the supervisor of the local system last said. Raises StackError when one may not look."""
    return load_report(Folder(home()))


def is_elsewhere() -> bool:
    """Do calls go to another deployment than the local system? Then what is at hand here says nothing about it."""
    given = load(ClientSettings).gateway
    if not given:
        return False
    try:
        ports = {line.ports.get("grpc") for line in local().lines if line.name == "gateway"}
    except StackError:
        return True
    return given.rpartition(":")[2] not in map(str, ports) or not is_loopback(given.rpartition(":")[0].strip("[]"))


def log_settings() -> KafkaSettings:
    """How to reach the log. How many lanes there are, `partitions` says. Raises SettingsError."""
    if os.environ.get("DEED_KAFKA_BOOTSTRAP"):
        return load(KafkaSettings)
    report = local()
    port = next((line.ports["kafka"] for line in report.lines if "kafka" in line.ports), 0)
    if not port:
        raise NothingRuns("No Kafka runs here: `deed up`, or name the brokers in DEED_KAFKA_BOOTSTRAP.")
    return load(KafkaSettings, kafka_bootstrap=f"127.0.0.1:{port}", lanes=report.lanes)


async def partitions(settings: KafkaSettings, topics: Sequence[str]) -> dict[str, int]:
    """How many partitions each topic has, by the brokers' own word; those that are not there are left out. Raises
    StartRefused when no broker answers."""
    async with admin(settings) as client:
        described = await client.describe_topics(list(topics))
    return {topic["topic"]: len(topic["partitions"]) for topic in described if topic["error_code"] == 0}


async def with_lanes(settings: KafkaSettings) -> KafkaSettings:
    """The same with as many lanes as the ledger has: one that is read in part proves nothing. Raises StartRefused."""
    found = (await partitions(settings, [LEDGER])).get(LEDGER)
    if not found:
        raise SettingsError(f"There is no topic {LEDGER} at {settings.kafka_bootstrap}: is it the right broker?")
    return settings.model_copy(update={"lanes": found})


@asynccontextmanager
async def admin(settings: KafkaSettings) -> AsyncIterator[Any]:
    """A client that asks brokers about topics. Raises StartRefused when none answers."""
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.errors import KafkaError

    from libs.runtime import kafka

    client = AIOKafkaAdminClient(**kafka.connection(settings), request_timeout_ms=settings.kafka_timeout_ms)
    try:
        await kafka.within(client.start(), settings.kafka_timeout_ms / 1000)
        yield client
    except (KafkaError, TimeoutError, OSError) as error:
        raise StartRefused(
            f"Kafka at {settings.kafka_bootstrap} does not answer: {type(error).__name__}; `deed doctor`."
        ) from error
    finally:
        await client.close()


def databases() -> list[str]:
    """The DSNs of all databases with rows of services: those of the local system, or the ones that DEED_DATABASE_URL
    names, separated by spaces. Raises SettingsError."""
    if given := os.environ.get("DEED_DATABASE_URL", "").split():
        return given
    try:
        return databases_of(Folder(home()))
    except NothingRuns:
        raise
    except StackError as error:
        raise SettingsError(str(error)) from None


def servers_file() -> str:
    """The file with the operator's tool servers."""
    return load(OperatorSettings).servers_file or str(Folder(home()).root / SERVERS_FILE)
