"""What Kafka says becomes an error of ours; what is not known to have failed for good may be tried again."""

from __future__ import annotations

import asyncio
import gc
import re
from typing import Any

import pytest
from aiokafka import errors as kafka

from libs.client.errors import DeedbookError, InvalidRequest, Misconfigured, PermissionDenied, Unavailable
from libs.client.intents import Intent, to_event, to_record
from libs.client.publishing import BY_ERROR, IntentLog, from_kafka
from libs.runtime.settings import KafkaSettings, SettingsError, StartRefused, load


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (kafka.MessageSizeTooLargeError("large"), InvalidRequest),
        (kafka.TopicAuthorizationFailedError("intents"), PermissionDenied),
        (kafka.UnknownTopicOrPartitionError(), Misconfigured),
        (kafka.KafkaTimeoutError(), Unavailable),
        (kafka.NotLeaderForPartitionError(), Unavailable),
        (kafka.KafkaConnectionError(), Unavailable),
        (TimeoutError(), Unavailable),
        (OSError("reset"), Unavailable),
        (StartRefused("Kafka does not answer."), Unavailable),
        (SettingsError("DEED_KAFKA_CA_FILE cannot be read."), Misconfigured),
    ],
    ids=lambda given: type(given).__name__ if isinstance(given, Exception) else "",
)
def test_each_failure_has_its_kind_and_a_remedy(error: Exception, kind: type[DeedbookError]) -> None:
    found = from_kafka(error)
    assert type(found) is kind
    assert found.reason and found.remedy and found.code


def test_a_start_that_fails_says_why() -> None:
    """Clients are started late, so a wrong login shows only then."""
    refused = StartRefused("Kafka does not answer.")
    refused.__cause__ = kafka.SaslAuthenticationFailed("who?")
    assert from_kafka(refused).code == "KAFKA_LOGIN"


def test_no_row_hides_another() -> None:
    kinds = [kind for kind, *_ in BY_ERROR]
    assert all(not issubclass(later, kind) for at, kind in enumerate(kinds) for later in kinds[at + 1 :])


async def test_a_broker_that_never_answers_leaves_nothing_behind() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def why(log: IntentLog) -> str:
        try:
            await log.publish(b"k" * 16, to_record(to_event(Intent(tool="a/b"))), "token")
        except Unavailable as error:
            return error.reason
        return ""

    left: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, told: left.append(told))  # a client left open speaks
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    where = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    log = IntentLog(load(KafkaSettings, kafka_bootstrap=where, kafka_timeout_ms=200))
    assert re.fullmatch("Nothing was sent, .*: TimeoutError", await why(log))
    await log.close()
    server.close()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait((task,), timeout=5)
    gc.collect()
    assert left == []
