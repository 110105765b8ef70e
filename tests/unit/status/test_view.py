"""What an operator learns of one intent at each turn of the flow: where it is, why, who said what, and the money."""

from __future__ import annotations

import msgspec
import pytest

from libs.contracts import events as e
from services.status.timeline import REASON_MAX
from services.status.view import Consent, State, TryStatus, error_category, index, is_overdue, waiting
from tests.unit.status.given import (
    ACCEPTED,
    ALLOWED,
    ASKING,
    DOUBTFUL,
    GRANTED,
    HASH,
    ID,
    REQUESTED,
    RESERVED,
    SUCCEEDED,
    Ledger,
    dispatched,
    outcome,
    result,
    running,
)

S = e.OutcomeStatus


def asked() -> Ledger:
    return Ledger().say("intake", ACCEPTED).say("validation", ASKING).say("approval", REQUESTED)


@pytest.mark.requirement("G4")
def test_a_success_shows_its_stages_money_references_and_evidence() -> None:
    ledger = (
        running()
        .say("execution", SUCCEEDED)
        .say("outcome", outcome())
        .say("budget", e.BudgetSettled(100, 60, False, ()))
    )
    view = ledger.view
    assert (view.standing.state, view.attempts, view.cost_micros) == (State.SUCCEEDED, 1, 60)
    assert (view.set_aside_micros, view.reserved_micros, view.settled_micros) == (100, 0, 60)
    assert view.price_micros == 100
    assert view.object_refs == (e.ObjectRef("commit", "c0ffee"),)
    assert [name for name, _ in view.stages] == [
        "accepted", "validated", "reserved", "dispatched", "answered", "ended", "settled",
    ]  # fmt: skip
    (once,) = view.tries
    assert (once.status, once.duration_ms, once.artifact) == (TryStatus.SUCCEEDED, 4, "sha256/ab")
    assert [finding.validator for finding in (*view.findings, *view.rechecks)] == ["freshness", "freshness"]
    assert view.positions == (
        ("ledger.budget", 2), ("ledger.execution", 2), ("ledger.intake", 1), ("ledger.outcome", 1),
        ("ledger.validation", 1),
    )  # fmt: skip
    assert (view.version, waiting(view), error_category(view)) == (7, None, None)
    assert index(view) == {"tenant": "acme", "account": "a1", "at": 1_001, "label": "SUCCEEDED"}


def test_what_was_decided_at_one_moment_is_told_in_the_order_of_the_flow() -> None:
    ledger = Ledger()
    ledger.say("budget", RESERVED)
    for topic, body in (
        ("outcome", outcome()), ("execution", dispatched()), ("intake", ACCEPTED),
        ("budget", e.BudgetSettled(1, 1, False, ())), ("validation", ALLOWED), ("execution", SUCCEEDED),
    ):  # fmt: skip
        ledger.now_at -= 1
        ledger.say(topic, body)
    assert [entry.event for entry in ledger.view.entries] == [
        "IntentAccepted", "IntentAllowed", "BudgetReserved", "ExecutionDispatched", "ExecutionSucceeded",
        "BudgetSettled", "OutcomeRecorded",
    ]  # fmt: skip
    assert [name for name, _ in ledger.view.stages] == [
        "accepted", "validated", "reserved", "dispatched", "answered", "settled", "ended",
    ]  # fmt: skip


def test_a_block_says_which_validator_and_why() -> None:
    results = (result(), result(e.Verdict.BLOCK, "STALE", "crm is 3 h old"))
    blocked = e.IntentBlocked(results, "STALE", "crm is 3 h old", HASH)
    ledger = Ledger().say("intake", ACCEPTED).say("validation", blocked)
    assert ledger.view.standing.state is State.PENDING
    assert waiting(ledger.view) == ("its outcome to be recorded", "", 0)
    view = ledger.say("outcome", outcome(S.BLOCKED, "STALE", "crm is 3 h old")).view
    assert (view.standing.state, view.standing.code, view.standing.reason) == (State.BLOCKED, "STALE", "crm is 3 h old")
    assert [(one.verdict, one.code) for one in view.findings] == [(e.Verdict.ALLOW, ""), (e.Verdict.BLOCK, "STALE")]
    assert error_category(view) is e.FailureCategory.POLICY


