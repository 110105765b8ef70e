"""The sums of budgets, from the tables of the budget service: per scope, over all stripes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import msgspec

from libs.client.ending import Exit, Failed
from libs.ledger.database import CONNECT_ERRORS

TIMEOUT_S = 10.0


class Sums(msgspec.Struct, frozen=True):
    """What is set aside and what is spent in a scope."""

    pending_micros: int = 0
    posted_micros: int = 0
    frozen: bool = False


class Row(msgspec.Struct, frozen=True):
    """One stripe of a scope as its table has it."""

    scope: str
    stripe: int
    version: int
    share_micros: int
    pending_micros: int
    posted_micros: int
    frozen: bool


async def read_rows(databases: Sequence[str]) -> list[Row]:
    """Every stripe, of the one database that has the tables of budget. Raises Failed: DATABASE_AWAY, NO_BUDGETS."""
    for dsn in databases:
        try:
            connection = await asyncpg.connect(dsn, timeout=TIMEOUT_S, command_timeout=TIMEOUT_S)
        except CONNECT_ERRORS as error:
            raise _away(error) from None
        try:
            if await connection.fetchval("SELECT to_regclass('budget.scope')") is not None:
                return [_row(row) for row in await connection.fetch("SELECT * FROM budget.scope")]
        except CONNECT_ERRORS as error:
            raise _away(error) from None
        finally:
            await connection.close(timeout=5)
    mend = "Name the database of the budget service in DEED_DATABASE_URL."
    raise Failed("NO_BUDGETS", "no database here has the tables of budget", mend, Exit.NOT_FOUND)


def sums(rows: Sequence[Row]) -> Mapping[str, Sums]:
    """Per scope, over all stripes. Frozen: the soft cap is exceeded, or the hard one."""
    found: dict[str, Sums] = {}
    for row in rows:
        before = found.get(row.scope, Sums(frozen=True))
        found[row.scope] = Sums(
            before.pending_micros + row.pending_micros,
            before.posted_micros + row.posted_micros,
            before.frozen and row.frozen,
        )
    return found


def _row(row: Any) -> Row:
    return Row(**{name: row[name] for name in Row.__struct_fields__})


def _away(error: BaseException) -> Failed:
    mend = "Try again; `deed doctor` says what is wrong with it."
    return Failed("DATABASE_AWAY", f"the database cannot be used: {type(error).__name__}: {error}", mend, Exit.AWAY)
