"""The rules of the lane protocol are numbered, and so are their tests."""

from __future__ import annotations

from tests.ids import RULES, marked


def test_every_rule_has_a_test_that_carries_its_number() -> None:
    found = marked("rule")
    assert [number for number in RULES if not found[number]] == []


def test_no_test_carries_the_number_of_a_rule_that_does_not_exist() -> None:
    assert set(marked("rule")) <= set(RULES)
