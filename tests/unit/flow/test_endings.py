"""Every ending of the flow, from the submission to the outcome and the money, over all deciders at once."""

from __future__ import annotations

from typing import Any

import pytest

from libs.contracts import events as e
from libs.ledger.service import Due, DueKind, Recover, Stopped
from libs.testkit.flow import KEY, cancel, desk, late, rebuild_is_equal, resolve, submit, vote
from libs.testkit.given import Desk
from libs.testkit.samples import (
    ALICE,
    BOB,
    HOUR,
    HUMAN_RULE,
    NOW,
    READING,
    SECOND,
    WORKER,
    answer,
    budget,
    intent,
    policy,
    standard_control,
    switch,
)
from services.status.view import State

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


def test_success_is_posted_and_recorded() -> None:
    at = dispatched()
    at.result(KEY, answer(cost_micros=70))
    at.run()
    ended(
        at, [*DISPATCHED, "ExecutionSucceeded", "BudgetSettled", "OutcomeRecorded"], e.OutcomeStatus.SUCCEEDED, (0, 70)
    )
    assert at.last(e.OutcomeRecorded).object_refs == (e.ObjectRef("commit", "abc"),)


def test_success_without_a_cost_of_its_own_costs_the_price() -> None:
    at = dispatched()
    at.result(KEY, answer())
    at.run()
    assert money(at) == (0, 100)


def test_an_overrun_is_posted_and_flagged() -> None:
    at = dispatched()
    at.result(KEY, answer(cost_micros=130))
    at.run()
    assert at.last(e.BudgetSettled).overrun
    assert money(at) == (0, 130)


def test_definite_failure_is_released() -> None:
    at = dispatched()
    at.result(KEY, answer(e.AnswerStatus.FAILED, code="REFUSED", reason="no such repository"))
    at.run()
    ended(at, [*DISPATCHED, "ExecutionFailed", "BudgetReleased", "OutcomeRecorded"], e.OutcomeStatus.FAILED)


def test_stale_evidence_is_blocked() -> None:
    at = desk()
    submit(at, intent(data_sources=(e.DataSource("crm", NOW - HOUR),)))
    at.run()
    ended(at, ["IntentAccepted", "IntentBlocked", "OutcomeRecorded"], e.OutcomeStatus.BLOCKED)
    assert at.last(e.OutcomeRecorded).code == "FRESHNESS_STALE"


def test_a_human_agrees_and_it_runs() -> None:
    at = desk(standard_control(HUMAN))
    submit(at)
    at.run()
    assert at.names(KEY) == ASKED
    assert at.state("status", KEY).standing.state is State.AWAITING_APPROVAL
    at.command(vote(at, ALICE))
    at.run()
    assert at.last(e.ExecutionDispatched).approval_id is not None
    at.result(KEY, answer())
    at.run()
    sequence = [*ASKED, "ApprovalVoted", "ApprovalGranted", *DISPATCHED[2:], "ExecutionSucceeded", "BudgetSettled"]
    ended(at, [*sequence, "OutcomeRecorded"], e.OutcomeStatus.SUCCEEDED, (0, 100))


def test_a_human_says_no() -> None:
    at = desk(standard_control(HUMAN))
    submit(at)
    at.run()
    at.command(vote(at, ALICE, e.Vote.DENY))
    at.run()
    ended(at, [*ASKED, "ApprovalVoted", "ApprovalDenied", "OutcomeRecorded"], e.OutcomeStatus.DENIED)


def test_silence_is_a_refusal() -> None:
    at = desk(standard_control(HUMAN))
    submit(at)
    at.run()
    waiting = at.waits("approval", KEY)
    assert waiting is not None
    assert waiting.due_at == NOW + 60 * SECOND
    at.at(NOW + 60 * SECOND).due("approval", KEY)
    at.run()
    ended(at, [*ASKED, "ApprovalExpired", "OutcomeRecorded"], e.OutcomeStatus.EXPIRED)


