"""Planting takes minutes; that each bug still finds its passage is seen at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ids import RULES, TESTS
from tests.planted.planting import Bug, DoesNotApply, all_bugs, plant, planted

BUGS = all_bugs()


def test_every_rule_has_a_planted_bug() -> None:
    assert {bug.rule for bug in BUGS} == set(RULES)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: f"{bug.rule}: {bug.title}")
def test_a_planted_bug_still_applies_and_its_tests_are_there(bug: Bug) -> None:
    assert planted(bug, TESTS.parent)
    assert all((TESTS.parent / path).is_file() for path in bug.tests)


def test_a_bug_that_finds_its_passage_twice_or_not_at_all_is_refused_and_a_planted_one_is_taken_out(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.py").write_text("one two two")
    for passage in ("two", "three"):
        with pytest.raises(DoesNotApply, match="does not apply any more"):
            planted(Bug(1, "a bug", "a.py", passage, "other", ()), tmp_path)
    with plant(Bug(1, "a bug", "a.py", "one", "other", ()), tmp_path):
        assert (tmp_path / "a.py").read_text() == "other two two"
    assert (tmp_path / "a.py").read_text() == "one two two"