def test_a_request_shows_what_is_asked_who_voted_and_what_became_of_it() -> None:
    ledger = asked()
    assert ledger.view.standing.state is State.AWAITING_APPROVAL
    assert waiting(ledger.view) == ("approval by people", "lead", 5_000)
    ledger.say("approval", e.ApprovalVoted(ID, "alice", e.Vote.APPROVE, "fine"))
    assert ledger.view.standing.state is State.AWAITING_APPROVAL
    ledger.say("approval", e.ApprovalVoted(ID, "bob", e.Vote.APPROVE, "fine too"), GRANTED)
    view = ledger.view
    assert (view.standing.state, view.consent, view.approvers) == (State.READY, Consent.GRANTED, ("alice", "bob"))
    assert [(ballot.voter, ballot.reason) for ballot in view.ballots] == [("alice", "fine"), ("bob", "fine too")]
    assert view.approval is not None
    assert (view.approval.action_digest, view.approval.needed, view.approval.display) == (HASH, 2, '{"message":"hi"}')
    assert waiting(view) == ("budget", "", 9_000)
    withdrawn = ledger.say("approval", e.ApprovalWithdrawn(ID, "alice", "I was wrong")).view
    assert (withdrawn.consent, withdrawn.standing.state) == (Consent.WITHDRAWN, State.READY)


def test_nobody_is_asked_any_more_when_consent_was_refused() -> None:
    view = asked().say("approval", e.ApprovalDenied("DENIED", "too risky", "bob")).view
    assert (view.consent, view.standing.state) == (Consent.DENIED, State.AWAITING_APPROVAL)
    assert waiting(view) == ("its outcome to be recorded", "", 0)


def test_money_is_shown_as_held_then_as_what_became_of_it() -> None:
    ledger = running()
    assert (ledger.view.reserved_micros, ledger.view.released_micros) == (100, None)
    view = ledger.say("budget", e.BudgetReleased(100, "it failed", ())).view
    assert (view.set_aside_micros, view.reserved_micros, view.released_micros, view.settled_micros) == (
        100,
        0,
        100,
        None,
    )
    assert view.entries[-1].reason == "it failed"


def test_each_attempt_tells_how_it_ended() -> None:
    ledger = running().say("execution", e.ExecutionRetryScheduled(2, 4_000, "BUSY", "come back later", 1_200))
    view = ledger.view
    assert (view.standing.state, view.standing.code, view.attempts) == (State.RUNNING, "BUSY", 1)
    assert waiting(view) == ("the next attempt", "", 4_000)
    ledger.say("execution", dispatched(2))
    assert waiting(ledger.view) == ("the tool's answer", "", 0)
    assert ledger.view.standing.code == ""
    ledger.say("execution", e.ExecutionFailed(2, "REFUSED", e.FailureCategory.PERMANENT, "no such file", 3))
    view = ledger.say("outcome", outcome(S.FAILED, "REFUSED", "no such file")).view
    assert [(one.attempt, one.status, one.code) for one in view.tries] == [
        (1, TryStatus.FAILED, "BUSY"), (2, TryStatus.FAILED, "REFUSED"),
    ]  # fmt: skip
    assert (view.attempts, error_category(view)) == (2, e.FailureCategory.PERMANENT)


def test_a_call_that_the_gate_stopped_was_not_sent() -> None:
    view = running().say("execution", e.ExecutionCancelled(1, "KILLED", "a switch", "execution", True)).view
    assert [(one.status, one.code) for one in view.tries] == [(TryStatus.NOT_SENT, "KILLED")]