def test_cancelled_while_it_waits_for_a_human() -> None:
    at = desk(standard_control(HUMAN))
    submit(at)
    at.run()
    at.command(cancel())
    at.run()
    ended(at, [*ASKED, "CancelRequested", "ApprovalCancelled", "OutcomeRecorded"], e.OutcomeStatus.CANCELLED)


def test_no_budget() -> None:
    at = desk(standard_control(budget(99)))
    submit(at)
    at.run()
    ended(at, [*ACCEPTED, "BudgetDenied", "OutcomeRecorded"], e.OutcomeStatus.DENIED)
    assert "99" in at.last(e.BudgetDenied).reason


def waiting_for_capacity() -> Desk:
    at = desk()
    at.capacity = 0
    submit(at)
    at.run()
    assert at.names(KEY) == RESERVED
    return at


STOPPED = [*RESERVED, "BudgetReleased", "OutcomeRecorded"]


def test_cancelled_before_the_call() -> None:
    at = waiting_for_capacity()
    at.command(cancel())
    at.run()
    ended(at, [*STOPPED, "CancelRequested", "ExecutionCancelled"], e.OutcomeStatus.CANCELLED)


def test_killed_before_the_call() -> None:
    at = waiting_for_capacity()
    at.under(standard_control(switch())).due("execution", KEY, DueKind.READY)
    at.run()
    ended(at, [*STOPPED, "ExecutionCancelled"], e.OutcomeStatus.CANCELLED)
    assert at.last(e.OutcomeRecorded).code == "KILLED"


def test_expired_before_the_call() -> None:
    at = waiting_for_capacity()
    waiting = at.waits("execution", KEY)
    assert waiting is not None
    assert waiting.due_at == NOW + HOUR
    at.at(NOW + HOUR).due("execution", KEY)
    at.run()
    ended(at, [*STOPPED, "ExecutionExpired"], e.OutcomeStatus.EXPIRED)


def test_what_was_fresh_is_stale_at_dispatch() -> None:
    at = desk()
    at.capacity = 0
    submit(at, intent(data_sources=(e.DataSource("crm", NOW - SECOND),)))
    at.run()
    at.capacity = 1
    at.at(NOW + 600 * SECOND).due("execution", KEY, DueKind.READY)
    at.run()
    ended(at, [*STOPPED, "ExecutionRefused"], e.OutcomeStatus.REFUSED)
    assert at.last(e.ExecutionRefused).code == "FRESHNESS_STALE"


def test_consent_is_withdrawn_before_the_call() -> None:
    at = desk(standard_control(HUMAN))
    at.capacity = 0
    submit(at)
    at.run()
    at.command(vote(at, ALICE))
    at.run()
    at.command(e.WithdrawApproval(**{f: getattr(cancel(ALICE), f) for f in cancel().__struct_fields__}))
    at.run()
    consent = ["ApprovalRequested", "ApprovalVoted", "ApprovalGranted", "ApprovalWithdrawn"]
    ended(at, [*STOPPED, *consent, "ExecutionCancelled"], e.OutcomeStatus.CANCELLED)
    assert at.last(e.OutcomeRecorded).code == "APPROVAL_WITHDRAWN"


def test_a_tool_that_changed_is_refused_at_dispatch() -> None:
    at = waiting_for_capacity()
    at.capacity = 1
    at.under(standard_control(definition={"name": "commit", "description": "now it also pushes"}))
    at.due("execution", KEY, DueKind.READY)
    at.run()
    ended(at, [*STOPPED, "ExecutionRefused"], e.OutcomeStatus.REFUSED)
    assert at.last(e.ExecutionRefused).code == "TOOL_CHANGED"


