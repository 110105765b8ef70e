"""What planted bugs slipped through at first: a worker without a control view, a claim right after an unknown commit, a
result whose commit was refused."""

from __future__ import annotations

import pytest

from libs.ledger.protocol import Claim, Commit, CommitRefused, CommitUnknown, LaneSeen, Load, Surveyed
from libs.ledger.service import ScopeRow
from libs.testkit.simulation.bench import Bench


@pytest.mark.rule(1)
def test_a_worker_that_has_no_control_view_yet_claims_nothing_however_free_the_lanes_are() -> None:
    worker = Bench().worker
    worker.control = worker.control_confirmed_ms = None
    free = Surveyed(0, 1, [worker.token], [LaneSeen(0, None, True, "")])
    assert not [a for a in worker.handle(free, 5) if isinstance(a, Claim)]
    worker.control, worker.control_confirmed_ms = Bench().open().worker.control, 6
    assert [a.lane for a in worker.handle(free, 6) if isinstance(a, Claim)] == [0]


@pytest.mark.rule(2)
def test_a_claim_after_an_unknown_commit_keeps_nothing_either() -> None:
    bench = Bench().open().hold(Commit)
    bench.order(1)
    commit = bench.held(Commit)
    lane = bench.lane
    lane.scopes["scope/0"] = {0: ScopeRow("scope/0", 0, 7)}
    bench.hold(Claim, Load).answer(CommitUnknown(commit.round, "lost"))
    bench.held(Claim)
    assert (len(lane.queue), len(lane.direct), lane.scopes, lane.parts, lane.effects) == (0, 0, {}, {}, {})
    assert (lane.epoch, lane.lease_end_boot_ms, lane.busy) == (0, 0, False)


@pytest.mark.rule(6)
def test_a_result_whose_commit_is_refused_is_recorded_by_the_next_one() -> None:
    bench = Bench().open()
    key = bench.order(1)
    bench.until(lambda: bench.names("execution"))
    bench.hold(Commit)
    first = bench.held(Commit)
    bench.answer(CommitRefused(first.round, scopes=(ScopeRow("scope/0", 0, 1), ScopeRow("scope/1", 0, 1))))
    again = bench.held(Commit)
    decode = bench.world.cast.decode
    facts = [[decode("ledger.execution", r.value) for r in c.changes["execution"][0].records] for c in (first, again)]
    assert [[(f.envelope.intent_id, type(f.body).__name__) for f in one] for one in facts] == [
        [(key, "ExecutionSucceeded")]
    ] * 2
    assert (key, 1) in bench.worker.calls
