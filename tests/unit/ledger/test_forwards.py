"""Rule 23: forwards and dead letters have an outbox of their own, at least once, bounded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from libs.ledger.protocol import PublishSide, SidesAcked
from libs.ledger.publishing import DEAD_EVERY_MS
from libs.testkit.simulation.bench import Bench


@pytest.mark.rule(23)
def test_a_misplaced_submission_goes_through_an_outbox_of_its_own_at_least_once() -> None:
    bench = Bench(lanes=2).open().hold(PublishSide)
    key = bench.order(1, lane=1, partition=0)
    side = bench.held(PublishSide)
    (record,) = side.records
    assert (record.topic, record.partition, record.key) == ("intake.home", 1, key)
    assert bench.world.database.schemas["intake"].sides[0] == {record.id: record}
    bench.order(3, lane=0)
    bench.until(lambda: bench.names("outcome"))  # the lane goes on meanwhile
    bench.hold()
    bench.answer(SidesAcked(0, side.claim, "intake", [], "no ack in time"))
    bench.until(lambda: bench.state("outcome", key) and bench.state("outcome", key).status)
    bench.until(lambda: bench.world.database.schemas["intake"].sides[0] == {})
    assert bench.names("intake", 1) == ["IntentAccepted"]


@pytest.mark.rule(23)
def test_forwards_that_are_not_on_the_log_are_bounded() -> None:
    bench = Bench(lanes=2).open().hold(PublishSide)
    most = bench.worker.limits.sides_max
    for n in range(20):
        bench.order(n, lane=1, partition=0)
        bench.run(20)
    bench.run(500)
    assert most <= len(bench.lane.parts["intake"].sides) < most + bench.worker.limits.batch_max
    assert len([a for a in bench.process.held if isinstance(a, PublishSide)]) == 1


@pytest.mark.rule(23)
def test_a_forward_survives_its_worker() -> None:
    bench = Bench(lanes=2).open().hold(PublishSide)
    key = bench.order(1, lane=1, partition=0)
    bench.held(PublishSide)
    bench.process.kill()
    bench.process = bench.start()
    bench.until(lambda: bench.state("outcome", key) and bench.state("outcome", key).status, 10_000)


@pytest.mark.rule(23)
def test_rows_of_forwards_are_deleted_only_by_a_commit() -> None:
    bench = Bench(lanes=2).open()
    bench.order(1, lane=1, partition=0)
    bench.until(lambda: bench.lane.parts["intake"].sides_done)
    done = list(bench.lane.parts["intake"].sides_done)
    bench.world.flip(frozenset({"OPAQUE"}))  # a round that commits nothing
    bench.run(50)
    assert bench.lane.parts["intake"].sides_done == done
    bench.until(lambda: bench.world.database.schemas["intake"].sides[0] == {})


@pytest.fixture
def rubbish() -> Bench:
    """One dead letter is on the log, a moment ago."""
    bench = Bench(lanes=2).open()
    bench.worker.limits = replace(bench.worker.limits, sides_max=100)
    bench.world.append("intents", 0, b"", b"rubbish")
    bench.until(lambda: bench.log("dead.intake"), DEAD_EVERY_MS)
    return bench


def test_dead_letters_go_in_bunches(rubbish: Bench) -> None:
    for _ in range(5):
        rubbish.world.append("intents", 0, b"", b"rubbish")
        rubbish.run(20)
    rubbish.until(lambda: len(rubbish.log("dead.intake")) == 6, 2 * DEAD_EVERY_MS)
    assert len(rubbish.seen(PublishSide)) == 2


def test_a_forward_waits_for_no_bunch(rubbish: Bench) -> None:
    rubbish.world.append("intents", 0, b"", b"rubbish")
    rubbish.order(1, lane=1, partition=0)
    rubbish.until(lambda: rubbish.log("intake.home", 1), DEAD_EVERY_MS / 2)


def test_who_leaves_sends_what_waits_first(rubbish: Bench) -> None:
    rubbish.world.append("intents", 0, b"", b"rubbish")
    rubbish.until(lambda: 1 in rubbish.lane.parts["intake"].sides, DEAD_EVERY_MS / 2)
    rubbish.process.leave()
    rubbish.until(lambda: rubbish.lane.phase != "OPEN", DEAD_EVERY_MS / 2)
    assert len(rubbish.log("dead.intake")) == 2
