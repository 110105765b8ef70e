"""The books of a system at work: what the ledger proves about every budget, and whether the tables say the same.

A table is ahead of the ledger for a moment, since a decision is committed before it is published. So the tables are
read before and after the ledger, and each stripe must have been somewhere in between."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec

from libs.client.operating import with_lanes
from libs.client.scopes import Row, read_rows
from libs.contracts.events import BudgetDenied, ScopeLine
from libs.governance.audit import Audit, audit
from libs.ledger.service import Fact
from libs.ledger.verify import verify_ledger
from libs.runtime.settings import KafkaSettings

TOPIC = "ledger.budget"
TRIES = 5
PAUSE_S = 0.5

Stripe = tuple[str, int]


class Scope(msgspec.Struct, frozen=True):
    """The sums of one scope, by the ledger and by the tables."""

    ledger_reserved_micros: int
    table_reserved_micros: int
    ledger_spent_micros: int
    table_spent_micros: int
    hard_micros: int
    grants: int


class Books(msgspec.Struct, frozen=True):
    """Every scope, and everything that does not fit."""

    scopes: Mapping[str, Scope]
    problems: tuple[str, ...]


async def compare(settings: KafkaSettings, databases: Sequence[str]) -> Books:
    """Read both, as often as it takes until what was under way is on the ledger. Raises Failed when the tables cannot
    be read, StartRefused when the log cannot."""
    settings = await with_lanes(settings)
    for attempt in range(TRIES):
        await asyncio.sleep(PAUSE_S if attempt else 0)
        before = await read_rows(databases)
        facts: list[Fact] = []
        report = await verify_ledger(settings, settings.lanes, facts.append, (TOPIC,))
        after = await read_rows(databases)
        found = balance(facts, settings.lanes, before, after)
        if not found.problems and not report.broken:
            break
    return Books(found.scopes, (*report.broken, *found.problems))


def balance(facts: Sequence[Fact], lanes: int, before: Sequence[Row], after: Sequence[Row]) -> Books:
    """The ledger against itself, and against the tables as they were just before and just after it was read."""
    proof = audit(facts, lanes)
    lines = _lines(facts)
    problems = [f"{fault.code}: {fault.text}" for fault in proof.faults]
    problems += _differences(lines, {(row.scope, row.stripe): row for row in before}, older=True)
    problems += _differences(lines, {(row.scope, row.stripe): row for row in after}, older=False)
    return Books(_scopes(proof, after), tuple(dict.fromkeys(problems)))


def _lines(facts: Sequence[Fact]) -> dict[Stripe, dict[int, ScopeLine]]:
    found: dict[Stripe, dict[int, ScopeLine]] = {}
    for fact in facts:
        if not isinstance(fact.body, BudgetDenied):
            for line in getattr(fact.body, "lines", ()):
                found.setdefault((line.scope, line.stripe), {})[line.version] = line
    return found


def _differences(lines: Mapping[Stripe, Mapping[int, ScopeLine]], rows: Mapping[Stripe, Row], older: bool) -> list[str]:
    """Rows that the ledger does not have, or has otherwise. Older rows must all be on it; newer ones may be ahead of
    it, but nothing on it may be missing in them."""
    found = []
    for stripe, row in rows.items():
        line = lines.get(stripe, {}).get(row.version)
        if line is None and (older and row.version):
            found.append(f"{stripe[0]}/{stripe[1]}: the table has version {row.version}, the ledger has it not")
        elif line is not None and _content(line) != _content(row):
            found.append(
                f"{stripe[0]}/{stripe[1]} version {row.version}: table {_content(row)}, ledger {_content(line)}"
            )
    for stripe, versions in () if older else lines.items():
        newest = rows.get(stripe)
        if newest is None or newest.version < max(versions):
            found.append(f"{stripe[0]}/{stripe[1]}: the table lacks version {max(versions)} of the ledger")
    return found


def _content(of: Row | ScopeLine) -> tuple[int, int, int, bool]:
    return of.share_micros, of.pending_micros, of.posted_micros, of.frozen


def _scopes(proof: Audit, rows: Sequence[Row]) -> dict[str, Scope]:
    names = sorted(proof.scopes.keys() | {row.scope for row in rows})
    found = {}
    for name in names:
        totals = proof.scopes.get(name)
        mine = [row for row in rows if row.scope == name]
        found[name] = Scope(
            ledger_reserved_micros=totals.told_pending_micros if totals else 0,
            table_reserved_micros=sum(row.pending_micros for row in mine),
            ledger_spent_micros=totals.told_posted_micros if totals else 0,
            table_spent_micros=sum(row.posted_micros for row in mine),
            hard_micros=totals.hard_micros if totals else 0,
            grants=totals.grants if totals else 0,
        )
    return found
