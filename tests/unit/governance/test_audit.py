"""The audit finds every line that is missing, doubled or changed, and every grant over its cap."""

from __future__ import annotations

from typing import Any

import pytest

from libs.contracts import events as e
from libs.governance.audit import audit
from libs.ledger.service import Fact
from libs.testkit.flow import desk, submit
from libs.testkit.samples import answer, budget, changed, intent, standard_control


def ledger() -> list[Fact]:
    """Three deeds (one succeeded, one failed, one under way) and a denial."""
    at = desk(standard_control(budget(350)))
    keys = [submit(at, intent(f"key-{n}"), offset=n) for n in range(4)]
    at.run()
    at.result(keys[0], answer(cost_micros=70))
    at.result(keys[1], answer(e.AnswerStatus.FAILED, code="X"))
    at.run()
    return at.of(topic="ledger.budget")


def with_line(fact: Fact, **fields: Any) -> Fact:
    line = changed(fact.body.lines[0], **fields)
    found: Fact = changed(fact, body=changed(fact.body, lines=(line, *fact.body.lines[1:])))
    return found


LEDGER = ledger()
KINDS = [type(fact.body).__name__ for fact in LEDGER]


def test_the_ledger_of_this_test_holds_every_kind() -> None:
    assert sorted(set(KINDS)) == ["BudgetDenied", "BudgetReleased", "BudgetReserved", "BudgetSettled"]


def test_sound_books_balance_in_any_order() -> None:
    for facts in (LEDGER, LEDGER[::-1], sorted(LEDGER, key=lambda fact: fact.envelope.event_id)):
        found = audit(facts, 8)
        assert found.balanced
        totals = found.scopes["TENANT:acme:ALL:ONCE"]
        assert (totals.pending_micros, totals.posted_micros, totals.grants) == (100, 70, 3)


@pytest.mark.parametrize("index", [n for n, kind in enumerate(KINDS) if kind != "BudgetDenied"])
def test_a_missing_or_repeated_event_is_found(index: int) -> None:
    codes = {fault.code for fault in audit(LEDGER[:index] + LEDGER[index + 1 :], 8).faults}
    last = index == max(n for n, kind in enumerate(KINDS) if kind != "BudgetDenied")
    assert codes or last
    assert "VERSION_TWICE" in {fault.code for fault in audit([*LEDGER, LEDGER[index]], 8).faults}


@pytest.mark.parametrize("field", ["pending_micros", "posted_micros", "share_micros", "version"])
@pytest.mark.parametrize("index", range(len(LEDGER)))
def test_a_changed_line_is_found(index: int, field: str) -> None:
    fact = LEDGER[index]
    wrong = with_line(fact, **{field: getattr(fact.body.lines[0], field) + 1})
    assert not audit([*LEDGER[:index], wrong, *LEDGER[index + 1 :]], 8).balanced


def test_a_grant_over_the_cap_is_found() -> None:
    index = KINDS.index("BudgetReserved")
    wrong = with_line(LEDGER[index], share_micros=50)
    codes = {fault.code for fault in audit([*LEDGER[:index], wrong, *LEDGER[index + 1 :]], 8).faults}
    assert "CAP_EXCEEDED" in codes


def test_a_denial_with_room_is_found() -> None:
    index = KINDS.index("BudgetDenied")
    wrong = changed(LEDGER[index], body=changed(LEDGER[index].body, amount_micros=1))
    assert [f.code for f in audit([*LEDGER[:index], wrong, *LEDGER[index + 1 :]], 8).faults] == ["DENIED_WITH_ROOM"]
