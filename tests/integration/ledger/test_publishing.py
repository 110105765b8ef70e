"""Rules 13, 15 and 23 on the real log: how stored bytes get there, and what a failure leaves behind."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from libs.ledger.producing import BATCH_BYTES_MAX, Appender
from libs.ledger.protocol import (
    Acked,
    OutRecord,
    Publish,
    PublishFailed,
    PublishSide,
    SideRecord,
)
from libs.runtime import kafka
from tests.integration.ledger.given import Log, a_topic, chain, log_settings, until
from tests.servers import Servers

pytestmark = [pytest.mark.integration, pytest.mark.rule(13)]


class Spied:
    """A real producer that notes what is on its way."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.stopped = False
        self.on_the_way: Counter[int] = Counter()
        self.most: Counter[int] = Counter()
        self.batches: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def stop(self) -> None:
        self.stopped = True
        await self._client.stop()

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> Any:
        self.batches.append(batch.size())
        self.on_the_way[partition] += 1
        self.most[partition] = max(self.most[partition], self.on_the_way[partition])
        future = await self._client.send_batch(batch, topic, partition=partition)
        future.add_done_callback(lambda _: self.on_the_way.subtract([partition]))
        return future


@pytest.fixture
def producers(monkeypatch: pytest.MonkeyPatch) -> list[Spied]:
    """All producers that are made, in order."""
    made: list[Spied] = []
    real = kafka.producer

    def spied(*arguments: Any, **more: Any) -> Spied:
        made.append(Spied(real(*arguments, **more)))
        return made[-1]

    monkeypatch.setattr(kafka, "producer", spied)
    return made


@pytest.fixture
async def appender(servers: Servers) -> AsyncIterator[Appender]:
    one = Appender(log_settings(servers.kafka_bootstrap), "appender")
    yield one
    await one.close()


def to(topic: str, records: list[OutRecord], lane: int = 0, own: bool = False) -> Publish:
    return Publish(lane, 7, "alpha", topic, records, own)


async def test_stored_bytes_are_appended_in_order_and_the_ack_says_where(appender: Appender, log: Log) -> None:
    topic = a_topic()
    await log.make(topic)
    records = chain(20, key=b"k" * 16)
    first = await appender.publish(to(topic, records[:8]))
    second = await appender.publish(to(topic, records[8:]))
    assert first == Acked(0, 7, "alpha", 0, 7, 8, records[7].hash)
    assert second == Acked(0, 7, "alpha", 8, 19, 20, records[19].hash)
    found = await log.read(topic, 0)
    assert [(r.key, r.value) for r in found] == [(r.key, r.value) for r in records]


@pytest.mark.rule(15)
async def test_one_batch_is_on_its_way_per_partition_and_none_is_above_the_limit(
    appender: Appender, producers: list[Spied], log: Log
) -> None:
    topic = a_topic()
    await log.make(topic)
    batches = [chain(7, size=300_000), chain(5, size=300_000)]
    answers = await asyncio.gather(*(appender.publish(to(topic, batches[lane], lane)) for lane in (0, 1)))
    for lane, answer in enumerate(answers):
        assert isinstance(answer, Acked), answer
        assert (answer.first_offset, answer.offset, answer.seq) == (0, len(batches[lane]) - 1, len(batches[lane]))
        assert [r.value for r in await log.read(topic, lane)] == [r.value for r in batches[lane]]
    (one,) = producers
    assert one.most == {0: 1, 1: 1}, "a batch is acknowledged before the next one leaves"
    assert len(one.batches) == 4 + 3 and max(one.batches) <= BATCH_BYTES_MAX + 4_096


@pytest.mark.rule(15)
async def test_what_the_topic_does_not_take_is_a_failure_that_says_so(appender: Appender, log: Log) -> None:
    topic = a_topic()
    await log.make(topic, max_message_bytes="20000")
    answer = await appender.publish(to(topic, [OutRecord(3, b"k", bytes(30_000), b"")]))
    assert isinstance(answer, PublishFailed) and "MessageSizeTooLarge" in answer.text
    assert not await log.read(topic, 0)


