"""Rules 1 and 2 in the database: who gets the rows of a lane, and what is read with them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from libs.ledger.protocol import Claimed, ClaimRefused, Committed, Release
from libs.ledger.service import Waiting, WaitKind
from libs.ledger.store import Store
from tests.integration.ledger.given import BETA, Outsider, Owner, chain, change, hosted, published

pytestmark = [pytest.mark.integration, pytest.mark.rule(1)]
Make = Callable[..., Owner]
Lock = Callable[[str, int], Awaitable[Callable[[], Awaitable[None]]]]


def code(answer: Claimed | ClaimRefused) -> str:
    return answer.code if isinstance(answer, ClaimRefused) else "CLAIMED"


async def test_a_claim_takes_the_rows_of_all_services_under_one_epoch(owner: Make, db: Outsider, lane: int) -> None:
    only_beta = owner(services=hosted(BETA))
    for _ in range(2):
        await only_beta.own(lane)
    await only_beta.store.release(Release(lane, 1, 2, 0))
    rows = await owner().own(lane)
    assert {row.epoch for row in rows.values()} == {3}


async def test_a_claim_takes_all_rows_or_none(owner: Make, db: Outsider, lane: int) -> None:
    await owner(services=hosted(BETA)).own(lane)
    before = await db.lasting(lane)
    assert code(await owner().claim(lane)) == "OWNED"
    assert await db.lasting(lane) == before
    assert await db.row("alpha", lane) is None


async def test_a_lane_that_is_held_is_refused_until_its_lease_runs_out(owner: Make, db: Outsider, lane: int) -> None:
    first, second = owner(), owner()
    await first.own(lane)
    assert code(await second.claim(lane)) == "OWNED"
    await db.expire(lane)
    rows = await second.own(lane)
    assert rows["alpha"].epoch == 2
    assert rows["alpha"].previous_token == first.token
    assert code(await first.claim(lane)) == "OWNED"


async def test_an_owner_may_claim_its_own_lane_again_and_gets_another_epoch(owner: Make, lane: int) -> None:
    one = owner()
    first, second = await one.own(lane), await one.own(lane)
    assert (first["alpha"].epoch, second["alpha"].epoch) == (1, 2)
    assert second["beta"].previous_token == one.token


async def test_a_released_lane_is_free_at_once(owner: Make, lane: int) -> None:
    first = owner()
    rows = await first.own(lane)
    await first.store.release(Release(lane, 1, rows["alpha"].epoch, 0))
    assert code(await owner().claim(lane)) == "CLAIMED"


@pytest.mark.parametrize("schema", ["alpha", "beta"])
async def test_a_halted_lane_is_refused_also_to_its_owner(owner: Make, db: Outsider, lane: int, schema: str) -> None:
    one = owner()
    await one.own(lane)
    await db.set(schema, lane, "halted_reason = 'look at it'")
    answer = await one.claim(lane)
    assert code(answer) == "HALTED"
    assert isinstance(answer, ClaimRefused) and answer.text == f"{schema}: look at it"


@pytest.mark.rule(25)
async def test_a_state_of_a_newer_format_is_refused(owner: Make, db: Outsider, lane: int) -> None:
    one = owner()
    rows = await one.own(lane)
    await one.store.release(Release(lane, 1, rows["alpha"].epoch, 0))
    await db.set("beta", lane, "state_format = 2")
    assert code(await one.claim(lane)) == "NEWER_FORMAT"


@pytest.mark.rule(24)
async def test_a_lane_that_saw_more_of_the_control_ledger_is_refused(owner: Make, lane: int) -> None:
    one = owner()
    rows = await one.own(lane, control_seq=7)
    assert isinstance(await one.commit(change(rows["alpha"], lane, control_seq=7)), Committed)
    assert code(await one.claim(lane, control_seq=6)) == "CONTROL_BEHIND"
    rows = await one.own(lane, control_seq=7)
    await one.commit(change(rows["alpha"], lane, control_seq=5))
    assert code(await one.claim(lane, control_seq=6)) == "CONTROL_BEHIND", "it never goes back"


@pytest.mark.rule(12)
async def test_a_worker_of_the_other_shape_waits_until_all_is_published(owner: Make, db: Outsider, lane: int) -> None:
    one, other = owner(), owner(shape="separate")
    rows, (record,) = await one.own(lane), chain(1)
    await one.commit(change(rows["alpha"], lane, [record]))
    await db.expire(lane)
    assert code(await other.claim(lane)) == "OTHER_SHAPE"
    rows = await one.own(lane)
    await one.commit(change(rows["alpha"], lane, published=published(record, 0)))
    await db.connection.execute("INSERT INTO beta.side VALUES ($1, 0, 'dead.beta', 0, '', '')", lane)
    await db.expire(lane)
    assert code(await other.claim(lane)) == "OTHER_SHAPE", "a dead letter still waits"
    await db.connection.execute("DELETE FROM beta.side WHERE lane = $1", lane)
    assert code(await other.claim(lane)) == "CLAIMED"
    row = await db.row("alpha", lane)
    assert row is not None and row["shape"] == "separate"


async def test_a_blocked_row_stops_its_own_claim_and_nothing_else(
    owner: Make, in_the_way: Lock, lane: int, another: int
) -> None:
    one = owner(lock_timeout_ms=400)
    rows = await one.own(another)
    await one.own(lane)
    unlock = await in_the_way("beta", lane)
    began = time.monotonic()
    blocked = asyncio.create_task(one.claim(lane))
    assert isinstance(await one.commit(change(rows["alpha"], another, chain(1))), Committed)
    assert not blocked.done(), "a commit goes past a claim that waits"
    assert code(await blocked) == "UNKNOWN"
    assert time.monotonic() - began < 4
    assert code(await one.claim(another)) == "CLAIMED"
    await unlock()
    assert code(await one.claim(lane)) == "CLAIMED"


@pytest.mark.rule(2)
async def test_a_claim_sees_what_the_owner_before_it_committed_at_the_last_moment(
    owner: Make, db: Outsider, in_the_way: Lock, lane: int
) -> None:
    first, second = owner(), owner()
    rows, records = await first.own(lane), chain(2)
    await db.expire(lane)
    unlock = await in_the_way("alpha", lane)
    waiting = Waiting(WaitKind.TIMER, 1, 5, "why", "role")
    late = asyncio.create_task(
        first.commit(
            change(rows["alpha"], lane, records, work={bytes(16): waiting}, published=published(records[0], 3))
        )
    )
    await db.waits(f"{first.name}/rounds")
    claim = asyncio.create_task(second.claim(lane))
    await db.waits(f"{second.name}/claims")
    await unlock()
    assert isinstance(await late, Committed)
    answer = await claim
    if isinstance(answer, ClaimRefused):  # the late commit prolonged the lease: nobody takes the lane from it
        await db.expire(lane)
        answer = await second.claim(lane)
    assert isinstance(answer, Claimed), answer
    row = answer.rows["alpha"]
    assert (row.out_seq, row.out_hash, row.published) == (2, records[1].hash, published(records[0], 3))
    assert list(answer.outbox["alpha"]) == records[1:], "only what is above the frontier"
    assert [(w.key, w.waiting) for w in answer.work["alpha"]] == [(bytes(16), waiting)]


@pytest.mark.rule(2)
async def test_what_belongs_to_a_lane_is_read_only_after_its_claim(
    owner: Make, lane: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    one = owner()
    fetch = one.store.claims.fetch

    async def seen(statement: str, *arguments: object) -> object:
        asked.append(statement)
        return await fetch(statement, *arguments)

    monkeypatch.setattr(one.store.claims, "fetch", seen)
    await one.own(lane)
    assert [".claim(" in statement for statement in asked] == [True] + [False] * (len(asked) - 1)
    assert isinstance(one.store, Store) and len(asked) == 1 + 4 * 2
