"""The sums of budgets, from the tables of the budget service: per scope, over all stripes, beside the caps in force."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import asyncpg
import msgspec

from libs.client.ending import Exit, Failed
from libs.client.registry import short
from libs.contracts.events import BudgetPeriod
from libs.contracts.proto.deedbook.control.v1 import control_pb2 as pb
from libs.contracts.proto.deedbook.control.v1 import registry_pb2 as reg
from libs.governance.windows import window
from libs.ledger.database import CONNECT_ERRORS

TIMEOUT_S = 10.0


class Mark(StrEnum):
    """What stands out about a scope; the first that is true. `MEANINGS` has the words."""

    NONE = ""
    OVER_CAP = "OVER_CAP"
    OVER_SOFT_CAP = "OVER_SOFT_CAP"
    FROZEN = "FROZEN"
    EARLIER_WINDOW = "EARLIER_WINDOW"
    NO_CAP = "NO_CAP"


MEANINGS: Mapping[str, str] = {
    Mark.OVER_CAP: "frozen: more is reserved and spent than the hard cap; nothing is granted until there is room again",
    Mark.OVER_SOFT_CAP: "grants carry a warning",
    Mark.FROZEN: "a deed cost more than was set aside: the next grant looks at the whole scope first",
    Mark.EARLIER_WINDOW: "held by deeds of an earlier window that have not settled, such as those in doubt",
    Mark.NO_CAP: "held by deeds that have not settled, under no cap that you may see",
}


class Sums(msgspec.Struct, frozen=True):
    """What is set aside and what is spent in a scope. `frozen`: some stripe of it grants nothing by itself."""

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
    """Per scope, over all stripes."""
    found: dict[str, Sums] = {}
    for row in rows:
        before = found.get(row.scope, Sums())
        found[row.scope] = Sums(
            before.pending_micros + row.pending_micros,
            before.posted_micros + row.posted_micros,
            before.frozen or row.frozen,
        )
    return found


def standing(budgets: Iterable[pb.Budget], found: Mapping[str, Sums] | None, now_at: int) -> list[dict[str, Any]]:
    """A row for each cap in the window that it has now, then one for each other scope in which money is held: that is
    there, whether a cap lists it or not. `found` None: the sums are not known."""
    rows = [_capped(budget, found, now_at) for budget in budgets]
    listed = {row["scope"] for row in rows}
    held = [name for name, sums_ in sorted((found or {}).items()) if sums_.pending_micros and name not in listed]
    return rows + [_held(name, (found or {})[name], listed) for name in held]


def _capped(budget: pb.Budget, found: Mapping[str, Sums] | None, now_at: int) -> dict[str, Any]:
    kind, named = short(budget.kind, pb.BudgetKind), short(budget.cost_class, reg.CostClass)
    of = "ALL" if named == "UNSPECIFIED" else named
    now = window(BudgetPeriod[short(budget.period, pb.BudgetPeriod)], now_at)
    soft = budget.soft_micros if budget.HasField("soft_micros") else None
    row = _named(f"{kind}:{budget.id}:{of}:{now}") | {"hard_micros": budget.hard_micros, "soft_micros": soft}
    if found is None:
        return row | {"reserved_micros": None, "spent_micros": None, "left_micros": None, "mark": Mark.NONE}
    sums_ = found.get(row["scope"], Sums())
    left = budget.hard_micros - sums_.pending_micros - sums_.posted_micros
    return row | _summed(sums_, max(0, left)) | {"mark": _mark(left, budget.hard_micros, soft, sums_.frozen)}


def _mark(left: int, hard: int, soft: int | None, frozen: bool) -> Mark:
    if left < 0:
        return Mark.OVER_CAP
    if soft is not None and hard - left > soft:
        return Mark.OVER_SOFT_CAP
    return Mark.FROZEN if frozen else Mark.NONE


def _held(scope: str, sums_: Sums, listed: Iterable[str]) -> dict[str, Any]:
    """Of a scope that no cap has now. Its period is the first word of its window."""

    def period(name: str) -> str:
        before, _, after = name.rpartition(":")
        return f"{before}:{after.partition('-')[0]}"

    mark = Mark.EARLIER_WINDOW if period(scope) in map(period, listed) else Mark.NO_CAP
    return _named(scope) | {"hard_micros": None, "soft_micros": None} | _summed(sums_, None) | {"mark": mark}


def _named(scope: str) -> dict[str, Any]:
    """The parts of a scope's name (libs/governance/windows.py); an id may hold colons."""
    kind, _, rest = scope.partition(":")
    name, of, now = rest.rsplit(":", 2)
    return {"kind": kind, "id": name, "class": of, "window": now, "scope": scope}


def _summed(sums_: Sums, left: int | None) -> dict[str, Any]:
    return {"reserved_micros": sums_.pending_micros, "spent_micros": sums_.posted_micros, "left_micros": left}


def _row(row: Any) -> Row:
    return Row(**{name: row[name] for name in Row.__struct_fields__})


def _away(error: BaseException) -> Failed:
    mend = "Try again; `deed doctor` says what is wrong with it."
    return Failed("DATABASE_AWAY", f"the database cannot be used: {type(error).__name__}: {error}", mend, Exit.AWAY)
