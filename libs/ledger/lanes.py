"""The lanes of a database as an operator sees them, and the way back for one that was halted (lane_rules 9)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar

import asyncpg
import msgspec

from libs.ledger.database import CONNECT_ERRORS

T = TypeVar("T")
TIMEOUT_S = 10.0
AWAY = "DATABASE_AWAY"
REASON_MAX = 1000
# OWNED: somebody works on it. FREE: nobody does. RUN_OUT: its owner was lost, it is taken within a second or two.
# HALTED: something is wrong with its topics; nobody takes it before an operator has looked.
_LOOK = """
SELECT l.lane, CASE WHEN l.halted_reason IS NOT NULL THEN 'HALTED' WHEN l.token IS NULL THEN 'FREE'
        WHEN {s}.is_held(l) THEN 'OWNED' ELSE 'RUN_OUT' END AS phase,
    coalesce(w.name, l.token::text, '') AS owner, l.epoch, l.out_seq - l.published_seq AS unacked,
    coalesce(l.halted_reason, '') AS halted
FROM {s}.lane l LEFT JOIN {s}.worker w ON w.token = l.token
ORDER BY l.lane
"""
_PARKED = """
SELECT key::text, lane, count(*)::int AS inputs, min(parked_at) AS since FROM {s}.parked GROUP BY key, lane
ORDER BY min(parked_at), key
"""


class LanesRefused(Exception):
    """Nothing was changed. `code` is stable, the text is one sentence with the remedy."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Lane(msgspec.Struct, frozen=True):
    """One lane of one service. `unacked`: events that are not known to be on the log; `halted`: why, "" = it is not."""

    service: str
    lane: int
    phase: str
    owner: str
    epoch: int
    unacked: int
    halted: str


class Parked(msgspec.Struct, frozen=True):
    """A key that a service has set aside, with the inputs that wait for it. `since`: of the first of them."""

    service: str
    key: str
    lane: int
    inputs: int
    since: datetime


class Cleared(msgspec.Struct, frozen=True):
    """A lane of a service that may be claimed again, and what it had been halted for."""

    service: str
    lane: int
    halted: str


async def look(dsn: str) -> list[Lane]:
    """Every lane of every service with rows in this database. Raises LanesRefused: DATABASE_AWAY."""
    return await _of_all_services(dsn, _LOOK, Lane)


async def parked(dsn: str) -> list[Parked]:
    """Every key that a service with rows in this database has set aside. Raises LanesRefused: DATABASE_AWAY."""
    return await _of_all_services(dsn, _PARKED, Parked)


async def clear(dsn: str, lane: int, by: str, why: str) -> list[Cleared]:
    """Let a lane go on, in every schema of this database where it was halted. One by one, so that it is in no claim's
    way; when it fails in between, the same again does the rest. Raises LanesRefused: REASON_MISSING, REASON_TOO_LONG,
    DATABASE_AWAY, DATABASE_OLDER."""
    if not why.strip() or not by.strip():
        raise LanesRefused("REASON_MISSING", "A lane goes on only when somebody says why: --reason TEXT.")
    if len(why) > REASON_MAX:
        raise LanesRefused("REASON_TOO_LONG", f"The reason is longer than {REASON_MAX} characters.")
    async with _connected(dsn) as connection:
        found = []
        for service in await _services(connection):
            halted = await connection.fetchval(f"SELECT {service}.clear_halt($1, $2, $3)", lane, by, why)
            found += [] if halted is None else [Cleared(service, lane, halted)]
        return found


async def _of_all_services(dsn: str, statement: str, kind: Callable[..., T]) -> list[T]:
    async with _connected(dsn) as connection:
        found = []
        for service in await _services(connection):
            rows = await connection.fetch(statement.replace("{s}", service))
            found += [kind(service, **dict(row)) for row in rows]
        return found


async def _services(connection: asyncpg.Connection[Any]) -> list[str]:
    if await connection.fetchval("SELECT to_regclass('public.deedbook_migration')") is None:
        return []
    statement = "SELECT DISTINCT schema FROM public.deedbook_migration ORDER BY schema"
    return [row["schema"] for row in await connection.fetch(statement)]


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    try:
        connection = await asyncpg.connect(dsn, timeout=TIMEOUT_S, command_timeout=TIMEOUT_S)
    except CONNECT_ERRORS as error:
        text = f"The database cannot be used: {type(error).__name__}: {error}."
        raise LanesRefused(AWAY, text) from error
    try:
        yield connection
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedFunctionError) as error:
        text = (
            "This database is of an older release: start this release once, so that it brings its schemas up to date."
        )
        raise LanesRefused("DATABASE_OLDER", text) from error
    except CONNECT_ERRORS as error:
        text = f"The database did not answer, look again: {type(error).__name__}: {error}."
        raise LanesRefused(AWAY, text) from error
    finally:
        await connection.close(timeout=5)
