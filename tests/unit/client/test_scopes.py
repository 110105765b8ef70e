"""What `deed budget show` says: no money that is held is left out, and a scope beyond its cap is marked."""

from __future__ import annotations

from typing import Any

import pytest

from libs.client.scopes import MEANINGS, Mark, Row, Sums, standing, sums
from libs.contracts.proto.deedbook.control.v1 import control_pb2 as pb

NOW = 1_795_298_400_000_000  # 2026-11-21, UTC
TODAY = "TENANT:acme:ALL:DAY-2026-11-21"
BEFORE = "TENANT:acme:ALL:DAY-2026-11-20"


def cap(soft: int | None = None, **more: Any) -> pb.Budget:
    given: dict[str, Any] = {
        "kind": "BUDGET_KIND_TENANT",
        "id": "acme",
        "period": "BUDGET_PERIOD_DAY",
        "hard_micros": 100_000,
    } | more
    return pb.Budget(**given, soft_micros=soft)


def test_money_that_is_held_is_shown_when_its_cap_is_gone() -> None:
    (row,) = standing([], {TODAY: Sums(6_000, 500), BEFORE: Sums(0, 9)}, NOW)
    assert (row["scope"], row["reserved_micros"], row["spent_micros"]) == (TODAY, 6_000, 500)
    assert (row["kind"], row["id"], row["class"], row["window"]) == ("TENANT", "acme", "ALL", "DAY-2026-11-21")
    assert (row["hard_micros"], row["left_micros"], row["mark"]) == (None, None, "NO_CAP")


def test_money_that_is_held_from_an_earlier_window_is_shown_beside_the_one_of_now() -> None:
    now, before, other = standing(
        [cap()], {BEFORE: Sums(6_000), TODAY: Sums(10, 20), "TOOL:a:b/c:CHEAP:ONCE": Sums(7)}, NOW
    )
    assert (now["scope"], now["left_micros"], now["mark"]) == (TODAY, 99_970, "")
    assert (before["scope"], before["reserved_micros"], before["mark"]) == (BEFORE, 6_000, "EARLIER_WINDOW")
    assert (other["id"], other["class"], other["mark"]) == ("a:b/c", "CHEAP", "NO_CAP")


@pytest.mark.parametrize(
    ("found", "soft", "left", "mark"),
    [
        (Sums(0, 107_000, frozen=True), None, 0, "OVER_CAP"),
        (Sums(0, 107_000, frozen=True), 50_000, 0, "OVER_CAP"),
        (Sums(40_000, 20_000, frozen=True), 50_000, 40_000, "OVER_SOFT_CAP"),
        (Sums(0, 20_000, frozen=True), None, 80_000, "FROZEN"),
        (Sums(0, 100_000), None, 0, ""),
    ],
)
def test_a_scope_beyond_its_cap_is_marked(found: Sums, soft: int | None, left: int, mark: str) -> None:
    (row,) = standing([cap(soft)], {TODAY: found}, NOW)
    assert (row["left_micros"], row["mark"]) == (left, mark)
    assert not mark or MEANINGS[Mark(mark)]


def test_one_frozen_stripe_makes_its_scope_frozen() -> None:
    rows = [Row(TODAY, n, 1, 10, 1, 2, frozen) for n, frozen in enumerate((False, True, False))]
    assert sums(rows)[TODAY] == Sums(3, 6, frozen=True)


def test_sums_that_are_not_known_are_not_shown() -> None:
    (row,) = standing([cap()], None, NOW)
    assert (row["reserved_micros"], row["left_micros"], row["mark"]) == (None, None, "")