@pytest.mark.rule(23)
async def test_a_broker_that_does_not_answer_is_a_failure_within_the_limit(silent: str) -> None:
    one = Appender(log_settings(silent, 400), "appender")
    async with asyncio.timeout(8):
        answer = await one.publish(to(a_topic(), chain(1)))
        assert isinstance(answer, PublishFailed)
        sides = await one.publish_sides(PublishSide(0, 7, "alpha", [SideRecord(0, "dead.alpha", 0, b"", b"v")]))
        assert (list(sides.ids), bool(sides.error)) == ([], True)
        await one.close()


async def test_an_ack_that_does_not_come_is_a_failure_within_the_limit(
    servers: Servers, log: Log, monkeypatch: pytest.MonkeyPatch, producers: list[Spied]
) -> None:
    topic = a_topic()
    await log.make(topic)
    one = Appender(log_settings(servers.kafka_bootstrap, 1_500), "appender")
    assert isinstance(await one.publish(to(topic, chain(1))), Acked)

    async def lost(*arguments: Any, **more: Any) -> Any:
        return asyncio.get_running_loop().create_future()

    monkeypatch.setattr(producers[0], "send_batch", lost)
    async with asyncio.timeout(8):
        answer = await one.publish(to(topic, chain(1)))
    assert isinstance(answer, PublishFailed)
    await one.close()


async def test_a_dropped_producer_is_stopped_and_the_next_publish_has_a_new_one(
    appender: Appender, producers: list[Spied], log: Log
) -> None:
    topic = a_topic()
    await log.make(topic)
    assert isinstance(await appender.publish(to(topic, chain(1))), Acked)
    appender.drop()
    assert isinstance(await appender.publish(to(topic, chain(1), 1)), Acked)
    assert len(producers) == 2

    async def stopped() -> bool:
        return producers[0].stopped

    await until(stopped)
    assert not producers[1].stopped


async def test_a_producer_of_a_lane_alone_fails_alone(
    appender: Appender, producers: list[Spied], monkeypatch: pytest.MonkeyPatch, log: Log
) -> None:
    topic = a_topic()
    await log.make(topic)
    assert isinstance(await appender.publish(to(topic, chain(1))), Acked)
    assert isinstance(await appender.publish(to(topic, chain(1), 1, own=True)), Acked)
    assert len(producers) == 2

    async def broken(*arguments: Any, **more: Any) -> Any:
        raise OSError("gone")

    monkeypatch.setattr(producers[1], "send_batch", broken)
    assert isinstance(await appender.publish(to(topic, chain(1), 1, own=True)), PublishFailed)
    assert isinstance(await appender.publish(to(topic, chain(1), 1, own=True)), Acked), "with a new one"
    assert isinstance(await appender.publish(to(topic, chain(1))), Acked)
    assert len(producers) == 3

    async def stopped() -> bool:
        return [one.stopped for one in producers] == [False, True, False]

    await until(stopped)


@pytest.mark.rule(23)
async def test_forwards_are_appended_where_they_belong_and_named_once_they_are_there(
    appender: Appender, log: Log
) -> None:
    topic = a_topic("intake")
    await log.make(topic)
    sides = [SideRecord(n + 4, topic, n % 2, b"" if n == 2 else b"key", bytes([n])) for n in range(3)]
    answer = await appender.publish_sides(PublishSide(0, 7, "alpha", sides))
    assert (list(answer.ids), answer.error, answer.claim) == ([4, 5, 6], "", 7)
    assert [(r.key, r.value) for r in await log.read(topic, 0)] == [(b"key", b"\0"), (None, b"\2")]
    assert [(r.key, r.value) for r in await log.read(topic, 1)] == [(b"key", b"\1")]
