"""Rule 24: a deadline gives its event when the database's clock says so, however that clock is set (fault X14)."""

from __future__ import annotations

import pytest

from libs.contracts import events as e
from libs.ledger.protocol import Call, Load, Survey
from libs.ledger.service import Due, DueKind
from libs.testkit.simulation.bench import Bench


def waiting_for_room(bench: Bench) -> tuple[bytes, int]:
    """A deed that can only expire, and when."""
    bench.hold(Call)
    for n in range(2):
        bench.order(n, effect_class="OPAQUE")
    bench.until(lambda: len(bench.seen(Call)) == 2)
    due_at = bench.world.clock.now_at + 3_000_000
    key = bench.order(7, effect_class="OPAQUE", expires_at=due_at)
    bench.until(lambda: key in bench.lane.starved)
    return key, due_at


def fired(bench: Bench, key: bytes) -> bool:
    """Has its timer become an input?"""
    return any(entry.item == Due(key, DueKind.TIMER) for entry in bench.lane.direct.first(99))


@pytest.mark.rule(24)
@pytest.mark.requirement("X14")
@pytest.mark.parametrize("back_ms", [10_000, 500])
def test_a_timer_that_has_fired_fires_again_when_the_clock_steps_back_before_it_is_decided(back_ms: int) -> None:
    bench = Bench().open()
    key, due_at = waiting_for_room(bench)
    bench.hold(Call, Load)
    bench.lane.states.clear()  # so that its round waits for the database
    bench.until(lambda: fired(bench, key))
    load = bench.held(Load)
    bench.world.clock.set_by_ms -= back_ms
    surveys = len(bench.seen(Survey))
    bench.until(lambda: len(bench.seen(Survey)) > surveys + 1)
    bench.hold(Call).let(load).run(50)
    assert bench.names("execution")[-1] != "ExecutionExpired", "by the clock as it is now it is not due"
    bench.until(lambda: bench.worker.now_at() >= due_at, back_ms + 1_000).run(200)
    assert bench.names("execution")[-1] == "ExecutionExpired"


@pytest.mark.rule(24)
def test_a_timer_whose_time_has_come_is_decided_once_though_nothing_comes_of_it() -> None:
    bench = Bench().open()
    key, due_at = waiting_for_room(bench)
    bench.world.poison.raises[("execution", key)] = True
    bench.until(lambda: bench.worker.now_at() >= due_at).run(1_000)
    assert bench.state("execution", key).phase == ""
    assert bench.alarms().count("DECIDE_FAILED") == 1


@pytest.mark.rule(24)
def test_a_timer_on_which_a_decider_fails_waits_with_its_key_and_is_decided_when_that_is_taken_up() -> None:
    bench = Bench().open()
    key, due_at = waiting_for_room(bench)
    bench.world.poison.raises[("execution", key)] = True
    bench.until(lambda: bench.worker.now_at() >= due_at).run(200)
    assert list(bench.world.database.schemas["execution"].parked[0]) == [key]
    bench.world.poison.raises.clear()
    bench.world.tell(e.Unpark, key, service="execution")
    bench.until(lambda: bench.names("execution")[-1] == "ExecutionExpired")
