"""Rule 19: what a successor makes of dispatches without a result."""

from __future__ import annotations

import pytest

from libs.contracts import events as e
from libs.ledger.lane import Phase
from libs.ledger.protocol import (
    Call,
    Load,
    Publish,
)
from libs.ledger.service import Recover
from libs.testkit.simulation.bench import Bench
from libs.testkit.simulation.clock import START_AT
from tests.unit.ledger.given import at_the_gate, calling, directs, successor


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
