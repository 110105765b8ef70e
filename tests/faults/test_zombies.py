"""Faults X2 and X3: a worker that stands still for longer than its lease, at the worst places, and then goes on as if
it were still the owner. In the meantime somebody else is: two owners at once."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from libs.contracts.events import ExecutionDispatched, LateAnswerRecorded
from tests.faults.rig import Rig
from tests.faults.shared import one_more

DEEDS = 24

pytestmark = pytest.mark.integration


@asynccontextmanager
async def _zombie(rig: Rig, service: str, **env: str) -> AsyncIterator[str]:
    """One more process, which stops itself at a place. While the body runs others own its lanes; then it goes on, works
    as it likes, and leaves."""
    row = one_more(rig, service)
    rig.system.spawn(row, **env)
    name = row.name
    await rig.owns(name, service=service)
    await rig.load(DEEDS)
    if not env:
        await rig.in_flight(name)
        rig.system.signal(name, signal.SIGSTOP)
    await rig.stopped(name)
    mine = await rig.owned_by(name, service)
    assert mine, f"{name} stands still and owns nothing"
    await rig.taken_over(mine, service)
    yield name
    rig.system.signal(name, signal.SIGCONT)
    await rig.load(DEEDS)
    await rig.prove()
    rig.system.signal(name, signal.SIGTERM)
    assert await rig.died(name) == 0, rig.system.tail(name)
    del rig.system.running[name]


async def test_a_stop_beyond_the_lease_changes_nothing(rig: Rig) -> None:
    await rig.prove()
    before = rig.witness.in_doubt()
    async with rig.watched(), _zombie(rig, "execution"):
        pass
    await rig.prove()
    # The answers were there when it woke: they came late, through `commands`, and ended every doubt.
    assert rig.witness.in_doubt() == before
    assert rig.witness.bodies(LateAnswerRecorded, "ledger.execution")


async def test_a_zombie_before_the_first_byte_sends_nothing(rig: Rig) -> None:
    before = rig.witness.in_doubt()
    async with rig.watched(), _zombie(rig, "execution", DEED_FAILPOINT="before-effect:1:stop"):
        pass
    await rig.prove()
    # `started` was written and no byte left: nobody can know that but the zombie, so people are asked.
    called = {call.key for call in rig.calls()}
    doubted = rig.witness.in_doubt() - before
    dispatched = rig.witness.bodies(ExecutionDispatched, "ledger.execution")
    assert any(key in dispatched and key not in called for key in doubted)


async def test_a_zombie_before_its_commit_commits_nothing(rig: Rig) -> None:
    service = "budget"
    async with rig.watched(), _zombie(rig, service, DEED_FAILPOINT="before-commit:2:stop"):
        pass
    await rig.prove()


async def test_a_zombie_before_its_publish_forks_nothing(rig: Rig) -> None:
    service = "budget"
    async with rig.watched(), _zombie(rig, service, DEED_FAILPOINT="before-publish:2:stop"):
        pass
    await rig.prove()
    assert rig.witness.repeats, "the late publish of the zombie must show as a repeat"
