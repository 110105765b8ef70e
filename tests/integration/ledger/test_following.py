"""Rule 7 on the real log: positions are ours and survive each change of lanes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin.records_to_delete import RecordsToDelete

from libs.ledger.protocol import FetchFailed, Follow, Records
from libs.ledger.reading import Follower
from libs.runtime import kafka
from tests.integration.ledger.given import Log, a_topic, log_settings, until
from tests.servers import Servers

pytestmark = [pytest.mark.integration, pytest.mark.rule(7)]


class Reading:
    """A follower at work and what it delivered."""

    def __init__(self, bootstrap: str) -> None:
        self.paused: set[tuple[str, int]] = set()
        self.answers: list[Any] = []
        self.follower = Follower(log_settings(bootstrap), "reading", lambda: self.paused)
        self.follower.post = self.answers.append

    def got(self, lane: int) -> list[tuple[int, int]]:
        """(claim, offset) of what came for a lane."""
        return [
            (a.claim, r.offset) for a in self.answers if isinstance(a, Records) and a.lane == lane for r in a.records
        ]

    async def has(self, lane: int, *wanted: tuple[int, int]) -> None:
        """Until these came, and nothing else."""

        async def came() -> bool:
            return len(self.got(lane)) >= len(wanted)

        await until(came)
        assert self.got(lane) == list(wanted)


@pytest.fixture
async def reading(servers: Servers) -> AsyncIterator[Reading]:
    one = Reading(servers.kafka_bootstrap)
    task = asyncio.create_task(one.follower.run())
    yield one
    task.cancel()
    await asyncio.wait((task,))


@pytest.fixture
async def topic(log: Log) -> str:
    """Two partitions with three records each."""
    name = a_topic()
    await log.make(name)
    for lane in (0, 1):
        await log.append(name, lane, *(b"%d/%d" % (lane, n) for n in range(3)))
    return name


async def test_each_change_of_lanes_goes_on_where_each_lane_was(reading: Reading, topic: str, log: Log) -> None:
    reading.follower.follow(Follow({(topic, 0): (1, 0)}))
    await reading.has(0, (1, 0), (1, 1), (1, 2))
    reading.follower.follow(Follow({(topic, 0): (1, 0), (topic, 1): (1, 1)}))
    await reading.has(1, (1, 1), (1, 2))
    await log.append(topic, 0, b"more")
    await reading.has(0, (1, 0), (1, 1), (1, 2), (1, 3))
    reading.follower.follow(Follow({(topic, 0): (1, 0)}))
    await log.append(topic, 0, b"still more")
    await reading.has(0, *((1, n) for n in range(5)))
    assert len(reading.got(1)) == 2


async def test_none_means_the_start_of_the_log_wherever_that_is(reading: Reading, topic: str, log: Log) -> None:
    await log.admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(2)})
    reading.follower.follow(Follow({(topic, 0): (1, None)}))
    await reading.has(0, (1, 2))


async def test_a_new_claim_reads_again_from_its_own_anchor(reading: Reading, topic: str) -> None:
    reading.follower.follow(Follow({(topic, 0): (1, 0)}))
    await reading.has(0, (1, 0), (1, 1), (1, 2))
    reading.follower.follow(Follow({(topic, 0): (2, 1)}))
    await reading.has(0, (1, 0), (1, 1), (1, 2), (2, 1), (2, 2))


async def test_what_was_fetched_for_an_old_claim_is_not_delivered_under_the_new_one(
    servers: Servers, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records of the old claim are on their way while the lane is claimed again at a later anchor."""
    one = Reading(servers.kafka_bootstrap)
    real = kafka.consumer

    def consumer(*arguments: Any, **more: Any) -> Any:
        client = real(*arguments, **more)
        getmany = client.getmany

        async def interrupted(**how: Any) -> Any:
            found = await getmany(**how)
            if found and not one.answers:
                one.follower.follow(Follow({(topic, 0): (2, 2)}))
            return found

        client.getmany = interrupted
        return client

    monkeypatch.setattr(kafka, "consumer", consumer)
    one.follower.follow(Follow({(topic, 0): (1, 0)}))
    task = asyncio.create_task(one.follower.run())
    try:
        await one.has(0, (1, 0), (1, 1), (1, 2), (2, 2))
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def test_a_lane_that_is_let_go_is_not_read_any_more(reading: Reading, topic: str, log: Log) -> None:
    reading.follower.follow(Follow({(topic, 0): (1, 0), (topic, 1): (1, 0)}))
    await reading.has(0, *((1, n) for n in range(3)))
    await reading.has(1, *((1, n) for n in range(3)))
    reading.follower.follow(Follow({(topic, 1): (2, 2)}))
    await reading.has(1, *((1, n) for n in range(3)), (2, 2))
    await log.append(topic, 0, b"not for us")
    await log.append(topic, 1, b"for us")
    await reading.has(1, *((1, n) for n in range(3)), (2, 2), (2, 3))
    assert len(reading.got(0)) == 3


async def test_a_position_that_the_log_no_longer_has_fails_the_lane(reading: Reading, topic: str, log: Log) -> None:
    await log.admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(2)})
    reading.follower.follow(Follow({(topic, 0): (4, 0), (topic, 1): (4, 0)}))

    async def failed() -> bool:
        return any(isinstance(a, FetchFailed) for a in reading.answers)

    await until(failed)
    reading.follower.follow(Follow({(topic, 1): (4, 0)}))  # what the protocol does with a lane that failed
    answer = next(a for a in reading.answers if isinstance(a, FetchFailed))
    assert (answer.lane, answer.claim) == (0, 4) and "offset 0" in answer.text
    await reading.has(1, *((4, n) for n in range(3)))


async def test_a_paused_lane_waits_and_loses_nothing(reading: Reading, topic: str, log: Log) -> None:
    reading.paused.add((topic, 0))
    reading.follower.follow(Follow({(topic, 0): (1, 0), (topic, 1): (1, 0)}))
    await reading.has(1, *((1, n) for n in range(3)))
    assert reading.got(0) == []
    reading.paused.clear()
    await reading.has(0, *((1, n) for n in range(3)))
