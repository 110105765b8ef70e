"""Rules 9, 21 and 23 in the database: what waits beside the chain, and how a lane is given back or halted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from libs.ledger.protocol import Committed, Halt, Release, SideRecord
from tests.integration.ledger.given import Outsider, Owner, change

pytestmark = [pytest.mark.integration]
Make = Callable[..., Owner]


# ---------------------------------------------------------------- rule 23: forwards and dead letters


@pytest.mark.rule(23)
async def test_forwards_and_dead_letters_wait_beside_the_chain_until_they_are_published(
    owner: Make, db: Outsider, lane: int
) -> None:
    one = owner()
    rows = await one.own(lane)
    sides = [SideRecord(n, "intake.home", 3, b"key", bytes([n, 255])) for n in range(3)]
    await one.commit(change(rows["alpha"], lane, sides=sides))
    answer = await one.claim(lane)
    assert getattr(answer, "sides", {}) == {"alpha": sides, "beta": []}
    row = getattr(answer, "rows", {})["alpha"]
    assert row.out_seq == 0, "they have numbers of their own"
    assert isinstance(await one.commit(change(row, lane, sides_done=[0, 2])), Committed)
    answer = await one.claim(lane)
    assert getattr(answer, "sides", {})["alpha"] == [sides[1]]


# ---------------------------------------------------------------- rules 9 and 21: halt and release


@pytest.mark.rule(21)
async def test_a_release_frees_the_rows_and_keeps_the_later_quiet_time(owner: Make, db: Outsider, lane: int) -> None:
    one = owner()
    for quiet, expected in ((500, 500), (300, 500)):
        rows = await one.own(lane)
        await one.store.release(Release(lane, 1, rows["beta"].epoch, quiet))
        for schema in ("alpha", "beta"):
            row = await db.row(schema, lane)
            assert row is not None
            assert (row["token"], row["lease_until"], row["unfinished"], row["quiet_until"]) == (
                None,
                None,
                0,
                expected,
            )


@pytest.mark.rule(21)
@pytest.mark.parametrize("what", ["epoch", "token"])
async def test_a_release_of_a_lane_that_is_not_ours_changes_nothing(
    owner: Make, db: Outsider, lane: int, what: str
) -> None:
    one = owner()
    rows = await one.own(lane)
    epoch = rows["alpha"].epoch
    if what == "epoch":
        await one.own(lane)
    writer = one if what == "epoch" else owner()
    before = await db.row("alpha", lane)
    await writer.store.release(Release(lane, 1, epoch, 900))
    assert await db.row("alpha", lane) == before


@pytest.mark.rule(21)
async def test_a_lost_answer_counts_as_released(owner: Make) -> None:
    away = owner("postgresql://nobody@127.0.0.1:1/nothing", timeout_ms=500)
    assert (await away.store.release(Release(3, 8, 1, 0))).claim == 8


@pytest.mark.rule(9)
async def test_only_the_owner_halts_a_lane_and_then_nobody_has_it(owner: Make, db: Outsider, lane: int) -> None:
    one, stranger = owner(), owner()
    rows = await one.own(lane)
    before = await db.row("alpha", lane)
    assert (await stranger.store.halt(Halt(lane, 1, rows["alpha"].epoch, "paused for long"))).ok is False
    assert (await one.store.halt(Halt(lane, 1, rows["alpha"].epoch - 1, "an old claim"))).ok is False
    assert await db.row("alpha", lane) == before
    assert (await one.store.halt(Halt(lane, 1, rows["alpha"].epoch, "topic made again"))).ok is True
    for schema in ("alpha", "beta"):
        row = await db.row(schema, lane)
        assert row is not None and (row["halted_reason"], row["token"]) == ("topic made again", None)