@pytest.mark.parametrize(
    ("code", "event", "status"),
    [
        ("KILLED", "ExecutionCancelled", e.OutcomeStatus.CANCELLED),
        ("EXPIRED", "ExecutionExpired", e.OutcomeStatus.EXPIRED),
    ],
)
def test_the_gate_stopped_it_provably_not_sent(code: str, event: str, status: e.OutcomeStatus) -> None:
    at = dispatched()
    at.tell("execution", Stopped(KEY, 1, code, "stopped at the gate"))
    at.run()
    ended(at, [*DISPATCHED, event, "BudgetReleased", "OutcomeRecorded"], status)
    assert next(f.body for f in at.facts if type(f.body).__name__ == event).not_sent


def test_cancelled_after_dispatch_is_stopped_at_the_gate() -> None:
    at = dispatched()
    at.command(cancel())
    at.run()
    assert at.effects()[0].stop_code == "CANCELLED"
    at.tell("execution", Stopped(KEY, 1, "CANCELLED", "because"))
    at.run()
    sequence = [*DISPATCHED, "CancelRequested", "ExecutionCancelled", "BudgetReleased", "OutcomeRecorded"]
    ended(at, sequence, e.OutcomeStatus.CANCELLED)
    assert at.last(e.ExecutionCancelled).by == "agent-1"


def test_a_cancellation_that_comes_too_late_changes_nothing() -> None:
    at = dispatched()
    at.command(cancel())
    at.result(KEY, answer())
    at.run()
    sequence = [*DISPATCHED, "CancelRequested", "ExecutionSucceeded", "BudgetSettled", "OutcomeRecorded"]
    ended(at, sequence, e.OutcomeStatus.SUCCEEDED, (0, 100))


def test_a_failure_worth_another_try() -> None:
    at = dispatched(desk(**READING))
    at.result(KEY, answer(e.AnswerStatus.AMBIGUOUS, category=e.FailureCategory.TRANSIENT, code="TIMEOUT"))
    at.run()
    scheduled = at.last(e.ExecutionRetryScheduled)
    assert scheduled.attempt == 2
    assert money(at) == (100, 0)
    assert at.due("execution", KEY) == []
    at.at(scheduled.retry_at).due("execution", KEY)
    at.result(KEY, answer(), attempt=2)
    at.run()
    again = ["ExecutionRetryScheduled", "ExecutionDispatched", "ExecutionSucceeded", "BudgetSettled"]
    ended(at, [*DISPATCHED, *again, "OutcomeRecorded"], e.OutcomeStatus.SUCCEEDED, (0, 100))
    assert at.last(e.OutcomeRecorded).attempts == 2


def test_a_read_that_fails_again_and_again_has_failed() -> None:
    at = dispatched(desk(**READING))
    for attempt in (1, 2, 3):
        at.result(KEY, answer(e.AnswerStatus.AMBIGUOUS, code="TIMEOUT"), attempt)
        at.at(at.world.now_at + 120 * SECOND).due("execution", KEY)
    at.run()
    tries = ["ExecutionRetryScheduled", "ExecutionDispatched"] * 2
    sequence = [*DISPATCHED, *tries, "ExecutionFailed", "BudgetReleased", "OutcomeRecorded"]
    ended(at, sequence, e.OutcomeStatus.FAILED)


def in_doubt() -> Desk:
    at = dispatched()
    at.result(KEY, AMBIGUOUS)
    at.run()
    assert at.names(KEY) == DOUBT
    assert money(at) == (100, 0)
    view, waiting = at.state("status", KEY), at.waits("execution", KEY)
    assert view.standing.state is State.IN_DOUBT
    assert waiting is not None
    assert (waiting.due_at, waiting.owner) == (None, "resolver")
    return at


def test_doubt_has_no_outcome_and_is_resolved_as_applied() -> None:
    at = in_doubt()
    at.command(resolve(BOB, applied=True, cost_micros=80))
    at.run()
    ended(at, [*DOUBT, "ExecutionResolved", "BudgetSettled", "OutcomeRecorded"], e.OutcomeStatus.SUCCEEDED, (0, 80))


