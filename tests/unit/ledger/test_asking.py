"""What cannot be decided at once: cited events are looked up and the batch is decided anew; a record that can be judged
in a moment holds up its own topic and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from libs.ledger.protocol import Load, Loaded
from libs.ledger.service import CitedNeeded, Decision, NotYet, Prepared, Record, World
from libs.testkit.simulation.bench import Bench
from libs.testkit.simulation.deciders import BUDGET, INTAKE, OUTCOME
from libs.testkit.simulation.executing import EXECUTION

FIRST, SECOND = (b"i" * 16, b"e" * 16), (b"i" * 16, b"f" * 16)


def citing(answers: list[Any]) -> Bench:
    """A bench whose budget decides only when it knows whose two events are; notes what it was told."""

    def decide(item: Any, state: Any, world: World) -> list[Decision]:
        unknown = [one for one in (FIRST, SECOND) if one not in world.cited]
        if unknown:
            raise CitedNeeded(unknown)
        answers.append(dict(world.cited))
        return list(BUDGET.decide(item, state, world))

    return Bench([INTAKE, replace(BUDGET, decide=decide), EXECUTION, OUTCOME]).open()


@pytest.mark.requirement("B5")
def test_cited_events_are_looked_up_once_and_the_batch_is_decided_anew() -> None:
    answers: list[Any] = []
    bench = citing(answers).hold(Load)
    bench.order(1)
    load = bench.held(Load)
    while not load.cited:
        load = bench.let(load).held(Load)
    assert set(load.cited) == {FIRST, SECOND}
    assert answers == []
    bench.hold().answer(Loaded(load.round, {}, {}, cited={FIRST: "acme"}))
    bench.until(lambda: bench.names("outcome"))
    assert answers[0] == {FIRST: "acme", SECOND: None}, "what was not answered could not be asked for"


def test_a_worker_without_a_look_up_decides_that_nobody_could_be_asked() -> None:
    answers: list[Any] = []
    bench = citing(answers)
    bench.order(1)
    bench.until(lambda: bench.names("outcome"))
    assert answers[0] == {FIRST: None, SECOND: None}


def test_a_record_that_can_be_judged_in_a_moment_waits_at_the_head_of_its_topic() -> None:
    left = [3]
    prepare = INTAKE.prepare
    assert prepare is not None

    def not_yet(record: Record, world: World) -> Prepared:
        if left[0]:
            left[0] -= 1
            raise NotYet
        return prepare(record, world)

    bench = Bench([replace(INTAKE, prepare=not_yet), BUDGET, EXECUTION, OUTCOME]).open()
    bench.order(1)
    bench.until(lambda: bench.names("outcome"))
    assert left == [0]
    assert len(bench.names("intake")) == 1
