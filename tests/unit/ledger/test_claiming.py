"""Rules 1, 2 and 5: how a lane is taken, and what is forgotten when it is."""

from __future__ import annotations

import pytest

from libs.ledger.lane import Phase
from libs.ledger.protocol import (
    Check,
    Claim,
    Claimed,
    ClaimRefused,
    Commit,
    CommitUnknown,
    Load,
    Publish,
    Release,
)
from libs.ledger.service import ScopeRow
from libs.testkit.simulation.bench import Bench
from libs.testkit.simulation.cast import View


@pytest.mark.rule(1)
def test_a_claim_names_the_control_view_of_its_worker() -> None:
    bench = Bench()
    bench.world.control = View(7)
    bench.process.see_control()
    bench.hold(Claim)
    assert bench.held(Claim).control_seq == 7


@pytest.mark.rule(1)
def test_a_lane_that_needs_a_newer_control_view_is_waited_for_and_not_halted() -> None:
    bench = Bench()
    bench.row("budget").control_seq = 9
    bench.until(lambda: len(bench.seen(Claim)) >= 2)
    assert bench.lane.phase in (Phase.FREE, Phase.CLAIMING)
    assert bench.alarms() == []
    bench.world.control = View(9)
    bench.process.see_control()
    bench.open()


@pytest.mark.rule(1)
def test_a_worker_without_a_control_view_claims_nothing() -> None:
    bench = Bench()
    bench.worker.control = None
    bench.process.see_control = lambda: None  # type: ignore[method-assign]
    bench.worker.next_survey_ms = 0
    bench.run(1)
    bench.worker.control = None
    seen = len(bench.seen(Claim))
    bench.run(20)
    assert len(bench.seen(Claim)) == seen


@pytest.mark.rule(1)
def test_one_row_that_is_taken_keeps_the_worker_from_all_rows_of_the_lane() -> None:
    bench = Bench()
    other = bench.row("execution")
    other.token, other.epoch, other.lease_until = b"somebody else", 3, 10_000.0
    bench.until(lambda: bench.seen(Claim)).run(100)
    assert bench.lane.phase in (Phase.FREE, Phase.CLAIMING)
    assert bench.row("intake").token == b""
    assert bench.lane.parts == {}


@pytest.mark.rule(1)
def test_all_rows_of_a_claim_have_one_epoch() -> None:
    bench = Bench()
    bench.row("budget").epoch, bench.row("outcome").epoch = 5, 2
    bench.open()
    bench.order(1)
    bench.until(lambda: bench.names("outcome"))
    assert {bench.row(name).epoch for name in bench.world.database.schemas} == {6}


@pytest.mark.rule(2)
def test_nothing_is_read_before_the_claim_is_answered() -> None:
    bench = Bench().hold(Claim)
    bench.order(1)
    bench.held(Claim)
    bench.run(500)
    assert bench.seen(Check) == []
    assert bench.seen(Load) == []


@pytest.mark.rule(2)
def test_a_new_claim_forgets_what_was_read_under_the_last_one() -> None:
    bench = Bench().open().hold(Load)
    bench.order(1)
    bench.held(Load)
    lane = bench.lane
    lane.scopes["scope/0"] = {0: ScopeRow("scope/0", 0, 7)}
    assert len(lane.queue) == 1
    bench.hold(Claim)
    bench.worker.fail(lane, "TEST", "")
    bench.held(Claim)
    assert (len(lane.queue), lane.scopes, lane.parts, len(lane.direct), lane.effects) == (0, {}, {}, 0, {})


@pytest.mark.rule(2)
def test_an_answer_to_an_earlier_claim_changes_nothing() -> None:
    bench = Bench().hold(Claim)
    first = bench.held(Claim)
    rows = bench.world.database.claim(bench.worker.hosted, bench.worker.token, "colocated", first)
    assert not isinstance(rows, ClaimRefused)
    stale = bench.world.database.read_lane(first, 0, rows)
    bench.answer(ClaimRefused(0, first.claim, "UNKNOWN"))
    second = bench.held(Claim)
    assert isinstance(stale, Claimed)
    bench.answer(stale)
    assert second.claim != first.claim
    assert bench.lane.phase is Phase.CLAIMING


@pytest.mark.rule(5)
def test_after_an_unknown_commit_the_lane_is_claimed_before_anything_else() -> None:
    bench = Bench().open().hold(Commit)
    bench.order(1)
    commit = bench.held(Commit)
    bench.hold(Claim)
    before = len(bench.process.seen)
    bench.answer(CommitUnknown(commit.round))
    kinds = [type(action) for action in bench.process.seen[before:]]
    assert Claim in kinds
    assert not {Commit, Publish, Load, Release} & set(kinds)
    assert bench.lane.phase is Phase.CLAIMING
    assert bench.lane.parts == {}


@pytest.mark.rule(5)
def test_an_unknown_commit_that_landed_is_found_by_the_claim_and_not_decided_again() -> None:
    bench = Bench().open().hold(Commit)
    key = bench.order(1)
    commit = bench.held(Commit)
    assert bench.world.database.commit(bench.worker.token, commit) is None
    bench.hold()
    bench.answer(CommitUnknown(commit.round))
    bench.until(lambda: bench.state("outcome", key)).run(300)
    assert bench.names("intake") == ["IntentAccepted"]
    assert bench.names("outcome") == ["OutcomeRecorded"]
    assert len(bench.log("ledger.intake")) == 1


@pytest.mark.rule(5)
def test_an_unknown_commit_that_did_not_land_is_decided_again() -> None:
    bench = Bench().open().hold(Commit)
    key = bench.order(1)
    commit = bench.held(Commit)
    bench.hold()
    bench.answer(CommitUnknown(commit.round))
    bench.until(lambda: bench.state("outcome", key) and bench.state("outcome", key).status)
    assert bench.names("intake") == ["IntentAccepted"]
