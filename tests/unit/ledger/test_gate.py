"""Rules 16 to 20: from a dispatch on the ledger to the first byte, and from the answer back."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
import pytest

from libs.contracts import events as e
from libs.ledger.lane import Phase
from libs.ledger.protocol import (
    Call,
    Claim,
    Connect,
    Connected,
    Finished,
    LateSent,
    Load,
    Loaded,
    Publish,
    Renew,
    Renewed,
    SendLate,
    Start,
    Started,
)
from libs.ledger.service import Recover, Result, Stopped
from libs.ledger.worker import Worker
from libs.testkit.simulation.bench import Bench
from libs.testkit.simulation.clock import START_AT


def answered(bench: Bench, status: e.AnswerStatus = e.AnswerStatus.SUCCEEDED, code: str = "") -> e.ToolAnswer:
    """What a tool says."""
    return e.ToolAnswer(status=status, started_at=bench.world.clock.now_at, duration_ms=1, code=code)


def started(start: Start) -> Started:
    """All marks are written."""
    return Started({lane: list(marks) for lane, _, _, marks in start.marks}, {m[0]: m[1] for m in start.marks})


def directs(bench: Bench, kind: type) -> list[Any]:
    """Inputs of a kind that wait in the first lane."""
    return [entry.item for entry in bench.lane.direct.first(99) if isinstance(entry.item, kind)]


def at_the_gate(bench: Bench, effect_class: str = "OPAQUE", **given: Any) -> tuple[bytes, Start]:
    """One effect, whose mark is about to be written."""
    bench.hold(Start)
    key = bench.order(1, effect_class=effect_class, **given)
    return key, bench.held(Start)


def calling(bench: Bench, effect_class: str = "OPAQUE") -> tuple[bytes, Call]:
    """One effect that runs; its call was sent, its answer is the test's."""
    bench.hold(Call)
    key = bench.order(1, effect_class=effect_class)
    return key, bench.held(Call)


# ---------------------------------------------------------------- rule 17


@pytest.mark.rule(17)
def test_the_gate_is_passed_in_its_order() -> None:
    bench = Bench().open()
    bench.order(1)
    bench.until(lambda: bench.seen(Call))
    steps = [type(a) for a in bench.process.seen if isinstance(a, Publish | Connect | Start | Call)]
    assert steps == [Publish, Publish, Publish, Connect, Start, Call]


@pytest.mark.rule(17)
def test_started_is_asked_for_under_the_current_epoch_and_only_after_the_acks() -> None:
    bench = Bench().open()
    key, start = at_the_gate(bench)
    assert start.marks == [(0, bench.lane.claim, bench.row("execution").epoch, [(key, 1)])]
    assert bench.lane.published_all


@pytest.mark.rule(17)
def test_nothing_is_called_before_started_is_written() -> None:
    bench = Bench().open()
    _, start = at_the_gate(bench)
    bench.run(300)
    assert bench.seen(Call) == []
    bench.let(start).until(lambda: bench.seen(Call))


@pytest.mark.rule(17)
def test_a_mark_whose_fate_is_unknown_calls_nothing() -> None:
    bench = Bench().open()
    _, start = at_the_gate(bench)
    bench.answer(Started({}, {0: start.marks[0][1]}, (), "no answer"))
    assert bench.seen(Call) == []
    again = bench.held(Start)
    assert again.marks[0][3] == start.marks[0][3]


@pytest.mark.rule(17)
def test_the_lease_is_looked_at_last() -> None:
    bench = Bench().open()
    _, start = at_the_gate(bench)
    bench.lane.lease_end_boot_ms = bench.world.clock.boot_ms + bench.worker.limits.margin_ms
    bench.answer(started(start))
    assert bench.seen(Call) == []
    bench.hold()
    bench.until(lambda: bench.seen(Call))


@pytest.mark.rule(17)
def test_the_lease_is_looked_at_again_right_before_the_first_byte() -> None:
    bench = Bench().open()
    key, call = calling(bench)
    bench.hold(Renew, Claim)
    bench.lane.lease_end_boot_ms = 0
    bench.let(call).run(20)
    assert key not in bench.world.tool.calls
    assert (key, 1) not in bench.worker.calls


@pytest.mark.rule(17)
def test_a_lease_counts_from_before_the_renewal_was_sent() -> None:
    bench = Bench().open().hold(Renew)
    renew = bench.held(Renew)
    sent = bench.lane.lease_end_boot_ms + 50
    bench.answer(Renewed(sent, [(0, renew.lanes[0][1])]))
    assert bench.lane.lease_end_boot_ms == sent + bench.worker.limits.lease_ms
    assert bench.worker.lease_ok(0, bench.lane.claim, bench.lane.lease_end_boot_ms - bench.worker.limits.margin_ms - 1)
    assert not bench.worker.lease_ok(0, bench.lane.claim, bench.lane.lease_end_boot_ms - bench.worker.limits.margin_ms)


