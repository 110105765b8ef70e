"""Every ending of the flow, from the submission to the outcome and the money, over all deciders at once."""

from __future__ import annotations

import pytest

from libs.contracts import events as e
from libs.ledger.service import DueKind, Stopped
from libs.testkit.flow import KEY, cancel, desk, submit, vote
from libs.testkit.given import Desk
from libs.testkit.samples import (
    ALICE,
    HOUR,
    NOW,
    SECOND,
    answer,
    budget,
    intent,
    standard_control,
    switch,
)
from services.status.view import State
from tests.unit.flow.given import (
    ACCEPTED,
    ASKED,
    DISPATCHED,
    HUMAN,
    RESERVED,
    dispatched,
    ended,
    money,
)


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


def test_no_budget_though_people_agreed() -> None:
    at = desk(standard_control(budget(99), HUMAN))
    submit(at)
    at.run()
    at.command(vote(at, ALICE))
    at.run()
    sequence = [*ASKED, "ApprovalVoted", "ApprovalGranted", "BudgetDenied", "OutcomeRecorded"]
    ended(at, sequence, e.OutcomeStatus.DENIED)


def test_a_closed_switch_is_a_block() -> None:
    at = desk(standard_control(switch()))
    submit(at)
    at.run()
    ended(at, ["IntentAccepted", "IntentBlocked", "OutcomeRecorded"], e.OutcomeStatus.BLOCKED)
    assert at.last(e.OutcomeRecorded).code.startswith("SWITCH_")


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


@pytest.mark.parametrize("code", ["TOOL_CHANGED", "TOOL_QUARANTINED", "TOOL_UNKNOWN"])
def test_a_tool_that_changed_between_dispatch_and_call_is_refused_at_the_gate(code: str) -> None:
    at = dispatched()
    at.result(KEY, answer(e.AnswerStatus.NOT_SENT, code=code, category=e.FailureCategory.POLICY))
    at.run()
    ended(at, [*DISPATCHED, "ExecutionRefused", "BudgetReleased", "OutcomeRecorded"], e.OutcomeStatus.REFUSED)
    refused = at.last(e.ExecutionRefused)
    assert (refused.attempt, refused.code, refused.not_sent) == (1, code, True)


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
