"""Rule 9: the way back for a halted lane. Somebody says why, that is kept, and whoever claims it looks anew."""

from __future__ import annotations

import json
from collections.abc import Callable
from uuid import UUID

import asyncpg
import pytest
from typer.testing import CliRunner

from libs.client.cli import build
from libs.ledger.lanes import Cleared, Lane, LanesRefused, clear, look, parked
from libs.ledger.protocol import Claimed, Committed, Halt, ParkedInput, Survey
from libs.ledger.service import Record
from tests.conftest import wait_for
from tests.integration.ledger.given import Outsider, Owner, chain, change, hosted, outsider, service

pytestmark = [pytest.mark.integration, pytest.mark.rule(9)]
Make = Callable[..., Owner]
BOTH = {"alpha", "beta"}


async def seen(rows: str, lane: int) -> dict[str, Lane]:
    return {one.service: one for one in await look(rows) if one.lane == lane and one.service in BOTH}


async def halted(one: Owner, lane: int, reason: str = "the topic was made again") -> None:
    epoch = (await one.own(lane))["alpha"].epoch
    assert (await one.store.halt(Halt(lane, 1, epoch, reason))).ok


async def test_a_cleared_lane_is_claimed_again_and_it_is_kept_who_cleared_it_and_why(
    rows: str, owner: Make, db: Outsider, lane: int
) -> None:
    one = owner()
    await halted(one, lane)
    before = await db.lasting(lane)
    assert {it.phase for it in (await seen(rows, lane)).values()} == {"HALTED"}
    assert "Halted" not in type(await one.claim(lane)).__name__
    reason = "the topic was made again"
    assert await clear(rows, lane, "olga", "restored it") == [
        Cleared("alpha", lane, reason),
        Cleared("beta", lane, reason),
    ]
    after = await db.lasting(lane)
    for schema in BOTH:
        assert before[schema].pop("halted_reason") == reason and after[schema].pop("halted_reason") is None
        kept = await db.connection.fetchrow(f"SELECT * FROM {schema}.halt_cleared WHERE lane = $1", lane)
        assert kept is not None
        assert (kept["halted_reason"], kept["cleared_by"], kept["why"]) == (reason, "olga", "restored it")
    assert before == after, "nothing else of the lane changed"
    assert isinstance(await owner().claim(lane), Claimed)


async def test_what_is_not_halted_is_left_alone(rows: str, owner: Make, db: Outsider, lane: int) -> None:
    one = owner()
    await one.own(lane)
    await db.set("beta", lane, "halted_reason = 'look at it'")
    assert await clear(rows, lane, "olga", "looked") == [Cleared("beta", lane, "look at it")]
    before = await db.lasting(lane)
    assert await clear(rows, lane, "olga", "looked") == []
    assert await db.lasting(lane) == before
    assert await db.count("alpha.halt_cleared", lane) == 0


@pytest.mark.parametrize(("by", "why"), [("olga", ""), ("olga", " \n"), ("", "because"), ("olga", "x" * 1001)])
async def test_without_a_name_and_a_reason_nothing_is_cleared(
    rows: str, owner: Make, db: Outsider, lane: int, by: str, why: str
) -> None:
    await halted(owner(), lane)
    with pytest.raises(LanesRefused) as error:
        await clear(rows, lane, by, why)
    assert error.value.code.startswith("REASON_")
    if len(why) < 1000:
        with pytest.raises(asyncpg.PostgresError, match="REASON_MISSING"):
            await db.connection.fetchval("SELECT alpha.clear_halt($1, $2, $3)", lane, by, why)
    assert (await db.row("alpha", lane) or {})["halted_reason"]


async def test_an_operator_sees_who_works_on_what(rows: str, owner: Make, db: Outsider, lane: int) -> None:
    one = owner()
    await one.store.survey(Survey())
    epoch = (await one.own(lane))["alpha"].epoch
    await db.set("alpha", lane, "out_seq = published_seq + 3")
    found = await seen(rows, lane)
    assert found["alpha"] == Lane("alpha", lane, "OWNED", one.name, epoch, 3, "")
    await db.expire(lane)
    assert {it.phase for it in (await seen(rows, lane)).values()} == {"RUN_OUT"}
    await db.set("alpha", lane, "token = NULL, lease_until = NULL")
    free = (await seen(rows, lane))["alpha"]
    assert (free.phase, free.owner) == ("FREE", "")


async def test_an_operator_sees_which_keys_are_set_aside(rows: str, owner: Make, lane: int) -> None:
    one = owner()
    mine = (await one.own(lane))["alpha"]
    key = lane.to_bytes(16, "big")
    inputs = [(key, ParkedInput(n, Record("intents", lane, n, 1, key, b"poison"))) for n in (1, 2)]
    assert isinstance(await one.commit(change(mine, lane, chain(1), parked=inputs)), Committed)
    found = [it for it in await parked(rows) if it.lane == lane]
    assert [(it.service, it.key, it.inputs) for it in found] == [("alpha", str(UUID(bytes=key)), 2)]
    assert found[0].since.utcoffset() is not None
    again = change((await one.own(lane))["alpha"], lane, unparked=[key])
    assert isinstance(await one.commit(again), Committed)
    assert [it for it in await parked(rows) if it.lane == lane] == []


async def test_a_database_that_is_away_is_said_in_a_sentence() -> None:
    with pytest.raises(LanesRefused) as error:
        await look("postgresql://nobody:nothing@127.0.0.1:1/x")
    assert error.value.code == "DATABASE_AWAY"


def deed(*words: str, status: int = 0) -> str:
    said = CliRunner().invoke(build(), ["lanes", *words])
    assert said.exit_code == status, said.output
    return said.output


def test_the_command_shows_and_clears(rows: str, lane: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEED_DATABASE_URL", rows)

    async def prepare() -> None:
        one = Owner(rows, hosted(service("alpha"), service("beta")))
        await halted(one, lane)
        await one.store.close()

    wait_for(prepare())
    shown = deed()
    heading = next(line for line in shown.splitlines() if line.startswith("SERVICE"))
    assert heading.split() == ["SERVICE", "LANE", "PHASE", "OWNER", "EPOCH", "UN-ACKED", "HALTED"]
    assert "the topic was made again" in shown and "deed lanes clear" in shown
    assert {"HALTED"} == {it["phase"] for it in json.loads(deed("--json")) if it["lane"] == lane}
    assert "--reason" in deed("clear", str(lane), status=2)
    assert "REASON_MISSING" in deed("clear", str(lane), "--reason", " ", status=1)
    said = deed("clear", str(lane), "--reason", "restored it")
    assert said.count(f"lane {lane} may be claimed again. It was halted: the topic was made again") == 2
    assert "NOT_HALTED" in deed("clear", str(lane), "--reason", "restored it", status=1)

    async def kept() -> str:
        async with outsider(rows) as one:
            found: str = await one.connection.fetchval("SELECT cleared_by FROM beta.halt_cleared WHERE lane = $1", lane)
            return found

    assert "@" in wait_for(kept())


def test_without_a_system_it_says_what_to_do(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEED_HOME", str(tmp_path))
    monkeypatch.delenv("DEED_DATABASE_URL", raising=False)
    assert "Nothing runs: `deed up`" in deed(status=5)
