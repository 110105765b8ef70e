"""Rules 3 and 4: what somebody else changes while a commit waits for a row counts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from libs.ledger.protocol import CommitRefused, Committed
from tests.integration.ledger.given import Outsider, Owner, chain, change
from tests.integration.ledger.kinds import all_kinds, scope

pytestmark = [pytest.mark.integration]
Make = Callable[..., Owner]
Lock = Callable[[str, int], Awaitable[Callable[[], Awaitable[None]]]]
# What somebody else makes of a lane row while a commit waits for it.
MEANWHILE = {
    "epoch": "epoch = epoch + 1",
    "token": "token = gen_random_uuid()",
    "out_seq": "out_seq = out_seq + 1",
    "halted": "halted_reason = 'look at it'",
}


@pytest.mark.rule(3)
@pytest.mark.parametrize("case", [(what, lanes) for what in MEANWHILE for lanes in (1, 2)], ids=str)
async def test_a_commit_looks_at_the_row_as_it_is_when_it_gets_it(
    owner: Make, db: Outsider, meanwhile: Outsider, lane: int, another: int, case: tuple[str, int]
) -> None:
    one, (what, lanes) = owner(), case
    mine, others = await one.own(lane), await one.own(another)
    changes = [change(mine["alpha"], lane, chain(1), **all_kinds(lane))]
    if lanes > 1:
        changes.append(change(others["alpha"], another, chain(1), **all_kinds(another)))
    async with meanwhile.connection.transaction():
        await meanwhile.set("alpha", lane, MEANWHILE[what])
        answer = asyncio.create_task(one.commit(*changes))
        await db.waits(f"{one.name}/rounds")
        then = await meanwhile.lasting(lane), await meanwhile.lasting(another)
    assert await answer == CommitRefused(1, lanes=[lane])
    assert (await db.lasting(lane), await db.lasting(another)) == then


@pytest.mark.rule(3)
async def test_lane_rows_are_locked_in_one_order_whatever_the_order_of_the_commit(
    owner: Make, db: Outsider, in_the_way: Lock, lane: int, another: int
) -> None:
    """Otherwise two commits could wait for each other."""
    one, (low, high) = owner(), sorted((lane, another))
    changes = [change((await one.own(number))["alpha"], number, chain(1)) for number in (high, low)]
    unlock = await in_the_way("alpha", low)
    answer = asyncio.create_task(one.commit(*changes))
    await db.waits(f"{one.name}/rounds")
    await db.connection.execute("SELECT FROM alpha.lane WHERE lane = $1 FOR UPDATE NOWAIT", high)
    await unlock()
    assert isinstance(await answer, Committed)


@pytest.mark.rule(4)
@pytest.mark.parametrize("seen", [0, 1])
async def test_a_commit_looks_at_a_stripe_as_it_is_when_it_gets_it(
    owner: Make, db: Outsider, meanwhile: Outsider, lane: int, seen: int
) -> None:
    one = owner()
    mine = await one.own(lane)
    made, fresh = scope(lane, 1), scope(lane, seen + 1, pending_micros=10)
    if seen:
        assert isinstance(await one.commit(beta=[change(mine["beta"], lane, scopes=[(0, made)])]), Committed)
    before = await db.lasting(lane)
    ours = change(mine["beta"], lane, chain(1), scopes=[(seen, scope(lane, seen + 1, pending_micros=20))])
    async with meanwhile.connection.transaction():
        await meanwhile.connection.execute(
            "INSERT INTO beta.scope VALUES ($1, $2, $3, 100, 10, 0, false, 1)"
            " ON CONFLICT (scope, stripe) DO UPDATE SET version = excluded.version, pending_micros = 10",
            fresh.scope, fresh.stripe, fresh.version,
        )  # fmt: skip
        answer = asyncio.create_task(one.commit(beta=[ours]))
        await db.waits(f"{one.name}/rounds")
    assert await answer == CommitRefused(1, scopes=[fresh])
    assert await db.lasting(lane) == before
