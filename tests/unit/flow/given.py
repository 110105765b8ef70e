"""What the tests of the flow share: how far a story is, and how it must have ended."""

from __future__ import annotations

from libs.contracts import events as e
from libs.testkit.flow import KEY, desk, rebuild_is_equal, submit
from libs.testkit.given import Desk
from libs.testkit.samples import (
    HUMAN_RULE,
    answer,
    policy,
)

HUMAN = policy(approvals=[HUMAN_RULE])
ACCEPTED = ["IntentAccepted", "IntentAllowed"]
ASKED = [*ACCEPTED, "ApprovalRequested"]
RESERVED = [*ACCEPTED, "BudgetReserved"]
DISPATCHED = [*RESERVED, "ExecutionDispatched"]
DOUBT = [*DISPATCHED, "ExecutionInDoubt"]
AMBIGUOUS = answer(e.AnswerStatus.AMBIGUOUS, code="NO_ANSWER", reason="the connection was lost")


def money(at: Desk) -> tuple[int, int]:
    """Pending and posted, over all stripes of the tenant's budget."""
    rows = at.scopes.rows.values()
    return sum(row.pending_micros for row in rows), sum(row.posted_micros for row in rows)


def ended(at: Desk, sequence: list[str], status: e.OutcomeStatus, held: tuple[int, int] = (0, 0)) -> None:
    """The exact events, one outcome, the money, and a status that says the same."""
    assert sorted(at.names(KEY)) == sorted(sequence)
    outcomes = [fact for fact in at.facts if isinstance(fact.body, e.OutcomeRecorded)]
    assert len(outcomes) == 1
    assert outcomes[0].body.status is status
    assert money(at) == held
    view = at.state("status", KEY)
    amended = [fact.body.status for fact in at.facts if isinstance(fact.body, e.OutcomeAmended)]
    assert view.standing.state.value == [status, *amended][-1].value
    assert view.version == len(at.of(KEY))
    for seed in range(0, 30, 3):
        rebuild_is_equal(at, seed)


def dispatched(at: Desk | None = None) -> Desk:
    at = at or desk()
    submit(at)
    at.run()
    assert at.names(KEY) == DISPATCHED
    return at