@pytest.mark.rule(17)
def test_with_stale_switches_the_gate_waits() -> None:
    bench = Bench().open()
    _, start = at_the_gate(bench)
    bench.world.age(False)
    bench.until(lambda: not bench.worker.may_decide())
    bench.answer(started(start)).hold().run(300)
    assert bench.seen(Call) == []
    bench.world.age(True)
    bench.until(lambda: bench.seen(Call))


def asleep(bench: Bench) -> int:
    """The process sleeps, under a lease that is as long as leases may be; the boot time at which it wakes."""
    bench.lane.lease_end_boot_ms = bench.world.clock.boot_ms + 120_000
    worker: Worker = bench.worker
    assert worker.control_confirmed_ms is not None
    return worker.control_confirmed_ms + worker.limits.control_stale_ms + 1


@pytest.mark.rule(17)
def test_a_process_that_slept_does_not_take_its_switches_for_known() -> None:
    bench = Bench().open()
    _, start = at_the_gate(bench)
    wakes = asleep(bench)
    actions = bench.worker.handle(started(start), wakes)
    assert bench.worker.lease_ok(0, bench.lane.claim, wakes)
    assert not [action for action in actions if isinstance(action, Call)]


@pytest.mark.rule(17)
def test_the_switches_are_looked_at_again_right_before_the_first_byte() -> None:
    bench = Bench().open()
    key, call = calling(bench)
    worker, wakes = bench.worker, asleep(bench)
    assert worker.may_call(0, call.claim, call.effect, wakes - 1)
    assert not worker.may_call(0, call.claim, call.effect, wakes)
    bench.world.flip(frozenset({"OPAQUE"}))
    bench.run(20).hold().let(call)
    bench.until(lambda: bench.names("execution")[-1] == "ExecutionCancelled").run(200)
    assert bench.facts("execution")[-1].body.not_sent
    assert key not in bench.world.tool.calls


@pytest.mark.rule(17)
@pytest.mark.requirement("F5")
def test_no_time_left_right_before_the_first_byte_means_no_call() -> None:
    bench = Bench().open()
    worker, (_, call) = bench.worker, calling(bench)
    left_ms = 5
    soon = msgspec.structs.replace(call.effect, expires_at=worker.now_at() + left_ms * 1000)
    assert worker.may_call(0, call.claim, soon, worker.boot_ms + left_ms - 1)
    assert not worker.may_call(0, call.claim, soon, worker.boot_ms + left_ms)


# ---------------------------------------------------------------- rule 18


@pytest.mark.rule(18)
def test_a_switch_that_closes_at_the_gate_ends_the_dispatch_as_not_sent() -> None:
    bench = Bench().open()
    key, start = at_the_gate(bench)
    bench.world.flip(frozenset({"OPAQUE"}))
    bench.run(20)
    bench.answer(started(start))
    bench.until(lambda: bench.names("execution")[-1] == "ExecutionCancelled").run(200)
    body = bench.facts("execution")[-1].body
    assert (body.not_sent, body.code) == (True, "KILLED")
    assert key not in bench.world.tool.calls


@pytest.mark.rule(18)
def test_a_cancel_that_comes_before_the_gate_ends_the_dispatch_as_not_sent() -> None:
    bench = Bench().open()
    key, start = at_the_gate(bench)
    bench.world.tell(e.Cancel, key)
    bench.until(lambda: "CancelRequested" in bench.names("execution")).run(100)
    bench.answer(started(start))
    bench.until(lambda: bench.names("execution")[-1] == "ExecutionCancelled").run(200)
    assert bench.facts("execution")[-1].body.not_sent
    assert key not in bench.world.tool.calls


@pytest.mark.rule(18)
def test_an_intent_that_expires_at_the_gate_ends_as_not_sent() -> None:
    bench = Bench().open()
    key, start = at_the_gate(bench, expires_at=START_AT + 400_000)
    bench.until(lambda: bench.world.clock.now_ms > 420)
    bench.answer(started(start))
    bench.until(lambda: bench.names("execution")[-1] == "ExecutionExpired")
    assert bench.facts("execution")[-1].body.not_sent
    assert key not in bench.world.tool.calls


@pytest.mark.rule(18)
def test_a_dispatch_that_is_stopped_by_lost_ownership_is_dropped_in_memory_only() -> None:
    bench = Bench().open()
    _, start = at_the_gate(bench)
    events = bench.names("execution")
    bench.hold(Claim)
    bench.answer(Started({}, {0: start.marks[0][1]}, (0,)))
    assert bench.lane.parts == {}
    assert bench.seen(Call) == []
    bench.run(10)
    assert bench.names("execution") == events


