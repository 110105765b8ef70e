"""The rules of the lane protocol and the capabilities are numbered, and so are their tests."""

from __future__ import annotations

from tests.ids import BUILT, CAPABILITIES, RULES, marked


def test_every_rule_has_a_test_that_carries_its_number() -> None:
    found = marked("rule")
    assert [number for number in RULES if not found[number]] == []


def test_no_test_carries_the_number_of_a_rule_that_does_not_exist() -> None:
    assert set(marked("rule")) <= set(RULES)


def test_every_capability_that_is_built_has_a_test_that_carries_its_id() -> None:
    found = marked("requirement")
    assert [name for name in BUILT if not found[name]] == []
    assert set(BUILT) <= set(CAPABILITIES)
