"""Rule 25 in the database: readers before writers. A state format is written only when all who work understand it."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable

import asyncpg
import pytest
from typer.testing import CliRunner

from libs.client.cli import build
from libs.ledger.database import migrate
from libs.ledger.formats import Announced, FormatRefused, look, raise_floor
from libs.ledger.protocol import Claimed, ClaimRefused, Release, Survey
from tests.conftest import wait_for
from tests.integration.ledger.given import ALPHA, Outsider, Owner, hosted, outsider, service, until

pytestmark = [pytest.mark.integration, pytest.mark.rule(25)]
Make = Callable[..., Owner]
LANE = 0


@pytest.fixture
async def schema(rows: str) -> str:
    """The schema of a service that no other test uses: a floor is never lowered again."""
    name = f"f{uuid.uuid4().hex[:10]}"
    await migrate(rows, [name])
    return name


class Version:
    """The workers of one release: what they write is the only difference."""

    def __init__(self, make: Make, schema: str, state_format: int) -> None:
        self._make, self._services = make, hosted(service(schema, state_format=state_format))

    def worker(self, **options: object) -> Owner:
        return self._make(services=self._services, **options)


async def announce(*workers: Owner) -> None:
    for worker in workers:
        assert not (await worker.store.survey(Survey())).error


async def leave(*workers: Owner) -> None:
    for worker in workers:
        await worker.store.survey(Survey(leaving=True))


def code(answer: Claimed | ClaimRefused) -> str:
    return answer.code if isinstance(answer, ClaimRefused) else "CLAIMED"


async def refused(dsn: str, schema: str, to: int) -> FormatRefused:
    with pytest.raises(FormatRefused) as error:
        await raise_floor(dsn, schema, to)
    return error.value


async def raised(dsn: str, schema: str, to: int, make: Make) -> None:
    """As an operator does it: the new release is there, nobody of the old one."""
    newer = Version(make, schema, to).worker()
    await announce(newer)
    assert (await raise_floor(dsn, schema, to)).floor == to
    await leave(newer)


async def test_a_format_above_the_floor_is_not_written_before_it_is_raised(
    rows: str, owner: Make, schema: str, db: Outsider
) -> None:
    newer = Version(owner, schema, 2).worker()
    await announce(newer)
    answer = await newer.claim(LANE)
    assert isinstance(answer, ClaimRefused)
    assert answer.code == "FORMAT_ABOVE_FLOOR" and f"`deed format raise {schema} 2`" in answer.text
    assert await db.row(schema, LANE) is None, "nothing was written"
    await raise_floor(rows, schema, 2)
    await newer.own(LANE)
    row = await db.row(schema, LANE)
    assert row is not None and row["state_format"] == 2


async def test_a_lane_goes_over_to_the_new_format_with_its_claim(
    rows: str, owner: Make, schema: str, db: Outsider
) -> None:
    older, newer = Version(owner, schema, 1).worker(), Version(owner, schema, 2).worker()
    await older.own(LANE)
    await older.store.release(Release(LANE, 1, 1, 0))
    await raised(rows, schema, 2, owner)
    await newer.own(LANE)
    row = await db.row(schema, LANE)
    assert row is not None and row["state_format"] == 2


async def test_one_service_above_its_floor_keeps_the_worker_from_all_rows_of_the_lane(
    owner: Make, schema: str, db: Outsider, lane: int
) -> None:
    both = owner(services=hosted(ALPHA, service(schema, state_format=2)))
    assert code(await both.claim(lane)) == "FORMAT_ABOVE_FLOOR"
    assert await db.row("alpha", lane) is None


async def test_who_does_not_know_the_floors_format_claims_nothing(rows: str, owner: Make, schema: str) -> None:
    await raised(rows, schema, 3, owner)
    answer = await Version(owner, schema, 2).worker().claim(LANE)
    assert isinstance(answer, ClaimRefused)
    assert answer.code == "FORMAT_BELOW_FLOOR" and "start a newer release" in answer.text


async def test_the_floor_is_not_raised_over_a_worker_that_would_not_understand(
    rows: str, owner: Make, schema: str
) -> None:
    older, newer = Version(owner, schema, 1).worker(), Version(owner, schema, 2).worker()
    await announce(older, newer)
    error = await refused(rows, schema, 2)
    assert error.code == "FORMAT_NOT_UNDERSTOOD" and older.name in str(error) and newer.name not in str(error)
    assert (await look(rows, schema)).floor == 1
    await leave(older)
    found = await raise_floor(rows, schema, 2)
    assert (found.floor, found.workers) == (2, (Announced(newer.name, 2),))


async def test_a_worker_that_died_is_waited_for_and_then_forgotten(
    rows: str, owner: Make, schema: str, db: Outsider
) -> None:
    older, newer = Version(owner, schema, 1).worker(), Version(owner, schema, 2).worker()
    await announce(older, newer)
    await db.connection.execute(
        f"UPDATE {schema}.worker SET seen_at = now() - interval '61 s' WHERE token = $1", older.token
    )
    assert (await raise_floor(rows, schema, 2)).floor == 2


@pytest.mark.parametrize("announced", [True, False])
async def test_who_holds_a_lane_works_however_long_nobody_heard_of_it(
    rows: str, owner: Make, schema: str, db: Outsider, announced: bool
) -> None:
    older, newer = Version(owner, schema, 1).worker(), Version(owner, schema, 2).worker()
    await announce(newer)
    if announced:
        await announce(older)
        await db.connection.execute(
            f"UPDATE {schema}.worker SET seen_at = now() - interval '1 h' WHERE state_format = 1"
        )
    await older.own(LANE)
    assert (await refused(rows, schema, 2)).code == "FORMAT_NOT_UNDERSTOOD"
    await db.set(schema, LANE, "lease_until = now() - interval '1 s'")
    assert (await raise_floor(rows, schema, 2)).floor == 2


async def test_a_format_that_nobody_understands_is_refused(rows: str, owner: Make, schema: str) -> None:
    assert (await refused(rows, schema, 2)).code == "FORMAT_UNKNOWN"
    await announce(Version(owner, schema, 2).worker())
    assert (await refused(rows, schema, 22)).code == "FORMAT_NOT_UNDERSTOOD"
    assert (await raise_floor(rows, schema, 2)).floor == 2


async def test_the_floor_is_never_lowered(rows: str, owner: Make, schema: str) -> None:
    await raised(rows, schema, 3, owner)
    await announce(Version(owner, schema, 2).worker())
    assert (await refused(rows, schema, 2)).code == "FORMAT_LOWERED"
    assert (await raise_floor(rows, schema, 3)).floor == 3, "the same again is no error"


@pytest.mark.parametrize(
    "by_hand", ["UPDATE {}.format_floor SET floor = 1", "DELETE FROM {}.format_floor", "TRUNCATE {}.format_floor"]
)
async def test_the_floor_is_not_lowered_by_hand_either(
    rows: str, owner: Make, schema: str, db: Outsider, by_hand: str
) -> None:
    await raised(rows, schema, 2, owner)
    with pytest.raises(asyncpg.PostgresError, match="FORMAT_LOWERED"):
        await db.connection.execute(by_hand.format(schema))
    assert (await look(rows, schema)).floor == 2


async def test_a_claim_and_a_raise_take_turns(rows: str, owner: Make, schema: str, db: Outsider) -> None:
    older, newer = Version(owner, schema, 1).worker(), Version(owner, schema, 2).worker()
    await announce(newer)

    async def waits() -> bool:
        statement = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE $1 AND wait_event_type = 'Lock'"
        return bool(await db.connection.fetchval(statement, f"%{schema}.raise_format_floor%"))

    async with outsider(rows) as claiming, claiming.connection.transaction():
        await claiming.connection.execute(
            f"SELECT * FROM {schema}.claim($1, $2, 'colocated', 60000, 0, 0, 1)", LANE, older.token
        )
        raising = asyncio.create_task(refused(rows, schema, 2))
        await until(waits)
    assert (await raising).code == "FORMAT_NOT_UNDERSTOOD", "the claim that was first is seen"


async def test_lanes_are_shared_among_those_who_may_claim_and_the_others_are_told_why(
    rows: str, owner: Make, schema: str
) -> None:
    older, newer = Version(owner, schema, 1).worker(), Version(owner, schema, 2).worker()
    await announce(older, newer)
    seen_by_older, seen_by_newer = await older.store.survey(Survey()), await newer.store.survey(Survey())
    assert list(seen_by_older.workers) == list(seen_by_newer.workers) == [older.token]
    assert seen_by_older.unfit == "" and f"`deed format raise {schema} 2`" in seen_by_newer.unfit
    await leave(older)
    await raise_floor(rows, schema, 2)
    seen = await newer.store.survey(Survey())
    assert (list(seen.workers), seen.unfit) == ([newer.token], "")


async def test_each_hosted_service_is_announced_with_its_own_format(rows: str, owner: Make, schema: str) -> None:
    both = owner(services=hosted(ALPHA, service(schema, state_format=2)))
    await announce(both)
    assert Announced(both.name, 2) in (await look(rows, schema)).workers
    assert Announced(both.name, 1) in (await look(rows, "alpha")).workers
    seen = await both.store.survey(Survey())
    assert both.token not in seen.workers and seen.unfit.startswith(f"{schema}: ")
    await leave(both)
    assert (await look(rows, schema)).workers == ()


async def test_a_database_without_the_service_is_said_in_a_sentence(rows: str) -> None:
    for name in ("nobody", "no; body"):
        with pytest.raises(FormatRefused) as error:
            await look(rows, name)
        assert error.value.code == "SERVICE_UNKNOWN"
    with pytest.raises(FormatRefused) as error:
        await look("postgresql://nobody:nothing@127.0.0.1:1/x", "alpha")
    assert error.value.code == "DATABASE_AWAY"


def deed(*words: str, status: int = 0) -> str:
    said = CliRunner().invoke(build(), ["format", *words])
    assert said.exit_code == status, said.output
    return said.output


def test_an_operator_shows_and_raises_the_floor(rows: str, monkeypatch: pytest.MonkeyPatch) -> None:
    schema = f"f{uuid.uuid4().hex[:10]}"
    wait_for(migrate(rows, [schema]))
    monkeypatch.setenv("DEED_DATABASE_URL", rows)
    assert deed("show", schema) == f"{schema} writes state format 1.\n"
    assert "FORMAT_UNKNOWN: No running worker" in deed("raise", schema, "2", status=1)

    async def start() -> str:
        one = Owner(rows, hosted(service(schema, state_format=2)))
        await announce(one)
        await one.store.close()
        return one.name

    name = wait_for(start())
    assert json.loads(deed("raise", schema, "2", "--json")) == {
        "service": schema, "floor": 2, "workers": [{"name": name, "state_format": 2}],
    }  # fmt: skip
    assert deed("show", schema).splitlines()[1].split() == ["WORKER", "FORMAT"]
    assert "FORMAT_LOWERED" in deed("raise", schema, "1", status=1)


def test_without_a_system_it_says_what_to_do(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEED_HOME", str(tmp_path))
    monkeypatch.delenv("DEED_DATABASE_URL", raising=False)
    assert "Nothing runs: `deed up`" in deed("show", "budget", status=5)
