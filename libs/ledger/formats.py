"""The floor of a service's state formats, as an operator sees and raises it (lane_rules 25).

A release writes one format and reads all before it. What it writes must be the floor of the schema; who writes a newer
or an older one claims nothing. So the newer workers are started beside the older ones, wait, and take over when these
are stopped and the floor is raised.
"""

from __future__ import annotations

import re
from typing import Any

import asyncpg
import msgspec

from libs.ledger.database import CONNECT_ERRORS, LOST

LIVE_MS = 60_000  # workers announce themselves every second; one that was not seen for so long owns nothing by then
TIMEOUT_S = 10.0
REFUSED = "DB004"
SCHEMA = re.compile(r"[a-z][a-z0-9_]{0,62}")


class FormatRefused(Exception):
    """Nothing was changed. `code` is stable, the text is one sentence with the remedy."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Announced(msgspec.Struct, frozen=True):
    """A worker that was seen lately, and the format that it writes."""

    name: str
    state_format: int


class Floor(msgspec.Struct, frozen=True):
    """The one format that is written in the schema of a service, and the workers that host it."""

    service: str
    floor: int
    workers: tuple[Announced, ...]


async def look(dsn: str, service: str) -> Floor:
    """The floor as it is. Raises FormatRefused: SERVICE_UNKNOWN, DATABASE_AWAY."""
    return await _ask(dsn, service, 0)


async def raise_floor(dsn: str, service: str, to: int) -> Floor:
    """Raise it; the same again changes nothing. Raises FormatRefused, besides those of `look`: FORMAT_LOWERED,
    FORMAT_NOT_UNDERSTOOD (somebody who works would not understand it), FORMAT_UNKNOWN (nobody would)."""
    return await _ask(dsn, service, to)


async def _ask(dsn: str, service: str, to: int) -> Floor:
    if SCHEMA.fullmatch(service) is None:
        raise FormatRefused("SERVICE_UNKNOWN", f"{service} is not the name of a service.")
    try:
        connection = await asyncpg.connect(dsn, timeout=TIMEOUT_S, command_timeout=TIMEOUT_S)
    except CONNECT_ERRORS as error:
        raise FormatRefused(
            "DATABASE_AWAY", f"The database cannot be used: {type(error).__name__}: {error}."
        ) from error
    try:
        if to:
            await connection.execute(f"SELECT {service}.raise_format_floor($1, $2)", to, LIVE_MS)
        return await _look(connection, service)
    except asyncpg.PostgresError as error:
        raise _refusal(service, error) from error
    except LOST as error:
        text = f"The database did not answer, look again: {type(error).__name__}: {error}."
        raise FormatRefused("DATABASE_AWAY", text) from error
    finally:
        await connection.close(timeout=5)


async def _look(connection: asyncpg.Connection[Any], service: str) -> Floor:
    floor = await connection.fetchval(f"SELECT floor FROM {service}.format_floor")
    lately = "seen_at > now() - $1::int * interval '1 ms'"
    statement = f"SELECT name, state_format FROM {service}.worker WHERE {lately} ORDER BY name"
    rows = await connection.fetch(statement, LIVE_MS)
    return Floor(service, floor, tuple(Announced(*row) for row in rows))


def _refusal(service: str, error: asyncpg.PostgresError) -> FormatRefused:
    if error.sqlstate == REFUSED:
        detail = str(error.detail)
        return FormatRefused(str(error.message), f"{detail[0].upper()}{detail[1:]}.")
    if isinstance(error, asyncpg.UndefinedTableError | asyncpg.UndefinedFunctionError | asyncpg.InvalidSchemaNameError):
        text = f"This database keeps no rows of {service}: name another service or database, or start the release once."
        return FormatRefused("SERVICE_UNKNOWN", text)
    return FormatRefused("DATABASE_AWAY", f"The database refused: {type(error).__name__}: {error}.")
