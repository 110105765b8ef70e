"""Records of strangers on a real broker: what it lets through that a reader must be ready for, and dead letters that
no topic takes as they are."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import CorruptRecordException, MessageSizeTooLargeError

from libs.contracts.events import DeadLetter
from libs.ledger import producing
from libs.ledger.chain import consumed, event_hash
from libs.ledger.codec import CATALOGUE
from libs.ledger.producing import Appender
from libs.ledger.protocol import Check, FetchFailed, Follow, LaneRow, Published, PublishSide, Records, SideRecord
from libs.ledger.reading import Checker, Follower
from libs.ledger.records import dead_letter, shorter
from libs.ledger.service import IN_TRANSACTION, Record
from libs.ledger.verify import read_partition
from libs.runtime import kafka
from libs.stack.topics import create_topics
from tests.hostile import GZIP, batch, bomb, entry, send
from tests.integration.ledger.given import LOG_LANES, Log, a_topic, hosted, log_settings, service, until
from tests.servers import Servers

pytestmark = [pytest.mark.integration, pytest.mark.requirement("T5"), pytest.mark.requirement("T11")]


@pytest.fixture
async def stranger(servers: Servers) -> AsyncIterator[Any]:
    """A producer that keeps no rules."""
    client = AIOKafkaProducer(
        bootstrap_servers=servers.kafka_bootstrap, enable_idempotence=False, acks="all", max_request_size=2 << 20
    )
    await client.start()
    yield client
    await client.stop()


@pytest.fixture
async def follower(servers: Servers) -> AsyncIterator[tuple[Follower, list[Any]]]:
    """A follower at work, and what it says."""
    said: list[Any] = []
    one = Follower(log_settings(servers.kafka_bootstrap), "reading", set)
    one.post = said.append
    task = asyncio.create_task(one.run())
    yield one, said
    task.cancel()
    await asyncio.wait((task,))


def got(said: list[Any], lane: int = 0) -> list[Record]:
    return [record for one in said if isinstance(one, Records) and one.lane == lane for record in one.records]


async def come(said: list[Any], number: int, lane: int = 0) -> list[Record]:
    async def there() -> bool:
        return len(got(said, lane)) >= number

    await until(there, 30)
    return got(said, lane)


@pytest.mark.rule(7)
async def test_the_lane_goes_on_behind_whatever_the_broker_lets_through(
    follower: tuple[Follower, list[Any]], stranger: Any, log: Log
) -> None:
    topic = a_topic("intents")
    await log.make(topic, message_timestamp_type="LogAppendTime")
    for raw in (
        batch(entry(0, b"a name", [(b"\xff\xfe", b"x"), (b"authorization", None)])),
        batch(gzip.compress(entry(0, b"packed", [(b"\xff", None)])), 1, GZIP),
        batch(entry(0, b"first") + entry(2**31 - 1, b"far away"), 2),
        batch(entry(0, None) + entry(-1, b"behind"), 2),
        bomb(600),
        batch(entry(0, b"last")),
    ):
        assert len(raw) < 1 << 20
        await send(stranger, topic, 0, raw)
    one, said = follower
    one.follow(Follow({(topic, 0): (1, None)}))
    found = await come(said, 8)
    assert [record.offset for record in found] == list(range(8))
    values = [b"a name", b"packed", b"first", b"far away", b"", b"behind", found[6].value, b"last"]
    assert [record.value for record in found] == values
    assert found[0].headers == (("\ufffd\ufffd", b"x"), ("authorization", b""))
    assert [bool(record.flaw) for record in found] == [n == 6 for n in range(8)]
    assert "more than 8388608 bytes" in found[6].flaw
    assert len(found[6].value) == 32


async def test_a_mark_of_a_transaction_at_the_end_keeps_nobody_who_reads_the_ledger_back(
    servers: Servers, log: Log
) -> None:
    topic = a_topic("ledger")
    await log.make(topic)
    client = AIOKafkaProducer(bootstrap_servers=servers.kafka_bootstrap, transactional_id=topic)
    await client.start()
    try:
        async with client.transaction():
            await client.send_and_wait(topic, b"one", partition=0)
    finally:
        await client.stop()
    async with asyncio.timeout(20):
        found = [value async for _, value in read_partition(log_settings(servers.kafka_bootstrap), topic, 0)]
    assert found == [b"one"]


@pytest.mark.parametrize("ends", ["committed", "aborted", "open"])
async def test_who_writes_in_a_transaction_holds_nobody_up_and_is_refused_however_it_ends(
    follower: tuple[Follower, list[Any]], servers: Servers, stranger: Any, log: Log, ends: str
) -> None:
    topic = a_topic("intents")
    await log.make(topic)
    client = AIOKafkaProducer(bootstrap_servers=servers.kafka_bootstrap, transactional_id=topic)
    await client.start()
    try:
        await client.begin_transaction()
        await client.send_and_wait(topic, b"in doubt", partition=0)
        if ends != "open":
            await (client.commit_transaction() if ends == "committed" else client.abort_transaction())
        await send(stranger, topic, 0, batch(entry(0, b"another")))
        one, said = follower
        one.follow(Follow({(topic, 0): (1, None)}))
        found = await come(said, 2)
        assert [(r.value, r.flaw) for r in found] == [(b"in doubt", IN_TRANSACTION), (b"another", "")]
    finally:
        if ends == "open":
            await client.abort_transaction()
        await client.stop()


@pytest.mark.rule(9)
async def test_what_cannot_be_read_is_the_same_anchor_at_each_claim(servers: Servers, stranger: Any, log: Log) -> None:
    topic, out = a_topic("intents"), a_topic()
    await log.make(topic, out)
    await send(stranger, topic, 0, batch(gzip.compress(entry(0, b"a") + entry(1, bytes(9 << 20))), 2, GZIP))
    (flawed,) = [r for r in await log.read(topic, 0, 1) if r.offset == 1]

    cursor = consumed(flawed.offset, flawed.value)
    row = LaneRow("x", 2, 0, b"", Published(), {topic: cursor}, b"", 0, 0, 1, "")

    async def kept(*_: Any) -> dict[int, Any]:
        return {}

    services = hosted(service("x", writes=out, commands=(topic,)))
    checker = Checker(log_settings(servers.kafka_bootstrap), "checking", services, kept)
    try:
        answer = await checker.check(Check(0, 1, {"x": row}))
    finally:
        await checker.close()
    assert answer.error == ""
    assert answer.anchors[f"x/{topic}"] == (event_hash(flawed.value), 0)


@pytest.mark.parametrize("error", ["damaged", "a bug"])
async def test_trouble_with_one_partition_ends_nothing_and_fails_no_other_lane(
    servers: Servers, log: Log, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    topic, real, often = a_topic("intents"), kafka.consumer, [0]
    await log.make(topic)
    await log.append(topic, 0, b"0")
    await log.append(topic, 1, b"1")

    def consumer(*arguments: Any, **more: Any) -> Any:
        client = real(*arguments, **more)
        getmany = client.getmany

        async def broken(**how: Any) -> Any:
            found = await getmany(**how)
            if TopicPartition(topic, 0) not in found or often[0]:
                return found
            often[0] += 1
            if error == "damaged":
                raise CorruptRecordException(f"Invalid CRC - {TopicPartition(topic, 0)}")
            raise ValueError("what nobody foresaw")

        client.getmany = broken
        return client

    monkeypatch.setattr(kafka, "consumer", consumer)
    said: list[Any] = []
    one = Follower(log_settings(servers.kafka_bootstrap), "reading", set)
    one.post = said.append
    one.follow(Follow({(topic, 0): (3, 0), (topic, 1): (3, 0)}))
    task = asyncio.create_task(one.run())
    await come(said, 1, 1)
    await come(said, 1, 0)
    assert not task.done()
    task.cancel()
    await asyncio.wait((task,))
    failed = [(a.lane, a.claim, "comes damaged" in a.text) for a in said if isinstance(a, FetchFailed)]
    assert failed == ([(0, 3, True)] if error == "damaged" else [])


@pytest.mark.rule(13)
async def test_a_letter_of_an_older_release_that_no_producer_takes_is_cut(servers: Servers, log: Log) -> None:
    await create_topics(servers.kafka_bootstrap, lanes=LOG_LANES)
    old = DeadLetter("intake", "OVERSIZE", "too large", "intents", 3, 99, 5, b"j" * 1_000_000, {}, None)
    before = len(await log.read("dead.intake", 2))
    one = Appender(log_settings(servers.kafka_bootstrap), "appender")
    sides = [
        SideRecord(7, "dead.intake", 2, b"", CATALOGUE.encode_message(old)),
        SideRecord(8, "dead.intake", 2, b"", b"v"),
    ]
    answer = await one.publish_sides(PublishSide(2, 1, "intake", sides))
    await one.close()
    assert (list(answer.ids), answer.error) == ([7, 8], "")
    found = await log.read("dead.intake", 2, before)
    assert found[0].value == b"v"
    letter = CATALOGUE.decode_message(found[1].value, "dead.intake")
    assert (letter.offset, letter.partition, letter.code) == (99, 3, "OVERSIZE")
    assert "65536 of 1000000 bytes" in letter.reason


@pytest.mark.rule(13)
async def test_a_letter_that_its_topic_does_not_take_is_cut_and_disturbs_nobody(
    servers: Servers, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, other = a_topic("dead"), a_topic("commands")
    await log.make(topic, max_message_bytes="100000")
    await log.make(other)
    monkeypatch.setattr(producing, "shorter", lambda _, value: shorter("dead.intake", value))
    one = Appender(log_settings(servers.kafka_bootstrap), "appender")
    assert await one.send(other, 0, b"k", b"late") == ""
    late = one._own[producing.LATE]
    letter = dead_letter("intake", "OVERSIZE", "too large", Record("intents", 3, 99, 5, None, b"j" * 300_000))
    sides = [SideRecord(7, topic, 0, b"", letter), SideRecord(8, topic, 0, b"", bytes(200_000))]
    answer = await one.publish_sides(PublishSide(2, 1, "intake", sides))
    assert list(answer.ids) == [7]
    assert MessageSizeTooLargeError.__name__ in answer.error
    assert await one.send(other, 0, b"k", b"late") == ""
    assert one._own[producing.LATE] is late, "what cannot be sent of one kind takes no producer from the other"
    await one.close()
    (found,) = await log.read(topic, 0)
    assert len(found.value) < 70_000
