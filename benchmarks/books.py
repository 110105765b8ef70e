"""The money of a run, from the ledger alone: every version of every stripe, and what was granted, settled and released
(guarantees.md, invariants 3 and 4); then the tables must say the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import asyncpg

from libs.contracts.events import BudgetReleased, BudgetReserved, BudgetSettled, ScopeLine
from libs.ledger.partition import lane_of
from libs.ledger.service import Fact

Stripe = tuple[str, int]
SHOWN = 5


class Books:
    """Takes the events of ledger.budget; `problems` says what does not add up."""

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        self._lines: dict[Stripe, dict[int, tuple[ScopeLine, int, int]]] = defaultdict(dict)  # by version, with changes
        self._pending: dict[str, int] = defaultdict(int)
        self._posted: dict[str, int] = defaultdict(int)
        self._wrong: list[str] = []
        self.grants = 0

    def take(self, fact: Fact) -> None:
        """One event of ledger.budget."""
        match fact.body:
            case BudgetReserved(amount_micros=amount):
                self.grants += 1
                self._enter(fact, fact.body.lines, amount, 0)
            case BudgetSettled(reserved_micros=reserved, actual_micros=actual):
                self._enter(fact, fact.body.lines, -reserved, actual)
            case BudgetReleased(amount_micros=amount):
                self._enter(fact, fact.body.lines, -amount, 0)
            case other:
                self._wrong.append(f"an event that a benchmark does not expect: {type(other).__name__}: {other}")

    def _enter(self, fact: Fact, lines: Iterable[ScopeLine], pending: int, posted: int) -> None:
        own = lane_of(fact.envelope.intent_id, self._lanes)
        for line in lines:
            changes = (pending, posted) if line.stripe == own else (0, 0)
            versions = self._lines[line.scope, line.stripe]
            if line.version in versions:
                self._wrong.append(f"{line.scope}/{line.stripe} has version {line.version} twice")
            versions[line.version] = (line, *changes)
            if line.stripe == own:
                self._pending[line.scope] += pending
                self._posted[line.scope] += posted

    def problems(self) -> list[str]:
        """What does not add up; nothing when the books are right."""
        wrong = list(self._wrong)
        shares: dict[str, int] = defaultdict(int)
        sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for stripe, versions in self._lines.items():
            wrong += _history(stripe, versions)
            last = versions[max(versions)][0]
            shares[last.scope] += last.share_micros
            sums[last.scope][0] += last.pending_micros
            sums[last.scope][1] += last.posted_micros
            if shares[last.scope] > last.hard_micros:
                wrong.append(f"{last.scope}: the shares sum up to more than the cap {last.hard_micros}")
        for scope, found in sums.items():
            if found != [self._pending[scope], self._posted[scope]]:
                wrong.append(f"{scope}: stripes say {found}, events {self._pending[scope], self._posted[scope]}")
        if not self.grants:
            wrong.append("nothing was reserved at all")
        return wrong

    def against(self, rows: Mapping[Stripe, tuple[int, int, int, int]]) -> list[str]:
        """Scope tables that differ from the ledger: (version, share, pending, posted) by stripe."""
        last = {stripe: versions[max(versions)][0] for stripe, versions in self._lines.items()}
        told = {
            stripe: (line.version, line.share_micros, line.pending_micros, line.posted_micros)
            for stripe, line in last.items()
        }
        differ = [stripe for stripe in told.keys() | rows.keys() if told.get(stripe) != rows.get(stripe)]
        return [f"{scope}/{n}: table {rows.get((scope, n))}, ledger {told.get((scope, n))}" for scope, n in differ]


async def scope_rows(database_url: str) -> dict[Stripe, tuple[int, int, int, int]]:
    """The stripes as the table of budget has them."""
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        rows = await connection.fetch("SELECT * FROM budget.scope", timeout=30)
    finally:
        await connection.close()
    return {
        (row["scope"], row["stripe"]): (
            row["version"], row["share_micros"], row["pending_micros"], row["posted_micros"]
        )
        for row in rows
    }  # fmt: skip


def _history(stripe: Stripe, versions: Mapping[int, tuple[ScopeLine, int, int]]) -> list[str]:
    """Versions without a gap, sums that follow from the version before, no grant above the share."""
    wrong: list[str] = []
    pending = posted = 0
    for number, version in enumerate(sorted(versions), 1):
        line, more_pending, more_posted = versions[version]
        pending, posted = pending + more_pending, posted + more_posted
        if version != number:
            return [f"{stripe[0]}/{stripe[1]}: version {number} is missing"]
        if (line.pending_micros, line.posted_micros) != (pending, posted):
            wrong.append(f"{stripe[0]}/{stripe[1]} version {version}: {line.pending_micros}, {line.posted_micros} do"
                         f" not follow from what was done, {pending}, {posted}")  # fmt: skip
            break
        if more_pending > 0 and (line.frozen or pending + posted > line.share_micros):
            wrong.append(f"{stripe[0]}/{stripe[1]} version {version}: granted above its share {line.share_micros}")
    return wrong