def test_doubt_is_resolved_as_not_applied_after_the_quiet_period_only() -> None:
    at = in_doubt()
    at.command(resolve(BOB, applied=False))
    assert at.last(e.CommandRejected).code == "QUIET_PERIOD"
    at.at(at.last(e.ExecutionInDoubt).quiet_until_at).command(resolve(BOB, applied=False))
    at.run()
    sequence = [*DOUBT, "CommandRejected", "ExecutionResolved", "BudgetReleased", "OutcomeRecorded"]
    ended(at, sequence, e.OutcomeStatus.FAILED)


def test_no_kill_cancellation_or_expiry_ends_a_doubt() -> None:
    at = in_doubt()
    at.command(cancel())
    assert at.last(e.CommandRejected).code == "IN_DOUBT"
    at.under(standard_control(switch())).at(NOW + 2 * HOUR)
    assert at.due("execution", KEY) == []
    assert at.tell("execution", Due(KEY, DueKind.READY)) == []


def test_a_late_answer_ends_a_doubt() -> None:
    at = in_doubt()
    at.command(late(answer(cost_micros=60), WORKER))
    at.run()
    sequence = [*DOUBT, "LateAnswerRecorded", "ExecutionResolved", "BudgetSettled", "OutcomeRecorded"]
    ended(at, sequence, e.OutcomeStatus.SUCCEEDED, (0, 60))


def test_an_answer_that_contradicts_a_resolution_corrects_it() -> None:
    at = in_doubt()
    at.at(NOW + HOUR).command(resolve(BOB, applied=False))
    at.run()
    at.command(late(answer(), WORKER))
    at.run()
    corrected = ["LateAnswerRecorded", "BudgetCorrected", "OutcomeAmended"]
    sequence = [*DOUBT, "ExecutionResolved", "BudgetReleased", "OutcomeRecorded", *corrected]
    ended(at, sequence, e.OutcomeStatus.FAILED, (0, 100))
    assert at.last(e.OutcomeAmended).status is e.OutcomeStatus.SUCCEEDED


def test_a_lost_owner_leaves_an_opaque_call_in_doubt_and_repeats_a_read() -> None:
    at = dispatched()
    at.tell("execution", Recover(KEY, 1, True, NOW, NOW + 9 * SECOND))
    assert at.last(e.ExecutionInDoubt).quiet_until_at == NOW + 9 * SECOND
    at = dispatched(desk(**READING))
    at.tell("execution", Recover(KEY, 1, True, NOW, NOW + 9 * SECOND))
    assert at.last(e.ExecutionRetryScheduled).first_started_at == NOW


def test_a_dispatch_that_was_not_started_is_called_as_it_stands() -> None:
    at = dispatched()
    assert at.tell("execution", Recover(KEY, 1, False, None, 0)) == []
    assert [effect.attempt for effect in at.effects()] == [1]


def test_a_bad_submission_leaves_the_intent_alone() -> None:
    at = dispatched()
    submit(at, intent(arguments='{"message": "other"}'), offset=7)
    at.run()
    rejected = [fact for fact in at.facts if isinstance(fact.body, e.SubmissionRejected)]
    assert [fact.body.code for fact in rejected] == ["KEY_REUSED"]
    assert rejected[0].envelope.intent_id == rejected[0].body.submission_id != KEY
    assert [dead.code for _, dead in at.dead] == ["KEY_REUSED"]
    assert at.names(KEY) == DISPATCHED


def test_the_same_submission_again_is_the_same_intent() -> None:
    at = dispatched()
    submit(at, offset=8)
    submit(at, intent(trace_parent="00-" + "a" * 32 + "-" + "b" * 16 + "-01"), offset=9)
    at.run()
    assert at.names() == DISPATCHED


def test_a_decision_is_taken_at_most_once_however_often_the_world_is_looked_at() -> None:
    at = dispatched()
    kinds: list[Any] = [DueKind.READY, DueKind.TIMER]
    for name in at.services:
        for kind in kinds:
            assert at.due(name, KEY, kind) == []
