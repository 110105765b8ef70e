"""Faults X2 and X3: a worker that stands still for longer than its lease, at the worst places, and then goes on as if
it were still the owner. In the meantime somebody else is: two owners at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping

import pytest

from libs.contracts.events import ExecutionDispatched, LateAnswerRecorded
from tests.faults.rig import Rig, until
from tests.faults.shared import one_more

DEEDS = 24
IN_MID_CALL = ""
BEFORE_FIRST_BYTE = "before-effect:1:stop"
BEFORE_COMMIT = "before-commit:2:stop"
BEFORE_PUBLISH = "before-publish:2:stop"

pytestmark = pytest.mark.integration
colocated = pytest.mark.parametrize("shared_rig", ["colocated"], indirect=True)
separate = pytest.mark.parametrize("shared_rig", ["separate"], indirect=True)


@pytest.mark.requirement("F5")
@pytest.mark.requirement("F6")
async def test_a_stop_in_mid_call_ends_in_the_answer_that_came_late(rig: Rig) -> None:
    await rig.prove()
    before = rig.witness.in_doubt()
    await _zombies(rig, {"execution": IN_MID_CALL})
    # The answers were there when it woke: they come late, through `commands`, and end the doubt about every call.
    await until(lambda: _no_call_in_doubt(rig, before), "there is doubt though the tool has answered")
    assert rig.witness.bodies(LateAnswerRecorded, "ledger.execution")
    await rig.prove()


@pytest.mark.requirement("F6")
@colocated
async def test_a_zombie_before_the_first_byte_sends_nothing(rig: Rig) -> None:
    await _sends_nothing(rig, {"execution": BEFORE_FIRST_BYTE})


@colocated
@pytest.mark.parametrize("place", [BEFORE_COMMIT, BEFORE_PUBLISH])
async def test_a_zombie_before_its_commit_or_publish_changes_nothing(rig: Rig, place: str) -> None:
    await _zombies(rig, {"budget": place})


@pytest.mark.requirement("F6")
@separate
async def test_zombies_in_several_services_send_and_change_nothing(rig: Rig) -> None:
    places = {"execution": BEFORE_FIRST_BYTE, "budget": BEFORE_COMMIT, "validation": BEFORE_PUBLISH}
    await _sends_nothing(rig, places)


async def _no_call_in_doubt(rig: Rig, before: set[bytes]) -> bool:
    """No call is in doubt any more. The stop may also have hit others between `started` and the first byte: they were
    never called, and are people's to resolve."""
    await rig.witness.catch_up()
    return not (rig.witness.in_doubt() - before) & {call.key for call in rig.calls()}


async def _sends_nothing(rig: Rig, places: Mapping[str, str]) -> None:
    """`started` was written and no byte left: nobody can know that but the zombie, so people are asked."""
    before = rig.witness.in_doubt()
    await _zombies(rig, places)
    called = {call.key for call in rig.calls()}
    dispatched = rig.witness.bodies(ExecutionDispatched, "ledger.execution")
    doubted = rig.witness.in_doubt() - before
    assert any(key in dispatched and key not in called for key in doubted)


async def _zombies(rig: Rig, places: Mapping[str, str]) -> None:
    """One more process per service stops itself at its place; others take its lanes; it goes on, works, and leaves."""
    async with rig.watched():
        names = {service: _enlist(rig, service, place) for service, place in places.items()}
        await asyncio.gather(*(rig.owns(name, service=service) for service, name in names.items()))
        await rig.load(DEEDS)
        repeats = rig.witness.repeats
        await asyncio.gather(*(_stands_still(rig, service, names[service], places[service]) for service in names))
        for name in names.values():
            rig.system.signal(name, signal.SIGCONT)
        await rig.load(DEEDS)
        await rig.prove()
        if BEFORE_PUBLISH in places.values():
            assert rig.witness.repeats > repeats, "the late publish of the zombie must show as a repeat"
        for name in names.values():
            rig.system.signal(name, signal.SIGTERM)
            assert await rig.died(name) == 0, rig.system.tail(name)
            del rig.system.running[name]


def _enlist(rig: Rig, service: str, place: str) -> str:
    row = one_more(rig, service)
    rig.system.spawn(row, **({"DEED_FAILPOINT": place} if place else {}))
    return row.name


async def _stands_still(rig: Rig, service: str, name: str, place: str) -> None:
    """Until it has stopped, with lanes that then become somebody else's."""
    if place == IN_MID_CALL:
        await rig.busy(name, deeds=DEEDS)
        rig.system.signal(name, signal.SIGSTOP)
    await rig.stopped(name)
    mine = await rig.owned_by(name, service)
    assert mine, f"{name} stands still and owns nothing"
    await rig.taken_over(mine, service)
