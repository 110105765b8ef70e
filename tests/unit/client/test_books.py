"""The tables of a system at work against its ledger: ahead for a moment is no fault, anything else is."""

from __future__ import annotations

from typing import Any

import msgspec

from libs.client.books import balance
from libs.client.scopes import Row, sums
from libs.contracts import events as e
from libs.contracts.events import BudgetDenied
from libs.ledger.service import Fact
from libs.testkit.flow import desk, submit
from libs.testkit.samples import answer, budget, intent, standard_control


def ledger() -> tuple[list[Fact], int]:
    """Deeds that succeeded, failed and are under way; the number of lanes."""
    at = desk(standard_control(budget(350)))
    keys = [submit(at, intent(f"key-{n}"), offset=n) for n in range(3)]
    at.run()
    at.result(keys[0], answer(cost_micros=70))
    at.result(keys[1], answer(e.AnswerStatus.FAILED, code="X"))
    at.run()
    return at.of(topic="ledger.budget"), 8


FACTS, LANES = ledger()


def tables(facts: list[Fact]) -> list[Row]:
    """As the budget service has them after these events."""
    found: dict[tuple[str, int], Row] = {}
    for fact in facts:
        for line in () if isinstance(fact.body, BudgetDenied) else fact.body.lines:
            given: dict[str, Any] = {name: getattr(line, name) for name in Row.__struct_fields__}
            found[line.scope, line.stripe] = Row(**given)
    return list(found.values())


def test_equal_books_balance() -> None:
    rows = tables(FACTS)
    found = balance(FACTS, LANES, rows, rows)
    assert found.problems == ()
    (scope,) = found.scopes.values()
    assert (scope.ledger_spent_micros, scope.table_spent_micros) == (70, 70)
    assert scope.ledger_reserved_micros == scope.table_reserved_micros > 0
    assert next(iter(sums(rows).values())).posted_micros == 70


def test_a_table_that_was_behind_and_is_ahead_of_the_ledger_is_no_fault() -> None:
    assert balance(FACTS[:-1], LANES, tables(FACTS[:-2]), tables(FACTS)).problems == ()


def test_what_the_table_lost_or_the_ledger_never_had_is_a_fault() -> None:
    rows = tables(FACTS)
    assert "lacks version" in balance(FACTS, LANES, rows, tables(FACTS[:-1])).problems[0]
    assert "the ledger has it not" in balance(FACTS[:-1], LANES, rows, rows).problems[0]
    assert "lacks version" in balance(FACTS, LANES, [], []).problems[0]


def test_a_changed_row_is_located() -> None:
    rows = tables(FACTS)
    wrong = [msgspec.structs.replace(rows[0], posted_micros=rows[0].posted_micros + 1), *rows[1:]]
    (problem,) = balance(FACTS, LANES, rows, wrong).problems
    assert problem.startswith(f"{rows[0].scope}/{rows[0].stripe} version {rows[0].version}: table ")
