"""What the lane says about one intent names its trace, so that the line is found by it (K3)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from libs.contracts import events as e
from libs.ledger.protocol import Alarm, Claim, Finished, SendLate
from libs.ledger.service import Prepared, Record, Result, Service
from libs.testkit.simulation.bench import Bench
from tests.unit.ledger.given import answered, calling

pytestmark = pytest.mark.requirement("K3")
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def traced() -> Bench:
    """A lane of whose intents all have this trace."""
    services = [replace(service, owner=lambda _: ("acme", "", TRACE)) for service in Bench().worker.hosted.services]
    return Bench(services).open()


def submitted() -> Bench:
    """A lane of whose intents only the submission says the trace, since none is accepted yet."""
    intake, *others = Bench().worker.hosted.services
    return Bench([_with_trace(intake), *others]).open()


def _with_trace(intake: Service) -> Service:
    prepare = intake.prepare
    assert prepare is not None

    def with_trace(record: Record, world: Any) -> Prepared:
        found = prepare(record, world)
        command = found.command and msgspec.structs.replace(found.command, trace_parent=TRACE)
        return Prepared(command)

    return replace(intake, prepare=with_trace)


def alarm(bench: Bench, code: str) -> Alarm:
    """The only one of this code."""
    bench.until(lambda: code in bench.alarms())
    (found,) = [one for one in bench.seen(Alarm) if one.code == code]
    return found


@pytest.mark.parametrize("service", ["intake", "budget", "execution", "outcome"])
def test_a_key_that_is_parked_is_said_with_the_trace_of_its_intent(service: str) -> None:
    bench = submitted() if service == "intake" else traced()
    bench.world.poison.raises[(service, bench.order(1))] = True
    assert alarm(bench, "DECIDE_FAILED").trace_parent == TRACE


def test_so_is_what_goes_to_the_dead_letters_for_such_a_key() -> None:
    bench = traced()
    bench.worker.limits = replace(bench.worker.limits, parked_max=1)
    key = bench.order(1, effect_class="OPAQUE")
    bench.world.poison.raises[("execution", key)] = True
    bench.until(lambda: len(bench.world.database.schemas["execution"].parked.get(0, {}).get(key, ())) == 2)
    bench.world.tell(e.Cancel, key)
    assert alarm(bench, "PARKED_FULL").trace_parent == TRACE


def test_a_result_that_comes_too_late_goes_out_with_the_trace_of_its_call() -> None:
    bench = Bench().open()
    key, call = calling(bench)
    made = bench.worker.calls.made
    made.clear()
    bench.worker.calls.add(0, msgspec.structs.replace(call.effect, trace_parent=TRACE))
    bench.hold(Claim)
    bench.worker.lose(bench.lane)
    bench.answer(Finished(0, Result(key, 1, answered(bench))))
    bench.until(lambda: bench.seen(SendLate))
    assert bench.seen(SendLate)[0].trace_parent == TRACE


def test_what_is_about_the_lane_names_no_trace() -> None:
    bench = traced()
    bench.worker.fail(bench.lane, "TEST", "")
    assert alarm(bench, "TEST").trace_parent == ""
