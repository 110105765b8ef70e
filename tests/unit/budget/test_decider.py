"""Money follows the deed: set aside before it in all scopes or none, spent or freed after it, once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from libs.contracts import events as e
from libs.governance.audit import audit
from libs.ledger.service import Fact
from libs.testkit.given import Desk, Stripes
from libs.testkit.samples import HOUR, NOW, ZERO, answer, budget, changed, control, envelope, said, switch, tool
from services.table import TABLE

KEY = b"k" * 16
VALIDATION, APPROVAL, EXECUTION = "ledger.validation", "ledger.approval", "ledger.execution"
K, PERIOD = e.BudgetKind, e.BudgetPeriod


def allowed(**more: Any) -> e.IntentAllowed:
    fields: dict[str, Any] = {
        "verdict": e.Verdict.ALLOW, "results": (), "human_required": False, "approvals_needed": 0,
        "approver_roles": (), "action_digest": ZERO, "policy_hash": ZERO, "tool": "git/commit", "tool_hash": ZERO,
        "server": "git", "price_micros": 100, "cost_class": e.CostClass.CHEAP, "effect_class": e.EffectClass.OPAQUE,
        "effect": e.EffectKind.WRITE, "target": "", "display": "{}", "expires_at": NOW + HOUR, "requester": "agent-1",
    }  # fmt: skip
    return e.IntentAllowed(**fields | more)


GRANTED = e.ApprovalGranted(ZERO, ("alice",), NOW + HOUR)
SUCCEEDED = e.ExecutionSucceeded(1, 70, (), 0, "", NOW, 5)
FAILED = e.ExecutionFailed(1, "X", e.FailureCategory.PERMANENT, "", 5)
RESOLVED = e.ExecutionResolved(1, True, 60, "bob", "seen")


class Till:
    """The budget service alone, told facts of one intent after another."""

    def __init__(self, *bodies: Any, lane: int = 0, rows: Any = None) -> None:
        self.desk = Desk([TABLE["budget"]], control(tool(), *bodies), scopes=Stripes(4, lane, rows))
        self.numbers: Iterator[int] = iter(range(1, 10_000))

    def told(self, topic: str, body: Any, key: bytes = KEY, **more: Any) -> Any:
        """What becomes of a fact: the one event, or None."""
        decided = self.desk.tell("budget", Fact(topic, envelope(next(self.numbers), intent_id=key, **more), body, ZERO))
        assert len(decided) <= 1
        return decided[0].body if decided else None  # type: ignore[union-attr]

    def reserve(self, key: bytes = KEY, **more: Any) -> Any:
        return self.told(VALIDATION, allowed(**more), key)

    @property
    def sums(self) -> tuple[int, int]:
        rows = self.desk.scopes.rows.values()
        return sum(row.pending_micros for row in rows), sum(row.posted_micros for row in rows)

    def balanced(self) -> None:
        found = audit(self.desk.facts, 4)
        assert found.faults == ()


def test_it_is_reserved_when_it_is_allowed() -> None:
    till = Till(budget())
    found = till.reserve()
    assert (found.amount_micros, found.scopes, found.warnings) == (100, ("TENANT:acme:ALL:ONCE",), ())
    assert till.sums == (100, 0)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_it_is_reserved_when_people_agreed_in_whatever_order_that_is_told(order: tuple[int, int]) -> None:
    till = Till(budget())
    facts = [(VALIDATION, allowed(human_required=True)), (APPROVAL, GRANTED)]
    found = [till.told(*facts[n]) for n in order]
    assert found[0] is None
    assert isinstance(found[1], e.BudgetReserved)


@pytest.mark.parametrize(
    "body",
    [
        e.ApprovalDenied("DENIED", "", "alice"),
        e.ApprovalExpired("late"),
        e.ApprovalCancelled("agent-1", "", None),
    ],
)
def test_without_consent_nothing_is_reserved(body: Any) -> None:
    till = Till(budget())
    assert till.reserve(human_required=True) is None
    assert till.told(APPROVAL, body) is None
    assert till.told(APPROVAL, GRANTED) is None
    assert till.sums == (0, 0)


def test_without_any_budget_nothing_is_free() -> None:
    assert Till().reserve().code == "BUDGET_MISSING"
    assert Till(budget(name="evil")).reserve(price_micros=0).code == "BUDGET_MISSING"
    dear = Till(budget(cost_class=e.CostClass.EXPENSIVE))
    assert dear.reserve().code == "BUDGET_MISSING"


def test_a_closed_switch_refuses() -> None:
    till = Till(budget(), switch(e.SwitchKind.CAPABILITY, "vcs"))
    assert till.reserve().code == "SWITCH_CAPABILITY"


@pytest.mark.requirement("C2")
def test_all_scopes_or_none() -> None:
    till = Till(budget(1_000), budget(150, K.TOOL, "git/commit"), budget(500, K.ACCOUNT, "acme/main"))
    assert len(till.reserve().scopes) == 3
    denied = till.reserve(b"2" * 16)
    assert (denied.code, denied.scope) == ("BUDGET_EXCEEDED", "TOOL:git/commit:ALL:ONCE")
    assert denied.scope in denied.reason
    assert (denied.available_micros, till.sums) == (50, (300, 0))
    till.balanced()


def test_a_denial_shows_the_stripes_it_saw_and_leaves_them() -> None:
    till = Till(budget(150))
    till.reserve()
    rows = dict(till.desk.scopes.rows)
    denied = till.reserve(b"2" * 16)
    assert sum(line.pending_micros for line in denied.lines) == 100
    assert till.desk.scopes.rows == rows
    assert TABLE["budget"].lines is not None
    assert TABLE["budget"].lines(till.desk.facts[-1]) == ()
    till.balanced()


@pytest.mark.parametrize(
    ("period", "at", "window"),
    [
        (PERIOD.ONCE, NOW, "ONCE"),
        (PERIOD.DAY, NOW, "DAY-2025-11-21"),
        (PERIOD.DAY, NOW + 20 * HOUR, "DAY-2025-11-22"),
        (PERIOD.MONTH, NOW + 10 * 24 * HOUR, "MONTH-2025-12"),
    ],
)
def test_a_period_has_a_scope_of_its_own(period: e.BudgetPeriod, at: int, window: str) -> None:
    till = Till(budget(period=period))
    till.desk.at(at)
    assert till.reserve().scopes == (f"TENANT:acme:ALL:{window}",)


def test_a_new_day_begins_at_zero_and_old_reservations_settle_in_theirs() -> None:
    till = Till(budget(100, period=PERIOD.DAY))
    till.reserve()
    till.desk.at(NOW + 24 * HOUR)
    assert isinstance(till.reserve(b"2" * 16), e.BudgetReserved)
    settled = till.told(EXECUTION, SUCCEEDED)
    assert [line.scope for line in settled.lines] == ["TENANT:acme:ALL:DAY-2025-11-21"]
    till.balanced()


@pytest.mark.requirement("C2")
def test_a_soft_cap_warns_and_changes_nothing() -> None:
    till = Till(budget(1_000, soft_micros=150))
    assert till.reserve().warnings == ()
    assert till.reserve(b"2" * 16).warnings == ("TENANT:acme:ALL:ONCE",)


@pytest.mark.requirement("C4")
@pytest.mark.parametrize(
    ("body", "kind", "sums"),
    [
        (SUCCEEDED, e.BudgetSettled, (0, 70)),
        (RESOLVED, e.BudgetSettled, (0, 60)),
        (changed(RESOLVED, applied=False, cost_micros=0), e.BudgetReleased, (0, 0)),
        (FAILED, e.BudgetReleased, (0, 0)),
        (e.ExecutionCancelled(0, "CANCELLED", "", "agent-1", False), e.BudgetReleased, (0, 0)),
        (e.ExecutionExpired(0, "", False), e.BudgetReleased, (0, 0)),
        (e.ExecutionRefused(0, "TOOL_CHANGED", "", False), e.BudgetReleased, (0, 0)),
        (e.ExecutionInDoubt(1, "X", "", NOW, "resolver"), type(None), (100, 0)),
        (e.ExecutionRetryScheduled(2, NOW, "X", ""), type(None), (100, 0)),
        (e.CancelRequested(ZERO[:16], "agent-1", ""), type(None), (100, 0)),
    ],
)
def test_what_becomes_of_the_deed_becomes_of_the_money(body: Any, kind: type, sums: tuple[int, int]) -> None:
    till = Till(budget())
    till.reserve()
    assert isinstance(till.told(EXECUTION, body), kind)
    assert till.sums == sums
    till.balanced()


@pytest.mark.requirement("C4")
def test_money_moves_once() -> None:
    till = Till(budget())
    till.reserve()
    assert till.reserve() is None
    till.told(EXECUTION, SUCCEEDED)
    assert till.told(EXECUTION, SUCCEEDED) is None
    assert till.told(EXECUTION, FAILED) is None
    assert till.sums == (0, 70)


@pytest.mark.parametrize(
    ("first", "late", "change"),
    [
        (changed(RESOLVED, applied=False, cost_micros=0), answer(cost_micros=80), (0, 80)),
        (changed(RESOLVED, applied=False, cost_micros=0), answer(), (0, 100)),
        (RESOLVED, answer(e.AnswerStatus.FAILED), (60, 0)),
        (RESOLVED, answer(cost_micros=65), (60, 65)),
    ],
)
def test_a_late_answer_corrects_what_was_settled(first: Any, late: Any, change: tuple[int, int]) -> None:
    till = Till(budget())
    till.reserve()
    till.told(EXECUTION, first)
    assert till.told(EXECUTION, e.LateAnswerRecorded(1, late, False)) is None
    corrected = till.told(EXECUTION, e.LateAnswerRecorded(1, late, True))
    assert (corrected.from_micros, corrected.to_micros) == change
    assert till.sums == (0, change[1])
    till.balanced()


def test_an_overrun_is_posted_flagged_and_freezes() -> None:
    till = Till(budget(400))
    till.reserve(price_micros=10)
    settled = till.told(EXECUTION, changed(SUCCEEDED, cost_micros=390))
    assert settled.overrun
    assert len(settled.lines) == 4
    assert isinstance(till.reserve(b"2" * 16, price_micros=10), e.BudgetReserved)
    assert till.reserve(b"3" * 16, price_micros=1).code == "BUDGET_EXCEEDED"
    till.balanced()


def test_a_budget_that_was_removed_still_takes_its_settlements() -> None:
    till = Till(budget())
    till.reserve()
    gone = e.BudgetRemoved(**said(kind=K.TENANT, id="acme", period=PERIOD.ONCE))
    till.desk.under(control(gone, start=till.desk.world.control))
    assert till.told(EXECUTION, SUCCEEDED).lines[0].posted_micros == 70


@pytest.mark.requirement("C3")
def test_lanes_that_share_a_scope_never_pass_its_cap() -> None:
    """Four lanes, each on its own stripe, take turns until nothing is left."""
    rows: Any = {}
    tills = [Till(budget(1_050), lane=lane, rows=rows) for lane in range(4)]
    kinds = [type(tills[n % 4].reserve(bytes([n]) * 16, price_micros=100)).__name__ for n in range(16)]
    assert kinds.count("BudgetReserved") == 10
    assert kinds[10:] == ["BudgetDenied"] * 6
    facts = [fact for till in tills for fact in till.desk.facts]
    assert audit(facts, 4).faults == ()
