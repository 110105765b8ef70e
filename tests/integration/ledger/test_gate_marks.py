"""Rule 17 in the database: `started` is written under the current claim only, and conflicts with a claim."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from libs.ledger.protocol import Committed, Start
from libs.ledger.service import Waiting, WaitKind
from tests.integration.ledger.given import Outsider, Owner, change

pytestmark = [pytest.mark.integration, pytest.mark.rule(17)]
Make = Callable[..., Owner]


def key(lane: int) -> bytes:
    return b"gatemark" + lane.to_bytes(8)


async def dispatched(one: Owner, lane: int, attempt: int = 1, kind: WaitKind = WaitKind.DISPATCHED) -> int:
    """A key of the lane waits for an answer; the epoch."""
    rows = await one.own(lane)
    answer = await one.commit(change(rows["alpha"], lane, work={key(lane): Waiting(kind, attempt)}))
    assert isinstance(answer, Committed)
    return rows["alpha"].epoch


async def marks(db: Outsider, lane: int) -> tuple[int | None, int | None]:
    row: Any = await db.connection.fetchrow("SELECT started_at, first_started_at FROM alpha.work WHERE lane = $1", lane)
    return row[0], row[1]


async def test_marks_are_written_under_the_current_claim(owner: Make, db: Outsider, lane: int, another: int) -> None:
    one = owner()
    asked = [(n, 7, await dispatched(one, n), [(key(n), 1)]) for n in (lane, another)]
    answer = await one.store.start(Start(asked), 1_000)
    assert (answer.lanes, answer.refused, answer.error) == ({n: [(key(n), 1)] for n in (lane, another)}, (), "")
    assert answer.claims == {lane: 7, another: 7}
    assert await marks(db, lane) == await marks(db, another) == (1_000, 1_000)


@pytest.mark.parametrize("what", ["epoch", "token", "halted"])
async def test_a_lane_that_is_not_ours_any_more_gets_no_mark(
    owner: Make, db: Outsider, lane: int, another: int, what: str
) -> None:
    one = owner()
    epochs = [await dispatched(one, n) for n in (lane, another)]
    writer = owner() if what == "token" else one
    if what == "epoch":
        await one.own(lane)
    if what == "halted":
        await db.set("alpha", lane, "halted_reason = 'look at it'")
    asked = [(n, 1, epoch, [(key(n), 1)]) for n, epoch in zip((lane, another), epochs, strict=True)]
    answer = await writer.store.start(Start(asked), 1_000)
    assert lane in answer.refused and lane not in answer.lanes
    assert (another in answer.refused) is (what == "token")
    assert await marks(db, lane) == (None, None)


@pytest.mark.parametrize(("attempt", "kind"), [(2, WaitKind.DISPATCHED), (1, WaitKind.TIMER), (1, WaitKind.READY)])
async def test_only_a_dispatch_of_this_attempt_is_marked(
    owner: Make, db: Outsider, lane: int, attempt: int, kind: WaitKind
) -> None:
    one = owner()
    epoch = await dispatched(one, lane, attempt, kind)
    answer = await one.store.start(Start([(lane, 1, epoch, [(key(lane), 1)])]), 1_000)
    assert (answer.lanes, answer.refused) == ({}, ()), "the lane is ours, but there is nothing to start"
    assert await marks(db, lane) == (None, None)


async def test_marks_wait_for_a_claim_that_is_under_way_and_then_see_it(owner: Make, db: Outsider, lane: int) -> None:
    one = owner()
    epoch = await dispatched(one, lane)
    await db.expire(lane)
    claim = db.connection.transaction()
    await claim.start()
    await db.connection.execute(
        "SELECT * FROM alpha.claim($1, $2, 'colocated', 5000, 0, 0, 1)", lane, b"the other worker"
    )
    start = asyncio.create_task(one.store.start(Start([(lane, 1, epoch, [(key(lane), 1)])]), 1_000))
    await asyncio.wait((start,), timeout=0.3)
    assert not start.done(), "it conflicts with the claim"
    await claim.commit()
    answer = await start
    assert (answer.lanes, answer.refused, answer.error) == ({}, (lane,), "")
    assert await marks(db, lane) == (None, None)


async def test_a_claim_waits_for_marks_that_are_under_way(owner: Make, db: Outsider, lane: int) -> None:
    one, other = owner(), owner()
    epoch = await dispatched(one, lane)
    await db.expire(lane)
    start = db.connection.transaction()
    await start.start()
    await db.connection.fetch(
        "SELECT * FROM alpha.start_effects($1, $2, $3, $4, $5, $6, $7)",
        one.token, [lane], [epoch], [key(lane)], [lane], [1], 1_000,
    )  # fmt: skip
    claim = asyncio.create_task(other.claim(lane))
    await asyncio.wait((claim,), timeout=0.3)
    assert not claim.done(), "it conflicts with the marks"
    await start.commit()
    answer = await claim
    (work,) = getattr(answer, "work", {})["alpha"]
    assert (work.started_at, work.first_started_at) == (1_000, 1_000), "the successor sees them"


async def test_a_blocked_row_stops_the_gate_for_a_moment_only(owner: Make, db: Outsider, lane: int) -> None:
    one = owner(lock_timeout_ms=300)
    epoch = await dispatched(one, lane)
    async with db.connection.transaction():
        await db.connection.execute("SELECT FROM alpha.lane WHERE lane = $1 FOR UPDATE", lane)
        async with asyncio.timeout(4):
            answer = await one.store.start(Start([(lane, 1, epoch, [(key(lane), 1)])]), 1_000)
    assert answer.error and not answer.lanes and not answer.refused


@pytest.mark.rule(19)
async def test_the_first_start_is_kept_over_attempts(owner: Make, db: Outsider, lane: int) -> None:
    one = owner()
    epoch = await dispatched(one, lane)
    await one.store.start(Start([(lane, 1, epoch, [(key(lane), 1)])]), 1_000)
    await dispatched(one, lane, 1)
    assert await marks(db, lane) == (1_000, 1_000), "the same dispatch, written once more"
    await dispatched(one, lane, 2, WaitKind.TIMER)
    assert await marks(db, lane) == (None, 1_000)
    epoch = await dispatched(one, lane, 2)
    assert await marks(db, lane) == (None, 1_000), "attempt 2 has not begun"
    await one.store.start(Start([(lane, 1, epoch, [(key(lane), 2)])]), 2_000)
    assert await marks(db, lane) == (2_000, 1_000)