# ---------------------------------------------------------------- rule 16


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


# ---------------------------------------------------------------- rule 19


def successor(bench: Bench) -> Bench:
    """Another process takes over."""
    bench.process.kill()
    bench.process = bench.start()
    return bench


@pytest.mark.rule(19)
@pytest.mark.parametrize(
    ("effect_class", "event"), [("OPAQUE", "ExecutionInDoubt"), ("READ_ONLY", "ExecutionRetryScheduled")]
)
def test_a_started_dispatch_without_a_result_goes_by_its_effect_class(effect_class: str, event: str) -> None:
    bench = Bench().open()
    calling(bench, effect_class)
    successor(bench).until(lambda: event in bench.names("execution"))


@pytest.mark.rule(19)
@pytest.mark.parametrize("parked", [False, True])
def test_nothing_is_called_because_another_input_came_before_the_recovery(parked: bool) -> None:
    bench = Bench().open()
    key, _ = calling(bench)
    successor(bench).hold(Load)
    bench.until(lambda: bench.lane.phase is Phase.OPEN)
    (recovery,) = directs(bench, Recover)
    if parked:
        bench.lane.direct.take(bench.lane.direct.first(1))  # it waits in the table instead
        bench.lane.direct.settle()
    bench.world.tell(e.Resolve, key, applied=True, evidence="")  # too early, and refused by an event
    load = bench.held(Load)
    assert recovery.started
    bench.hold().let(load).run(300)
    assert "CommandRejected" in bench.names("execution") or not parked
    assert bench.seen(Call) == []


@pytest.mark.rule(19)
def test_a_dispatch_that_was_never_started_is_called_by_the_successor() -> None:
    bench = Bench().open()
    key, _ = at_the_gate(bench)
    successor(bench).until(lambda: bench.names("outcome"))
    assert bench.world.tool.calls[key] == [1]
    assert "ExecutionInDoubt" not in bench.names("execution")


@pytest.mark.rule(19)
def test_a_dispatch_that_was_never_published_is_published_before_it_is_called() -> None:
    bench = Bench().open().hold(Publish)
    key = bench.order(1, effect_class="OPAQUE")
    bench.until(lambda: len(bench.process.held) == 3)
    successor(bench).until(lambda: bench.seen(Call))
    kinds = [type(a) for a in bench.process.seen if isinstance(a, Publish | Call)]
    assert kinds == [Publish, Publish, Publish, Call]
    assert (key, 1) in bench.world.history.dispatched


@pytest.mark.rule(19)
def test_absent_is_not_believed_before_the_last_lease_and_the_call_have_ended() -> None:
    bench = Bench().open()
    calling(bench)
    bench.row("execution").quiet_until_at = 5
    successor(bench)
    lease_end = START_AT + int(bench.row("execution").lease_until * 1000)
    bench.until(lambda: "ExecutionInDoubt" in bench.names("execution"))
    limits = bench.worker.limits
    quiet = bench.facts("execution")[-1].body.quiet_until_at
    assert quiet == lease_end + (limits.call_timeout_max_ms + limits.margin_ms) * 1000


@pytest.mark.rule(19)
def test_the_quiet_time_that_a_release_left_is_kept() -> None:
    bench = Bench().open()
    calling(bench)
    bench.row("execution").quiet_until_at = START_AT + 99_000_000
    successor(bench).until(lambda: "ExecutionInDoubt" in bench.names("execution"))
    assert bench.facts("execution")[-1].body.quiet_until_at == START_AT + 99_000_000


@pytest.mark.rule(19)
def test_recoveries_of_a_parked_key_do_not_pile_up() -> None:
    bench = Bench().open()
    key, _ = calling(bench)
    bench.world.poison.raises[("execution", key)] = True
    bench.world.tell(e.Cancel, key)
    parked = bench.world.database.schemas["execution"].parked
    bench.world.database.schemas["budget"].parked[0] = {}
    bench.run(100)
    bench.lane.parts["execution"].parked[key] = []
    bench.lane.parts["execution"].parked.pop(key)
    for _ in range(3):
        successor(bench).open()
        bench.run(200)
    assert len(parked.get(0, {}).get(key, [])) <= 1


# ---------------------------------------------------------------- rule 20


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


def test_answers_of_an_earlier_claim_move_nothing_at_the_gate() -> None:
    bench = Bench().open()
    key, start = at_the_gate(bench)
    stale = started(start)
    bench.hold(Claim, Start)
    bench.worker.fail(bench.lane, "TEST", "")
    bench.answer(stale)
    bench.answer(Connected(0, start.marks[0][1], [(key, 1)]))
    assert bench.seen(Call) == []
    assert directs(bench, Stopped) == []
    assert directs(bench, Recover) == []
