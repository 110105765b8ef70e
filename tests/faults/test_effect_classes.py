"""What becomes of a call whose worker is killed in mid-call, by the tool's effect class: counted by the tool's own
journal, on real processes (F5, T18, X1)."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from libs.contracts.events import ExecutionInDoubt, ExecutionResolved, ExecutionRetryScheduled, OutcomeStatus
from libs.ledger.partition import lane_of
from libs.ledger.service import Fact
from libs.testkit.seeding import now_at
from tests.faults.building import port_over_http
from tests.faults.rig import Rig, double_intent, until
from tests.faults.witness import Call

pytestmark = [pytest.mark.integration, pytest.mark.requirement("F5"), pytest.mark.requirement("T18")]
DEEDS = 12
TRIES = 20


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


async def test_a_tool_over_http_goes_on_when_its_caller_is_killed_and_still_takes_effect_once(rig: Rig) -> None:
    """It is a process of its own, so here the first call and the second are under way at the same time."""
    with _over_http(rig):
        hit, ids = await _kill_in_mid_call(rig, "there/apply", delay_ms=3_000)
        await until(lambda: _all_ended(rig, ids), "the deeds do not end")
        await rig.prove()
    outcomes, calls = rig.witness.outcomes(), rig.calls()
    assert {outcomes[key].status for key in ids} == {OutcomeStatus.SUCCEEDED}
    for key in hit:
        applied = [call.applied for call in calls if call.key == key]
        assert (sum(applied), len(applied) > 1) == (1, True)


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
    for key in hit:  # what else was under way may have been cut off before it took effect
        assert outcomes[key].status is OutcomeStatus.SUCCEEDED
        assert [(body.applied, body.by) for body in resolved[key]] == [(True, "deedbook/execution")]
        assert sum(call.key == key for call in calls) == 1, "it was called again instead of asked"


@pytest.mark.requirement("X6")
@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ('{"mode":"late"}', OutcomeStatus.SUCCEEDED),  # applied after the time-out, when it has been asked
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
    (resolved,) = [fact for fact in _told(rig, key) if isinstance(fact.body, ExecutionResolved)]
    assert resolved.body.applied or resolved.envelope.occurred_at >= doubts[0].quiet_until_at


def _told(rig: Rig, key: bytes) -> list[Fact]:
    return [fact for facts in rig.witness.facts.values() for fact in facts if fact.envelope.intent_id == key]


async def _all_ended(rig: Rig, ids: list[bytes]) -> bool:
    await rig.witness.catch_up()
    return rig.witness.outcomes().keys() >= set(ids)


@contextmanager
def _over_http(rig: Rig) -> Iterator[None]:
    """The double as a server of its own, for as long as this lasts."""
    words = ["--journal", str(rig.journal), "--http", str(port_over_http(rig.system.root))]
    popen = subprocess.Popen([sys.executable, "-m", "libs.testkit.tool_double", *words])
    try:
        yield
    finally:
        popen.kill()
        popen.wait(10)


async def _kill_in_mid_call(rig: Rig, tool: str, delay_ms: int = 400) -> tuple[set[bytes], list[bytes]]:
    """Kill a worker while the tool is at work for it, after the effect and before the answer. Gives the intents that
    this happened to, by the tool's own journal, and all that were submitted."""
    name = "w1" if rig.system.plan.shape == "colocated" else "execution"
    ids: list[bytes] = []
    for _ in range(TRIES):  # should all calls have been answered before they were looked at: once more
        lanes = {row.lane for row in await until(lambda: rig.owns(name), f"{name} owns nothing")}
        ids += await rig.submit(double_intent(f"{tool}-{now_at()}-{n}", delay_ms, tool=tool) for n in range(DEEDS))
        mine = {key for key in ids if lane_of(key, rig.system.plan.lanes) in lanes}
        await until(lambda mine=mine: _under_way(rig, mine) or _answered(rig, mine), "no call is under way")  # type: ignore[misc]
        if not _under_way(rig, mine):
            continue
        rig.system.signal(name, signal.SIGKILL)
        rig.system.respawn(name)
        dead_at = now_at()
        hit = [call for call in _under_way(rig, mine) if call.in_flight(dead_at)]
        if hit:
            return {call.key for call in hit}, ids
    raise AssertionError(f"no kill fell in mid-call in {TRIES} tries")


def _under_way(rig: Rig, mine: set[bytes]) -> list[Call]:
    """Calls that have taken effect and were not answered when this was asked for."""
    return [call for call in rig.calls() if call.key in mine and call.applied and call.in_flight(now_at())]


def _answered(rig: Rig, mine: set[bytes]) -> bool:
    return mine <= {call.key for call in rig.calls() if call.answered_at}
