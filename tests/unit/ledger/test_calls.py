"""Rules 16 and 20: what this process has called, and results that come when the lane is not its own."""

from __future__ import annotations

import pytest

from libs.ledger.lane import Phase
from libs.ledger.protocol import (
    Call,
    Claim,
    Finished,
    LateSent,
    Load,
    Loaded,
    Renew,
    SendLate,
    Started,
)
from libs.ledger.service import Result
from libs.testkit.simulation.bench import Bench
from tests.unit.ledger.given import answered, at_the_gate, calling


@pytest.mark.rule(16)
def test_what_this_process_called_goes_on_over_its_own_claims() -> None:
    bench = Bench().open()
    key, _ = calling(bench)
    bench.worker.fail(bench.lane, "TEST", "")
    bench.until(lambda: bench.lane.phase is Phase.OPEN).run(300)
    assert len(bench.seen(Call)) == 1
    bench.answer(Finished(0, Result(key, 1, answered(bench))))
    bench.until(lambda: bench.names("outcome"))
    assert bench.names("execution") == ["ExecutionDispatched", "ExecutionSucceeded"]


@pytest.mark.rule(16)
def test_a_dispatch_that_this_process_never_called_may_be_called_after_its_own_claim() -> None:
    bench = Bench().open()
    key, start = at_the_gate(bench)
    bench.world.database.start(bench.worker.hosted, bench.worker.token, start)  # written, but the answer is lost
    bench.worker.fail(bench.lane, "TEST", "")
    bench.answer(Started({}, {0: start.marks[0][1]}, (), "no answer"))
    bench.hold().until(lambda: bench.names("outcome"))
    assert bench.world.tool.calls[key] == [1]


@pytest.mark.rule(16)
def test_marks_that_were_found_at_a_takeover_stay_the_other_owners_over_own_claims() -> None:
    bench = Bench().open()
    key, _ = calling(bench)
    bench.process.kill()
    bench.process = bench.start()
    bench.hold(Load)
    load = bench.held(Load)  # the recovery is about to be decided ...
    bench.worker.fail(bench.lane, "TEST", "")  # ... and the lane is claimed again before it was
    bench.answer(Loaded(load.round, {}, {}))
    bench.hold().until(lambda: "ExecutionInDoubt" in bench.names("execution"))
    assert key not in bench.world.tool.calls


@pytest.mark.rule(16)
def test_a_claim_whose_answer_was_lost_proves_nothing_about_who_was_in_between() -> None:
    bench = Bench().open()
    key, _ = calling(bench)
    bench.process.kill()
    bench.process = bench.start()
    bench.hold(Claim)
    claim = bench.held(Claim)
    bench.until(lambda: bench.row("execution").lease_until < bench.world.clock.now_ms)
    bench.world.database.claim(bench.worker.hosted, bench.worker.token, "colocated", claim)  # it lands, nobody hears
    bench.worker.fail(bench.lane, "CLAIM_UNKNOWN", "")
    bench.hold().until(lambda: "ExecutionInDoubt" in bench.names("execution"))
    assert key not in bench.world.tool.calls


@pytest.mark.rule(16)
def test_a_call_stays_on_the_list_though_its_result_was_sent_as_a_late_one() -> None:
    bench = Bench().open()
    key, _ = calling(bench)
    bench.hold(Claim)
    bench.worker.lose(bench.lane)
    bench.answer(Finished(0, Result(key, 1, answered(bench))))
    bench.until(lambda: bench.seen(SendLate)).run(50)
    assert (key, 1) in bench.worker.calls
    bench.hold().until(lambda: bench.names("outcome"))
    assert bench.names("execution")[:2] == ["ExecutionDispatched", "ExecutionSucceeded"]
    assert key not in bench.world.tool.calls


@pytest.mark.rule(20)
def test_a_result_that_comes_after_the_lane_is_lost_is_written_to_commands() -> None:
    bench = Bench().open()
    key, _ = calling(bench)
    bench.hold(Claim)
    bench.worker.lose(bench.lane)
    bench.answer(Finished(0, Result(key, 1, answered(bench))))
    bench.until(lambda: bench.log("commands"))
    (late,) = bench.seen(SendLate)
    assert (late.lane, late.result.key, late.result.attempt) == (0, key, 1)


@pytest.mark.rule(20)
def test_a_late_result_that_could_not_be_sent_is_sent_again() -> None:
    bench = Bench().open()
    key, _ = calling(bench)
    bench.hold(SendLate)
    bench.worker.lose(bench.lane)
    for row in (bench.row(service.name) for service in bench.group):
        row.token, row.epoch, row.lease_until = b"somebody else", row.epoch + 1, 100_000.0
    bench.answer(Finished(0, Result(key, 1, answered(bench))))
    first = bench.held(SendLate)
    bench.run(100)
    assert not bench.has_held(SendLate)
    bench.answer(LateSent(first.lane, first.result, False))
    assert not bench.has_held(SendLate)
    bench.held(SendLate)


@pytest.mark.rule(20)
def test_an_owner_that_cannot_renew_starts_nothing_more_but_waits_for_what_runs() -> None:
    bench = Bench().open()
    key, call = calling(bench)
    bench.hold(Renew, Call)
    bench.until(lambda: not bench.worker.lease_ok(0, bench.lane.claim, bench.world.clock.boot_ms))
    calls = len(bench.seen(Call))
    assert bench.lane.phase is Phase.OPEN
    assert len(bench.worker.calls.running(0)) == 1
    bench.run(200)
    assert len(bench.seen(Call)) == calls
    assert call.effect.key == key


@pytest.mark.rule(20)
def test_a_result_of_a_lane_that_is_ours_again_is_recorded_by_ourselves() -> None:
    bench = Bench().open()
    key, _ = calling(bench)
    bench.hold(Claim)
    bench.worker.fail(bench.lane, "TEST", "")
    bench.answer(Finished(0, Result(key, 1, answered(bench))))
    bench.run(20)
    assert bench.seen(SendLate) == []
    bench.hold().until(lambda: bench.names("outcome"))
    assert bench.names("execution") == ["ExecutionDispatched", "ExecutionSucceeded"]
