"""Rules 17 and 18: from a dispatch on the ledger to the first byte, and what is refused on the way."""

from __future__ import annotations

import msgspec
import pytest

from libs.contracts import events as e
from libs.ledger.protocol import (
    Call,
    Claim,
    Connect,
    Connected,
    Publish,
    Renew,
    Renewed,
    Start,
    Started,
)
from libs.ledger.service import Recover, Stopped
from libs.ledger.worker import Worker
from libs.testkit.simulation.bench import Bench
from libs.testkit.simulation.clock import START_AT
from tests.unit.ledger.given import at_the_gate, calling, directs, started


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


@pytest.mark.rule(17)
@pytest.mark.requirement("C4")
def test_what_is_called_off_while_its_tool_is_dialled_is_not_called() -> None:
    bench = Bench().open()
    key, call = calling(bench)
    assert bench.worker.may_call(0, call.claim, call.effect, bench.worker.boot_ms)
    bench.lane.effects[key] = msgspec.structs.replace(call.effect, stop_code="CANCELLED", stop_reason="no")
    assert not bench.worker.may_call(0, call.claim, call.effect, bench.worker.boot_ms)
    bench.hold().let(call).until(
        lambda: directs(bench, Stopped) or bench.names("execution")[-1] != "ExecutionDispatched"
    )
    bench.run(200)
    assert key not in bench.world.tool.calls
    assert bench.facts("execution")[-1].body.not_sent


@pytest.mark.rule(17)
def test_one_server_that_takes_its_time_keeps_nobody_waiting_for_another() -> None:
    bench = Bench().open()
    bench.hold(Connect)
    effects = {}
    for number, server in enumerate(("slow", "quick"), 1):
        key = bench.order(number)
        effects[key] = server
    bench.until(lambda: len(bench.lane.effects) == 2)
    lane = bench.lane
    for key, server in effects.items():
        lane.effects[key] = msgspec.structs.replace(lane.effects[key], server=server)
        lane.gate.pop(key, None)
    before = len(bench.worker.out)
    bench.worker.gate._connect(lane)
    asked = [action for action in bench.worker.out[before:] if isinstance(action, Connect)]
    assert sorted([effect.server for effect in action.effects] for action in asked) == [["quick"], ["slow"]]


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
    assert bench.seen(Call) == []  # not even tried: the look right before the first byte is a second one
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
