"""Over any number of lanes that grant at the same time: never over a hard cap, shares always sum up to it, and denied
only if there is no room (C2, C3; threat T5)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.ledger.service import ScopeRow
from services.budget.stripes import (
    Caps,
    Grant,
    Short,
    absorb,
    correct,
    grant,
    grant_locally,
    release,
    settle,
    used,
)

SCOPE = "TENANT:acme:ALL:ONCE"


class Books:
    """All stripes of one scope, and the law that they must keep after each step."""

    def __init__(self, stripes: int, hard: int, soft: int | None) -> None:
        self.rows = [ScopeRow(SCOPE, n) for n in range(stripes)]
        self.caps = Caps(hard, soft, 1)
        self.held: list[tuple[int, int]] = []

    @property
    def total(self) -> int:
        return sum(map(used, self.rows))

    def put(self, rows: Any) -> None:
        for row in rows:
            assert row.version == self.rows[row.stripe].version + 1
            self.rows[row.stripe] = row

    def reserve(self, lane: int, amount: int) -> None:
        before, room = self.total, self.caps.hard_micros - self.total
        own = grant_locally(self.rows[lane], self.caps, amount, len(self.rows))
        found = own or grant(self.rows, lane, self.caps, amount)
        if isinstance(found, Short):
            assert amount > room, "denied although there was room"
            assert found.available_micros == max(0, room)
            return
        assert amount <= room, "granted over the hard cap"
        self.put(found.rows)
        self.held.append((lane, amount))
        soft = self.caps.soft_micros
        assert found.warns == (soft is not None and before + amount > soft)
        assert not (own and own.warns)
        assert used(self.rows[lane]) <= self.rows[lane].share_micros
        self.law()

    def settle(self, which: int, actual: int) -> None:
        if self.held:
            lane, amount = self.held.pop(which % len(self.held))
            self.changed(settle(self.rows[lane], amount, actual), actual > amount)

    def release(self, which: int) -> None:
        if self.held:
            lane, amount = self.held.pop(which % len(self.held))
            self.changed(release(self.rows[lane], amount), False)

    def correct(self, lane: int, to: int) -> None:
        before = self.rows[lane].posted_micros
        self.changed(correct(self.rows[lane], before, to), to > before)

    def changed(self, row: ScopeRow, more: bool) -> None:
        self.put(absorb(self.rows, row, self.caps) if more else [row])
        self.law()

    def cap(self, hard: int, soft: int | None) -> None:
        self.caps = Caps(hard, soft, self.caps.seq + 1)

    def law(self) -> None:
        dealt = [row for row in self.rows if row.version]
        if not dealt or any(row.cap_seq != self.caps.seq for row in dealt):
            return  # a new cap binds with the next grant
        assert len(dealt) == len(self.rows)
        shares = sum(row.share_micros for row in dealt)
        if self.total > self.caps.hard_micros:
            assert shares == 0
        else:
            assert shares in (self.caps.hard_micros, 0)
        assert all(row.frozen or used(row) <= row.share_micros for row in dealt), "the database would refuse it"
        assert shares == self.caps.hard_micros or all(row.frozen for row in dealt)


AMOUNTS = st.integers(0, 60)
STEPS = st.one_of(
    st.tuples(st.just("reserve"), st.integers(0, 7), AMOUNTS),
    st.tuples(st.just("reserve"), st.integers(0, 7), AMOUNTS),
    st.tuples(st.just("settle"), st.integers(0, 99), st.integers(0, 90)),
    st.tuples(st.just("release"), st.integers(0, 99)),
    st.tuples(st.just("correct"), st.integers(0, 7), AMOUNTS),
    st.tuples(st.just("cap"), st.integers(0, 300), st.none() | st.integers(0, 300)),
)


@pytest.mark.requirement("C3")
@given(
    stripes=st.integers(1, 8),
    hard=st.integers(0, 300),
    soft=st.none() | st.integers(0, 300),
    steps=st.lists(STEPS, max_size=40),
)
@settings(max_examples=100, deadline=None)
def test_no_story_breaks_the_law(stripes: int, hard: int, soft: int | None, steps: list[Any]) -> None:
    books = Books(stripes, hard, soft)
    for name, *arguments in steps:
        if name in ("reserve", "correct"):
            arguments[0] %= stripes
        getattr(books, name)(*arguments)


def test_a_lane_grants_out_of_its_own_share_alone() -> None:
    books = Books(4, 400, None)
    books.reserve(0, 10)
    assert [row.share_micros for row in books.rows] == [10 + 97 + 2, 97, 97, 97]
    books.reserve(2, 50)
    assert [row.version for row in books.rows] == [1, 1, 2, 1]


def test_room_of_others_is_taken_when_the_own_share_is_used_up() -> None:
    books = Books(4, 100, None)
    books.reserve(0, 20)
    books.reserve(1, 75)
    assert [row.pending_micros for row in books.rows] == [20, 75, 0, 0]
    books.reserve(2, 6)
    assert books.total == 95
    books.reserve(3, 5)
    assert books.total == 100


def test_an_overrun_freezes_its_stripe_and_makes_the_others_give_way() -> None:
    books = Books(2, 100, None)
    books.reserve(0, 40)
    books.settle(0, 80)
    assert books.rows[0].frozen
    assert [row.share_micros for row in books.rows] == [90, 10]
    books.reserve(1, 20)
    assert books.total == 100
    assert not books.rows[0].frozen


def test_an_overrun_beyond_the_cap_freezes_all_until_there_is_room() -> None:
    books = Books(2, 100, None)
    books.reserve(1, 30)
    books.reserve(0, 40)
    books.settle(1, 90)
    assert [row.frozen for row in books.rows] == [True, True]
    assert [row.share_micros for row in books.rows] == [0, 0]
    assert grant_locally(books.rows[1], books.caps, 0, 2) is None
    books.release(0)
    books.reserve(0, 10)
    assert books.total == 100
    assert [row.frozen for row in books.rows] == [False, False]


def test_a_lowered_cap_binds_the_next_grant() -> None:
    books = Books(2, 100, None)
    books.reserve(0, 40)
    books.cap(30, None)
    books.reserve(0, 1)
    assert books.total == 40
    books.cap(60, None)
    books.reserve(1, 20)
    assert books.total == 60


def test_a_newer_cap_than_ours_is_kept() -> None:
    """Our view of the control ledger lags: the stripes were dealt out under a cap that we do not know."""
    books = Books(2, 100, None)
    books.cap(50, None)
    books.reserve(0, 10)
    old = Caps(100, None, 1)
    found = grant(books.rows, 0, old, 40)
    assert isinstance(found, Grant)
    assert {row.cap_seq for row in found.rows} == {2}
    assert grant(books.rows, 0, old, 41) == Short(40)
    assert isinstance(grant_locally(books.rows[0], old, 5, 2), Grant)


def test_beyond_the_soft_cap_every_grant_warns_and_touches_its_own_stripe() -> None:
    books = Books(4, 1_000, 100)
    books.reserve(0, 101)
    assert all(row.frozen for row in books.rows)
    versions = [row.version for row in books.rows]
    books.reserve(2, 10)
    assert [row.version for row in books.rows] == [versions[0], versions[1], versions[2] + 1, versions[3]]
    books.release(0)
    books.reserve(1, 10)
    assert not any(row.frozen for row in books.rows)


def test_rounded_shares_never_hide_that_the_soft_cap_is_exceeded() -> None:
    books = Books(4, 18, 14)
    for lane, amount in ((3, 2), (0, 6), (1, 3), (1, 4)):
        books.reserve(lane, amount)  # checks each warning


def test_below_the_soft_cap_most_grants_look_at_one_stripe() -> None:
    books, local = Books(8, 10**9, 10**8), 0
    for number in range(900):
        own = grant_locally(books.rows[number % 8], books.caps, 100_000, 8)
        local += own is not None
        books.reserve(number % 8, 100_000)
    assert local > 850


@pytest.mark.parametrize(("soft", "amount", "warns"), [(50, 50, False), (50, 51, True), (None, 100, False)])
def test_the_soft_cap_warns_exactly(soft: int | None, amount: int, warns: bool) -> None:
    found = grant([ScopeRow(SCOPE, n) for n in range(4)], 0, Caps(100, soft, 1), amount)
    assert isinstance(found, Grant)
    assert found.warns is warns
