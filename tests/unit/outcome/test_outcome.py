"""Exactly one outcome per accepted intent, whatever the order in which its end is told."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from libs.contracts import events as e
from libs.ledger.service import Fact
from libs.testkit.given import Desk
from libs.testkit.samples import NOW, ZERO, answer, control, envelope
from services.table import TABLE

KEY = b"k" * 16
S = e.OutcomeStatus
ACCEPTED = e.IntentAccepted("key", "git/commit", "vcs", "{}", NOW, e.Principal("acme", "a", e.ActorKind.MACHINE, (), ()), ZERO, NOW)  # fmt: skip  # noqa: E501
REF = e.ObjectRef("commit", "abc")
ENDINGS: list[tuple[str, Any, e.OutcomeStatus, str, int, int]] = [
    ("validation", e.IntentBlocked((), "TOOL_UNKNOWN", "", ZERO), S.BLOCKED, "TOOL_UNKNOWN", 0, 0),
    ("approval", e.ApprovalDenied("DENIED", "", "alice"), S.DENIED, "DENIED", 0, 0),
    ("approval", e.ApprovalExpired(""), S.EXPIRED, "APPROVAL_EXPIRED", 0, 0),
    ("approval", e.ApprovalCancelled("a", "", None), S.CANCELLED, "CANCELLED", 0, 0),
    ("budget", e.BudgetDenied(1, "", "BUDGET_EXCEEDED", "", 0), S.DENIED, "BUDGET_EXCEEDED", 0, 0),
    ("execution", e.ExecutionSucceeded(2, 70, (REF,), 0, "", NOW, 5), S.SUCCEEDED, "", 70, 2),
    ("execution", e.ExecutionFailed(1, "X", e.FailureCategory.PERMANENT, "", 5), S.FAILED, "X", 0, 1),
    ("execution", e.ExecutionRefused(0, "TOOL_CHANGED", "", False), S.REFUSED, "TOOL_CHANGED", 0, 0),
    ("execution", e.ExecutionCancelled(1, "KILLED", "", "execution", True), S.CANCELLED, "KILLED", 0, 1),
    ("execution", e.ExecutionExpired(0, "", False), S.EXPIRED, "EXPIRED", 0, 0),
    ("execution", e.ExecutionResolved(1, True, 60, "bob", "seen"), S.SUCCEEDED, "", 60, 1),
    ("execution", e.ExecutionResolved(1, False, 0, "bob", "seen"), S.FAILED, "NOT_APPLIED", 0, 1),
]
BYSTANDERS: list[tuple[str, Any]] = [
    ("execution", e.CancelRequested(bytes(16), "a", "")),
    ("execution", e.ExecutionInDoubt(1, "X", "", NOW, "resolver")),
    ("execution", e.LateAnswerRecorded(1, answer(), False)),
    ("budget", e.BudgetReleased(1, "", ())),
]


def desk() -> Desk:
    return Desk([TABLE["outcome"]], control())


def tell(at: Desk, topic: str, body: Any, seq: int = 1) -> list[Any]:
    fact = Fact(f"ledger.{topic}", envelope(seq, intent_id=KEY), body, ZERO)
    return [decision.body for decision in at.tell("outcome", fact)]  # type: ignore[union-attr]


@pytest.mark.requirement("G1")
@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: f"{type(ending[1]).__name__}-{ending[2]}")
@pytest.mark.parametrize("accepted_first", [True, False])
def test_each_ending_is_recorded_once(ending: Any, accepted_first: bool) -> None:
    topic, body, status, code, cost, attempts = ending
    told = [("intake", ACCEPTED), (topic, body)]
    at, found = desk(), []
    for number, (where, what) in enumerate(told if accepted_first else told[::-1]):
        found += tell(at, where, what, number + 7)
    assert len(found) == 1
    recorded = found[0]
    assert (recorded.status, recorded.code, recorded.cost_micros, recorded.attempts) == (status, code, cost, attempts)
    assert recorded.tool == "git/commit"
    assert recorded.decided_by == envelope(8 if accepted_first else 7, intent_id=KEY).event_id
    assert tell(at, topic, body, 9) == []


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_what_ends_nothing_records_nothing(order: tuple[int, ...]) -> None:
    at = desk()
    tell(at, "intake", ACCEPTED)
    assert [tell(at, *BYSTANDERS[n], 5) for n in order] == [[]] * 4


def test_a_contradicting_answer_amends_each_time() -> None:
    at = desk()
    tell(at, "intake", ACCEPTED)
    tell(at, *ENDINGS[-1][:2])
    amended = tell(at, "execution", e.LateAnswerRecorded(1, answer(cost_micros=80), True), 5)
    assert [(a.status, a.cost_micros, a.object_refs) for a in amended] == [(S.SUCCEEDED, 80, (REF,))]
    back = tell(at, "execution", e.LateAnswerRecorded(1, answer(e.AnswerStatus.FAILED), True), 6)
    assert [(a.status, a.cost_micros) for a in back] == [(S.FAILED, 0)]
    assert len([fact for fact in at.facts if isinstance(fact.body, e.OutcomeRecorded)]) == 1


def test_a_contradiction_told_before_the_intent_comes_with_the_outcome() -> None:
    at = desk()
    tell(at, *ENDINGS[-1][:2])
    tell(at, "execution", e.LateAnswerRecorded(1, answer(), True), 5)
    assert [type(body).__name__ for body in tell(at, "intake", ACCEPTED)] == ["OutcomeRecorded", "OutcomeAmended"]
