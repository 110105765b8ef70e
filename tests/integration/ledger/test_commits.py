"""Rules 3, 4, 5 and 14 in the database: what a commit checks, and that it is all or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from libs.ledger.protocol import (
    CommitRefused,
    Committed,
    CommitUnknown,
    Load,
    Published,
    Renew,
    RowChange,
)
from tests.integration.ledger.given import Outsider, Owner, State, chain, change, until
from tests.integration.ledger.kinds import all_kinds, key, scope

pytestmark = [pytest.mark.integration]
Make = Callable[..., Owner]
Lock = Callable[[str, int], Awaitable[Callable[[], Awaitable[None]]]]


# ---------------------------------------------------------------- rule 3: the fence


@pytest.mark.rule(3)
@pytest.mark.parametrize("what", ["epoch", "token", "out_seq", "halted"])
async def test_a_commit_of_somebody_who_is_not_the_owner_changes_nothing(
    owner: Make, db: Outsider, lane: int, another: int, what: str
) -> None:
    one = owner()
    rows, others = await one.own(lane), await one.own(another)
    writer, row, seen = one, rows["alpha"], rows["alpha"].out_seq
    match what:
        case "epoch":
            await one.own(lane)
        case "token":
            writer = owner()
        case "out_seq":
            seen = row.out_seq + 1
        case _:
            await db.set("alpha", lane, "halted_reason = 'look at it'")
    before = await db.lasting(lane), await db.lasting(another)
    changes = [change(row, lane, chain(1), seen_out_seq=seen, **all_kinds(lane))]
    if writer is one:
        changes.append(change(others["alpha"], another, chain(1), **all_kinds(another)))
    answer = await writer.commit(*changes)
    assert answer == CommitRefused(1, lanes=[lane]), "it names the lane that failed, and only that"
    assert (await db.lasting(lane), await db.lasting(another)) == before


@pytest.mark.rule(3)
async def test_an_owner_whose_lease_ran_out_may_commit_and_holds_it_anew(owner: Make, db: Outsider, lane: int) -> None:
    one = owner()
    rows = await one.own(lane)
    await db.expire(lane)
    assert isinstance(await one.commit(change(rows["alpha"], lane, chain(1))), Committed)
    held = await db.connection.fetchval("SELECT alpha.is_held(l) FROM alpha.lane l WHERE lane = $1", lane)
    assert held is True


@pytest.mark.rule(3)
@pytest.mark.parametrize("what", ["epoch", "token", "halted", "one schema"])
async def test_a_renewal_tells_which_lanes_are_not_ours_any_more(
    owner: Make, db: Outsider, lane: int, another: int, what: str
) -> None:
    one = owner()
    rows, others = await one.own(lane), await one.own(another)
    writer = one
    match what:
        case "epoch":
            await one.own(lane)
        case "token":
            writer = owner()
        case "halted":
            await db.set("alpha", lane, "halted_reason = 'look at it'")
        case _:
            await db.set("beta", lane, "epoch = epoch + 1")
    await db.expire(lane)
    await db.expire(another)
    asked = [(lane, 1, rows["alpha"].epoch), (another, 1, others["alpha"].epoch)]
    answer = await writer.store.renew(Renew(asked))
    kept = [] if writer is not one else [(another, 1)]
    assert (list(answer.lanes), answer.error) == (kept, "")
    assert (lane, 1) in answer.lost
    for number in (lane, another):
        row = await db.row("beta", number)
        held = await db.connection.fetchval("SELECT beta.is_held(l) FROM beta.lane l WHERE lane = $1", number)
        assert row is not None and held is ((number, 1) in kept or (what == "halted" and number == lane))


# ---------------------------------------------------------------- rule 4: all or nothing


@pytest.mark.rule(4)
async def test_a_row_that_fails_in_the_last_schema_undoes_the_first(owner: Make, db: Outsider, lane: int) -> None:
    one = owner()
    rows = await one.own(lane)
    before = await db.lasting(lane)
    wrong = msgspec.structs.replace(rows["beta"], epoch=rows["beta"].epoch - 1)
    answer = await one.commit(change(rows["alpha"], lane, chain(2), **all_kinds(lane)), beta=[change(wrong, lane)])
    assert answer == CommitRefused(1, lanes=[lane])
    assert await db.lasting(lane) == before


@pytest.mark.rule(4)
async def test_a_scope_version_that_fails_changes_nothing_and_brings_the_fresh_rows(
    owner: Make, db: Outsider, lane: int
) -> None:
    one = owner()
    rows = await one.own(lane)
    first, second = scope(lane, 1, pending_micros=10), scope(lane, 2, pending_micros=20)
    assert isinstance(await one.commit(beta=[change(rows["beta"], lane, scopes=[(0, first)])]), Committed)
    assert isinstance(await one.commit(beta=[change(rows["beta"], lane, scopes=[(1, second)])]), Committed)
    before = await db.lasting(lane)
    stale = change(rows["beta"], lane, chain(1), scopes=[(1, scope(lane, 2, pending_micros=99))], **all_kinds(lane))
    answer = await one.commit(change(rows["alpha"], lane, chain(1)), beta=[stale])
    assert answer == CommitRefused(1, scopes=[second])
    assert await db.lasting(lane) == before
    created = change(rows["beta"], lane, scopes=[(0, scope(lane, 1))])
    assert await one.commit(beta=[created]) == CommitRefused(1, scopes=[second]), "somebody else made the row"
    loaded = await one.store.load(Load(1, {}, [second.scope]))
    assert list(loaded.scopes[second.scope]) == [second]


@pytest.mark.rule(4)
async def test_a_grant_above_the_share_is_stopped_by_the_database_itself(owner: Make, db: Outsider, lane: int) -> None:
    one = owner()
    rows = await one.own(lane)
    before = await db.lasting(lane)
    over = scope(lane, 1, pending_micros=60, posted_micros=41)
    answer = await one.commit(
        change(rows["alpha"], lane, chain(1)), beta=[change(rows["beta"], lane, scopes=[(0, over)])]
    )
    assert isinstance(answer, CommitUnknown) and "grant_within_share" in answer.text
    assert await db.lasting(lane) == before
    frozen = change(rows["beta"], lane, scopes=[(0, msgspec.structs.replace(over, frozen=True))])
    assert isinstance(await one.commit(beta=[frozen]), Committed), "an overrun is recorded, and freezes the stripe"


@pytest.mark.rule(4)
async def test_everything_of_a_batch_is_there_after_its_commit(owner: Make, db: Outsider, lane: int) -> None:
    one, records = owner(), chain(3)
    rows = await one.own(lane)
    kinds = all_kinds(lane)
    assert isinstance(await one.commit(change(rows["alpha"], lane, records, **kinds)), Committed)
    answer = await one.claim(lane)
    rows = getattr(answer, "rows", {})
    assert (rows["alpha"].out_seq, rows["alpha"].out_hash) == (3, records[-1].hash)
    assert rows["alpha"].cursors == kinds["cursors"]
    assert rows["alpha"].unfinished == 1, "a commit ends the count of claims without one"
    assert list(getattr(answer, "outbox", {})["alpha"]) == records
    assert [w.waiting for w in getattr(answer, "work", {})["alpha"]] == list(kinds["work"].values())
    assert getattr(answer, "parked", {})["alpha"] == {key(lane): [kinds["parked"][0][1]]}
    loaded = await one.store.load(Load(1, {"alpha": [key(lane), key(lane, 1)]}))
    assert loaded.states == {"alpha": {key(lane): State(1)}}
    gone = change(rows["alpha"], lane, work={key(lane): None}, unparked=[key(lane)], states={key(lane): State(2)})
    assert isinstance(await one.commit(gone), Committed)
    assert (await db.count("alpha.work", lane), await db.count("alpha.parked", lane)) == (0, 0)
    loaded = await one.store.load(Load(1, {"alpha": [key(lane)]}))
    assert loaded.states == {"alpha": {key(lane): State(2)}}


@pytest.mark.rule(14)
async def test_the_frontier_is_what_the_commit_says(owner: Make, lane: int) -> None:
    one, records = owner(), chain(3)
    rows = await one.own(lane)
    await one.commit(change(rows["alpha"], lane, records))
    frontier = Published(41, 2, records[1].hash)
    at_three = change(rows["alpha"], lane, seen_out_seq=3, out_seq=3, out_hash=records[2].hash, published=frontier)
    assert isinstance(await one.commit(at_three), Committed)
    answer = await one.claim(lane)
    assert getattr(answer, "rows", {})["alpha"].published == frontier
    assert list(getattr(answer, "outbox", {})["alpha"]) == records[2:]


# ---------------------------------------------------------------- rule 5: nobody knows


@pytest.mark.rule(5)
async def test_a_connection_that_dies_in_mid_commit_is_unknown_and_nothing_is_stored(
    owner: Make, db: Outsider, in_the_way: Lock, lane: int
) -> None:
    one = owner()
    rows = await one.own(lane)
    before = await db.lasting(lane)
    unlock = await in_the_way("alpha", lane)
    answer = asyncio.create_task(one.commit(change(rows["alpha"], lane, chain(1), **all_kinds(lane))))
    await db.waits(f"{one.name}/rounds")
    await db.connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", f"{one.name}/rounds"
    )
    assert isinstance(await answer, CommitUnknown)
    await unlock()
    assert await db.lasting(lane) == before
    rows = await one.own(lane)
    assert rows["alpha"].out_seq == 0
    assert isinstance(await one.commit(change(rows["alpha"], lane, chain(1))), Committed), "on a new connection"


@pytest.mark.rule(5)
async def test_a_commit_whose_answer_is_late_is_unknown_and_a_claim_finds_all_of_it(
    owner: Make, db: Outsider, in_the_way: Lock, lane: int
) -> None:
    one, records = owner(timeout_ms=600), chain(2)
    rows = await one.own(lane)
    unlock = await in_the_way("alpha", lane)
    answer = await one.commit(change(rows["alpha"], lane, records, **all_kinds(lane)))
    assert isinstance(answer, CommitUnknown)
    assert (await db.row("alpha", lane) or {})["out_seq"] == 0, "not yet"
    await unlock()

    async def landed() -> bool:
        return bool((await db.row("alpha", lane) or {})["out_seq"] == 2)

    await until(landed)
    assert [await db.count(f"alpha.{t}", lane) for t in ("state", "work", "side", "parked", "outbox")] == [1] * 5
    claim = await one.claim(lane)
    assert getattr(claim, "rows", {})["alpha"].out_seq == 2
    assert list(getattr(claim, "outbox", {})["alpha"]) == records


@pytest.mark.rule(5)
async def test_a_commit_that_comes_late_to_the_server_meets_the_epoch_of_the_claim_after_it(
    owner: Make, db: Outsider, lane: int
) -> None:
    one = owner()
    rows = await one.own(lane)
    late: RowChange = change(rows["alpha"], lane, chain(1))
    await one.own(lane)  # what an owner does first when it does not know
    assert await one.commit(late) == CommitRefused(1, lanes=[lane])
    assert (await db.row("alpha", lane) or {})["out_seq"] == 0