def test_a_doubt_is_owned_by_a_role_until_somebody_ends_it() -> None:
    ledger = running().say("execution", DOUBTFUL)
    view = ledger.view
    assert (view.standing.state, view.standing.code, view.reserved_micros) == (State.IN_DOUBT, "NO_ANSWER", 100)
    assert waiting(view) == ("a person to find out what happened", "resolver", 0)
    assert not is_overdue(view, 8_999)
    assert is_overdue(view, 9_000)
    ledger.say("execution", e.ExecutionResolved(1, True, 60, "olga", "seen in the log", ID))
    view = ledger.view
    assert view.standing.state is State.IN_DOUBT
    assert waiting(view) == ("its outcome to be recorded", "", 0)
    assert view.doubt is not None
    assert (view.doubt.applied, view.doubt.by, view.doubt.evidence) == (True, "olga", "seen in the log")
    assert ledger.say("outcome", outcome()).view.standing.state is State.SUCCEEDED


def test_an_amendment_corrects_the_ending_and_the_cost() -> None:
    late = e.ToolAnswer(e.AnswerStatus.FAILED, 1_500, 4, code="REFUSED", reason="it was refused")
    ledger = running().say("execution", SUCCEEDED).say("outcome", outcome())
    ledger.say("execution", e.LateAnswerRecorded(1, late, True))
    ledger.say("outcome", e.OutcomeAmended(S.FAILED, "the tool had not carried it out", ID))
    view = ledger.say("budget", e.BudgetCorrected(60, 0, "a late answer", ())).view
    assert (view.standing.state, view.standing.code, view.cost_micros) == (State.FAILED, "AMENDED", 0)
    assert (view.corrected_micros, view.object_refs) == (0, ())


def test_a_parked_key_waits_for_a_repair_and_goes_on_after_it() -> None:
    ledger = running().say("budget", e.KeyParked("budget", "DECIDE_FAILED", "ValueError: 1", "ledger.execution", 7))
    assert waiting(ledger.view) == ("a repair of budget", "operator", 0)
    view = ledger.say("budget", e.KeyUnparked("budget", ID, "olga", "repaired")).view
    assert waiting(view) == ("the tool's answer", "", 0)


def test_progress_is_shown_as_it_is_now_and_fills_no_timeline() -> None:
    ledger = running()
    for percent in range(100):
        ledger.say("execution", e.ProgressReported(1, percent, "copying"))
    view = ledger.view
    assert view.progress is not None
    assert (view.progress.percent, len(view.entries), view.version) == (99, 4, 104)


def test_an_intent_alone_past_its_expiry_is_overdue_and_not_expired() -> None:
    view = Ledger().say("intake", ACCEPTED).view
    assert (view.standing.state, is_overdue(view, 8_999), is_overdue(view, 9_000)) == (State.PENDING, False, True)
    ended = Ledger().say("intake", ACCEPTED).say("outcome", outcome(S.EXPIRED, "EXPIRED", "too late")).view
    assert (ended.standing.state, is_overdue(ended, 10_000)) == (State.EXPIRED, False)


def test_each_event_has_one_line_that_says_what_it_means() -> None:
    warned = msgspec.structs.replace(ASKING, results=(result(e.Verdict.WARN, "SOFT", "crm is 2 min old"),))
    dear = msgspec.structs.replace(RESERVED, warnings=("tenant:acme",))
    ledger = Ledger().say("intake", ACCEPTED).say("validation", warned).say("approval", REQUESTED, GRANTED)
    ledger.say("budget", dear).say("execution", dispatched(), SUCCEEDED).say("outcome", outcome())
    assert [entry.reason for entry in ledger.view.entries] == [
        "git/git_commit for a1",
        "ALLOW; crm is 2 min old; 2 of lead must agree",
        "2 of lead must agree",
        "approved by alice, bob",
        "100 micros set aside in 1 scopes; above the soft cap of tenant:acme",
        "attempt 1 at git",
        "committed",
        "SUCCEEDED",
    ]


def test_a_reason_is_one_short_line_whatever_somebody_wrote() -> None:
    said = e.CancelRequested(ID, "olga", "first\nsecond\x1b[2J " + "x" * 1_000)
    entry = running().say("execution", said).view.entries[-1]
    assert entry.reason.startswith("first second")
    assert len(entry.reason) == REASON_MAX
    assert entry.reason.isprintable()
