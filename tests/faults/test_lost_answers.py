"""Faults X4 and X5: a commit or a publish whose answer is lost, or that arrives after its sender has given up."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from tests.faults.proxies import Fate, KafkaProxy, PostgresProxy, Strike
from tests.faults.rig import Rig, until
from tests.faults.shared import one_more

DEEDS = 16
STRIKE_S = 20.0
SOON = {"DEED_DATABASE_TIMEOUT_MS": "1000", "DEED_KAFKA_TIMEOUT_MS": "1500"}
SERVICE = "budget"  # in the separate shape; co-located, the worker hosts it with all others

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Behind:
    """A worker that reaches its servers through proxies only."""

    name: str
    postgres: PostgresProxy
    kafka: KafkaProxy


@asynccontextmanager
async def _behind_proxies(rig: Rig) -> AsyncIterator[Behind]:
    row = one_more(rig, SERVICE)
    async with PostgresProxy(rig.system.ends.postgres_dsn) as postgres, KafkaProxy(rig.stack.kafka.bootstrap) as kafka:
        places = {"DEED_DATABASE_URL": postgres.dsn(row.database), "DEED_KAFKA_BOOTSTRAP": kafka.bootstrap}
        rig.system.spawn(row, **places, **SOON)
        try:
            yield Behind(row.name, postgres, kafka)
            await rig.prove()
            rig.system.signal(row.name, signal.SIGTERM)
            assert await rig.died(row.name) == 0, rig.system.tail(row.name)
        finally:
            rig.system.signal(row.name, signal.SIGKILL)
            rig.system.running.pop(row.name)


async def test_answers_that_are_lost_or_late_change_nothing(rig: Rig) -> None:
    async with rig.watched(), _behind_proxies(rig) as behind:
        await _commit_lost(rig, behind)
        await _commit_late(rig, behind)
        await _publish_lost(rig, behind)
        await _publish_late(rig, behind)


async def _commit_lost(rig: Rig, behind: Behind) -> None:
    strike = await _struck(rig, behind, behind.postgres.strike(Fate.LOST))
    await asyncio.wait_for(strike.done.wait(), STRIKE_S)  # PostgreSQL has committed, and nobody was told
    await _says(rig, behind, "COMMIT_UNKNOWN", 1)
    await rig.prove()


async def _commit_late(rig: Rig, behind: Behind) -> None:
    strike = await _struck(rig, behind, behind.postgres.strike(Fate.LATE))
    before = {row.lane: row.epoch for row in await rig.owned_by(behind.name, SERVICE)}
    await _says(rig, behind, "COMMIT_UNKNOWN", 2)
    await until(lambda: _claimed_again(rig, behind, before), "the lanes were not claimed again")
    strike.go_on.set()
    await asyncio.wait_for(strike.done.wait(), STRIKE_S)
    await until(lambda: b"DB001" in strike.answer, "the late commit was not fenced")  # its claim is over
    await rig.prove()


async def _publish_lost(rig: Rig, behind: Behind) -> None:
    repeats = rig.witness.repeats
    strike = await _struck(rig, behind, behind.kafka.strike(Fate.LOST))
    await asyncio.wait_for(strike.done.wait(), STRIKE_S)
    await _says(rig, behind, "PUBLISH_FAILED", 1)
    await rig.prove()
    assert rig.witness.repeats > repeats, "what was published again must show as an identical repeat"


async def _publish_late(rig: Rig, behind: Behind) -> None:
    repeats = rig.witness.repeats
    strike = await _struck(rig, behind, behind.kafka.strike(Fate.LATE))
    await _says(rig, behind, "PUBLISH_FAILED", 2)
    await rig.prove()
    strike.go_on.set()  # the old batch arrives when its successor has published everything
    await asyncio.wait_for(strike.done.wait(), STRIKE_S)
    await rig.load(DEEDS)
    await rig.prove()
    assert rig.witness.repeats > repeats, "the late batch must show as an identical repeat"


async def _struck(rig: Rig, behind: Behind, strike: Strike) -> Strike:
    """Put on load until the message that is meant has come by."""
    while not strike.hit.is_set():
        await rig.owns(behind.name, service=SERVICE)
        await rig.load(DEEDS)
        try:
            await asyncio.wait_for(strike.hit.wait(), 2)
        except TimeoutError:
            continue
    return strike


async def _says(rig: Rig, behind: Behind, code: str, times: int) -> None:
    """The worker has seen that something is unknown; without that the fault did not happen."""
    await until(lambda: rig.log(behind.name).count(code) >= times, f"{behind.name} does not say {code}", STRIKE_S)


async def _claimed_again(rig: Rig, behind: Behind, before: dict[int, int]) -> bool:
    return any(row.epoch > before.get(row.lane, row.epoch) for row in await rig.lanes(SERVICE))
