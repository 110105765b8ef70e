"""What becomes of a call whose worker is killed in mid-call, by the tool's effect class: counted by the tool's own
journal, on real processes (F5, T18, X1)."""

from __future__ import annotations

import signal

import psutil
import pytest

from libs.contracts.events import ExecutionInDoubt, ExecutionResolved, ExecutionRetryScheduled, OutcomeStatus
from libs.testkit.seeding import now_at
from tests.faults.rig import Rig, double_intent, until
from tests.faults.witness import Call

pytestmark = [pytest.mark.integration, pytest.mark.requirement("F5"), pytest.mark.requirement("T18")]
DEEDS = 12


async def test_a_keyed_call_that_a_kill_hits_is_made_again_and_takes_effect_once(rig: Rig) -> None:
    hit, ids = await _kill_in_mid_call(rig, "keyed/apply")
    await rig.prove()
    outcomes = rig.witness.outcomes()
    assert {outcomes[key].status for key in ids} == {OutcomeStatus.SUCCEEDED}
    again = rig.witness.bodies(ExecutionRetryScheduled, "ledger.execution")
    calls = rig.calls()
    for key in hit:
        assert again[key][0].call_until_at is not None
        assert sum(call.key == key for call in calls) > 1, "the tool was not called again"
        assert sum(call.applied for call in calls if call.key == key) == 1


async def test_after_the_keys_window_nothing_is_called_again(rig: Rig) -> None:
    hit, _ = await _kill_in_mid_call(rig, "brief/apply")
    await rig.prove()
    calls = rig.calls()
    assert hit <= rig.witness.bodies(ExecutionInDoubt, "ledger.execution").keys()
    assert all(sum(call.key == key for call in calls) == 1 for key in hit)


async def test_a_queryable_tool_is_asked_what_became_of_a_call_that_a_kill_hit(rig: Rig) -> None:
    hit, ids = await _kill_in_mid_call(rig, "asked/apply")
    await until(lambda: _all_ended(rig, ids), "the doubts do not end")
    await rig.prove()
    resolved = rig.witness.bodies(ExecutionResolved, "ledger.execution")
    outcomes, calls = rig.witness.outcomes(), rig.calls()
    assert {outcomes[key].status for key in ids} == {OutcomeStatus.SUCCEEDED}
    for key in hit:
        assert [(body.applied, body.by) for body in resolved[key]] == [(True, "deedbook/execution")]
        assert sum(call.key == key for call in calls) == 1, "it was called again instead of asked"


@pytest.mark.requirement("X6")
@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ('{"delay_before_ms":3000}', OutcomeStatus.SUCCEEDED),  # applied after the time-out, and after it was asked
        ('{"mode":"lose"}', OutcomeStatus.FAILED),  # it dies without having done anything
    ],
)
async def test_not_there_is_believed_after_the_quiet_period_only(
    rig: Rig, arguments: str, status: OutcomeStatus
) -> None:
    (key,) = await rig.submit([double_intent(f"quiet-{now_at()}", 0, tool="asked/apply", arguments=arguments)])
    await until(lambda: _all_ended(rig, [key]), "the doubt does not end")
    await rig.prove()
    doubts = rig.witness.bodies(ExecutionInDoubt, "ledger.execution")[key]
    assert doubts[0].query == 1
    assert "NOT_THERE_YET" in [doubt.code for doubt in doubts]
    assert rig.witness.outcomes()[key].status is status


async def _all_ended(rig: Rig, ids: list[bytes]) -> bool:
    await rig.witness.catch_up()
    return rig.witness.outcomes().keys() >= set(ids)


async def _kill_in_mid_call(rig: Rig, tool: str) -> tuple[set[bytes], list[bytes]]:
    """Kill a worker while the tool is at work for it, after the effect and before the answer. Gives the intents that
    this happened to, by the tool's own journal, and all that were submitted."""
    name = "w1" if rig.system.plan.shape == "colocated" else "execution"
    ids: list[bytes] = []
    hit: list[Call] = []
    while not hit:  # should all calls have been answered in that very moment: once more
        await rig.owns(name)
        ids += await rig.submit(double_intent(f"{tool}-{now_at()}-{n}", 400, tool=tool) for n in range(DEEDS))
        await rig.in_flight(name)
        servers = {child.pid for child in psutil.Process(rig.system.running[name].pid).children()}
        rig.system.signal(name, signal.SIGKILL)
        rig.system.respawn(name)
        dead_at = now_at()
        hit = [call for call in rig.calls() if call.server in servers and call.applied and call.in_flight(dead_at)]
    return {call.key for call in hit}, ids
