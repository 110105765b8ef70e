"""Rule 16: how many effects may run, and who gets room next."""

from __future__ import annotations

from functools import partial

import pytest

from libs.contracts import events as e
from libs.ledger.protocol import (
    Call,
    Finished,
)
from libs.ledger.service import Result
from libs.testkit.simulation.bench import Bench
from tests.unit.ledger.given import answered


@pytest.mark.rule(16)
def test_effects_max_holds_over_own_claims_and_lost_lanes() -> None:
    bench = Bench().open()
    bench.hold(Call)
    for n in range(5):
        bench.order(n, effect_class="OPAQUE")
    bench.until(lambda: len(bench.seen(Call)) == 2).run(300)
    assert len(bench.seen(Call)) == 2
    bench.worker.fail(bench.lane, "TEST", "")
    bench.open().run(300)
    assert len(bench.seen(Call)) == 2
    assert bench.worker.room.free()["OPAQUE"] == 0


@pytest.mark.rule(16)
def test_work_that_found_no_room_is_looked_at_when_there_is_some_in_whatever_lane() -> None:
    bench = Bench(lanes=2).open().hold(Call)
    for n in range(2):
        bench.order(n, effect_class="OPAQUE", lane=0)
    bench.until(lambda: len(bench.seen(Call)) == 2)
    waiting = bench.order(7, effect_class="OPAQUE", lane=1)
    bench.until(lambda: bench.worker.lanes[1].starved == {waiting: "OPAQUE"}).run(300)
    assert bench.world.database.schemas["execution"].states[waiting].phase == ""
    call = bench.held(Call)
    bench.answer(Finished(0, Result(call.effect.key, 1, answered(bench))))
    bench.until(lambda: len(bench.seen(Call)) == 3)
    assert bench.seen(Call)[2].effect.key == waiting


@pytest.mark.rule(16)
def test_room_is_shared_out_over_the_lanes_and_new_work_does_not_take_it_from_those_who_wait() -> None:
    bench = Bench(lanes=3).open().hold(Call)
    for n in range(2):
        bench.order(n, effect_class="OPAQUE", lane=0)
    bench.until(lambda: len(bench.seen(Call)) == 2)
    waiting = {
        lane: [bench.order(10 * lane + n, effect_class="OPAQUE", lane=lane) for n in (4, 5)] for lane in range(3)
    }
    bench.until(lambda: all(len(bench.worker.lanes[lane].starved) == 2 for lane in range(3)))
    for n in range(6):
        bench.order(50 + n, effect_class="OPAQUE", lane=0)
        call, calls = bench.held(Call), len(bench.seen(Call))
        bench.answer(Finished(call.lane, Result(call.effect.key, 1, answered(bench))))
        bench.until(partial(lambda before: len(bench.seen(Call)) == before + 1, calls))
    served = [call.effect.key for call in bench.seen(Call)[2:]]
    assert sorted(served[:3]) == sorted(keys[0] for keys in waiting.values())
    assert sorted(served[3:]) == sorted(keys[1] for keys in waiting.values())


@pytest.mark.rule(16)
def test_work_that_found_no_room_is_not_forgotten_because_another_input_touched_its_key() -> None:
    bench = Bench().open().hold(Call)
    for n in range(2):
        bench.order(n, effect_class="OPAQUE")
    bench.until(lambda: len(bench.seen(Call)) == 2)
    waiting = bench.order(7, effect_class="OPAQUE")
    bench.until(lambda: waiting in bench.lane.starved)
    bench.world.tell(e.Resolve, waiting, applied=True, evidence="")  # refused: nothing is in doubt
    bench.until(lambda: "CommandRejected" in bench.names("execution")).run(50)
    call = bench.held(Call)
    bench.answer(Finished(0, Result(call.effect.key, 1, answered(bench))))
    bench.until(lambda: len(bench.seen(Call)) == 3)
