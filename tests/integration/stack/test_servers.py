"""The local servers keep what they acknowledged through the deaths that happen to them."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from libs.stack.databases import create_database, with_database
from libs.stack.errors import Busy, StackError, StartFailed, TopicsDiffer
from libs.stack.folders import home
from libs.stack.ports import LAST, is_free
from libs.stack.scratch import scratch
from libs.stack.stack import Stack
from libs.stack.topics import create_topics
from tests.servers import Servers

pytestmark = pytest.mark.integration
PLACE = TopicPartition("ledger.intake", 3)


async def publish(bootstrap: str, value: bytes) -> int:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        sent = await producer.send_and_wait(PLACE.topic, value, partition=PLACE.partition)
        return int(sent.offset)
    finally:
        await producer.stop()


async def read(bootstrap: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="none", enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([PLACE])
        consumer.seek(PLACE, 0)
        records = await asyncio.wait_for(consumer.getmany(PLACE, timeout_ms=20_000, max_records=count), 30)
        return [record.value for record in records[PLACE]]
    finally:
        await consumer.stop()


async def test_the_servers_answer_and_are_set_for_a_ledger(servers: Servers, database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        assert (await connection.fetchval("show server_version")).startswith("18.")
        assert await connection.fetchval("show fsync") == "on"
        assert await connection.fetchval("show synchronous_commit") == "on"
        assert await connection.fetchval("show password_encryption") == "scram-sha-256"
    finally:
        await connection.close()


async def test_postgres_refuses_a_wrong_password(servers: Servers) -> None:
    wrong = servers.postgres_dsn.replace(servers.postgres_dsn.split(":")[2].split("@")[0], "wrong")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(wrong)


async def test_topics_are_made_once_and_lanes_cannot_change(servers: Servers, topic_prefix: str) -> None:
    assert await create_topics(servers.kafka_bootstrap, prefix=topic_prefix) == []
    with pytest.raises(TopicsDiffer, match="has 8 partitions and 4 are asked for"):
        await create_topics(servers.kafka_bootstrap, lanes=4, prefix=topic_prefix)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"DEED_KAFKA_REPLICATION": "3"}, "with 3 copies .DEED_KAFKA_REPLICATION.: InvalidReplicationFactor"),
        ({"DEED_KAFKA_REPLICATION": "0"}, "DEED_KAFKA_REPLICATION"),
        ({"DEED_KAFKA_SECURITY": "SASL_SSL"}, "DEED_KAFKA_USERNAME and DEED_KAFKA_PASSWORD must be set"),
        ({"DEED_KAFKA_SECURITY": "SSL", "DEED_KAFKA_CA_FILE": "/dev/null/ca.pem"}, "DEED_KAFKA_CA_FILE"),
    ],
)
async def test_topics_are_made_as_the_settings_of_every_service_say(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], said: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StackError, match=said):
        await create_topics(servers.kafka_bootstrap, prefix="asked-")


async def test_a_broker_that_speaks_otherwise_is_named_with_the_setting(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"SECURITY": "SASL_PLAINTEXT", "USERNAME": "deed", "PASSWORD": "f3a9c0d17b"}.items():
        monkeypatch.setenv(f"DEED_KAFKA_{name}", value)
    with pytest.raises(StartFailed, match="over SASL_PLAINTEXT, as DEED_KAFKA_SECURITY says"):
        await create_topics(servers.kafka_bootstrap, prefix="asked-", patience_s=0)


async def test_topics_with_fewer_copies_than_are_asked_for_are_named(
    servers: Servers, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEED_KAFKA_REPLICATION", "2")
    with pytest.raises(TopicsDiffer, match="has 1 copies and DEED_KAFKA_REPLICATION asks for 2"):
        await create_topics(servers.kafka_bootstrap, prefix=topic_prefix)


async def test_what_was_acknowledged_survives_kill_9_of_both_servers(own_stack: Stack) -> None:
    await publish(own_stack.kafka.bootstrap, b"first")
    connection = await asyncpg.connect(own_stack.postgres.dsn)
    await connection.execute("create table deed (id int primary key)")
    await connection.execute("insert into deed values (1)")
    ports = own_stack.kafka.port, own_stack.postgres.port
    for server in (own_stack.kafka, own_stack.postgres):
        await asyncio.to_thread(server.kill)
    for server in (own_stack.kafka, own_stack.postgres):
        await asyncio.to_thread(server.start)
    connection.terminate()
    assert (own_stack.kafka.port, own_stack.postgres.port) == ports
    assert max(ports) <= LAST
    assert await publish(own_stack.kafka.bootstrap, b"second") == 1
    assert await read(own_stack.kafka.bootstrap, 2) == [b"first", b"second"]
    again = await asyncpg.connect(own_stack.postgres.dsn)
    assert await again.fetchval("select count(*) from deed") == 1
    await again.close()


async def test_a_stack_cleans_up_what_a_killed_owner_left_running() -> None:
    with scratch(home() / "tests") as folder:
        owner = await _owner(folder)
        assert owner.stdout is not None
        ends = json.loads(await asyncio.wait_for(owner.stdout.readline(), 60))
        await publish(ends["kafka_bootstrap"], b"kept")
        with pytest.raises(Busy):
            await asyncio.to_thread(Stack(folder).start)
        owner.kill()
        await owner.wait()
        assert not is_free(int(ends["kafka_bootstrap"].rpartition(":")[2])), "the orphan still runs"
        stack = Stack(folder)
        found = await asyncio.to_thread(stack.start)
        try:
            assert found.kafka_bootstrap == ends["kafka_bootstrap"]
            assert await read(found.kafka_bootstrap, 1) == [b"kept"]
        finally:
            await asyncio.to_thread(stack.stop)
        assert is_free(stack.kafka.port)
        assert is_free(stack.postgres.port)


async def test_a_broker_whose_port_was_taken_moves_to_another() -> None:
    with scratch(home() / "tests") as folder:
        stack = Stack(folder)
        first = await asyncio.to_thread(stack.start)
        await create_topics(first.kafka_bootstrap)
        await publish(first.kafka_bootstrap, b"kept")
        await asyncio.to_thread(stack.stop)
        thief = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", stack.kafka.port)
        controller = json.loads((folder / "ports.json").read_text())["kafka-controller"]
        second_thief = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", controller)
        stack = Stack(folder)
        try:
            found = await asyncio.to_thread(stack.start)
            assert found.kafka_bootstrap != first.kafka_bootstrap
            assert await create_topics(found.kafka_bootstrap) == [], "every topic is there under its own name"
            assert await publish(found.kafka_bootstrap, b"more") == 1
        finally:
            thief.close()
            second_thief.close()
            await asyncio.to_thread(stack.stop)


async def test_a_database_is_made_once(servers: Servers) -> None:
    first = await create_database(servers.postgres_dsn, "deedbook_twice")
    assert first == await create_database(servers.postgres_dsn, "deedbook_twice")
    assert first == with_database(servers.postgres_dsn, "deedbook_twice")


async def _owner(folder: Path) -> asyncio.subprocess.Process:
    """A process that owns a stack, like `python -m libs.stack FOLDER` typed by somebody."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "libs.stack", str(folder), stdout=asyncio.subprocess.PIPE
    )
