"""What comes of a dispatch, over all deciders at once: other attempts, doubt, and answers that come late."""

from __future__ import annotations

from typing import Any

from libs.contracts import events as e
from libs.ledger.service import Due, DueKind, Recover
from libs.testkit.flow import KEY, cancel, desk, late, resolve, submit
from libs.testkit.given import Desk
from libs.testkit.samples import (
    BOB,
    HOUR,
    NOW,
    READING,
    SECOND,
    WORKER,
    answer,
    intent,
    standard_control,
    switch,
)
from services.status.view import State
from tests.unit.flow.given import (
    AMBIGUOUS,
    DISPATCHED,
    DOUBT,
    dispatched,
    ended,
    money,
)


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
