"""From caps in force to scopes and their stripes: what a reservation asks for, and the lines that an event carries."""

from __future__ import annotations

from collections.abc import Sequence

from libs.contracts.events import BudgetDenied, BudgetKind, BudgetReserved, ScopeLine
from libs.governance.control import Cap, ControlView
from libs.governance.windows import scope_of
from libs.ledger.service import ScopeRow, Scopes
from services.budget.stripes import (
    Caps,
    Short,
    absorb,
    correct,
    grant,
    grant_locally,
    release,
    settle,
)


class Book:
    """The scopes of one decision: caps by the control view, stripes by the lane."""

    def __init__(self, control: ControlView, scopes: Scopes) -> None:
        self._control = control
        self._scopes = scopes

    def release(self, scopes: Sequence[str], reserved: int) -> tuple[ScopeLine, ...]:
        """Give back what was set aside in each scope."""
        return self._lines([release(self._scopes.own(scope), reserved) for scope in scopes], more=False)

    def settle(self, scopes: Sequence[str], reserved: int, actual: int) -> tuple[ScopeLine, ...]:
        """Spend it instead."""
        rows = [settle(self._scopes.own(scope), reserved, actual) for scope in scopes]
        return self._lines(rows, more=actual > reserved)

    def correct(self, scopes: Sequence[str], before: int, after: int) -> tuple[ScopeLine, ...]:
        """Spend more or less than was thought."""
        rows = [correct(self._scopes.own(scope), before, after) for scope in scopes]
        return self._lines(rows, more=after > before)

    def _lines(self, rows: Sequence[ScopeRow], more: bool) -> tuple[ScopeLine, ...]:
        """`more`: the stripes took more than they had set aside, so that the others may have to make room."""
        lines: list[ScopeLine] = []
        for row in rows:
            caps = self._caps(row.scope)
            touched = absorb(self._scopes.all(row.scope), row, caps) if more and caps else (row,)
            lines += [line_of(one, caps or Caps(0, None, row.cap_seq)) for one in touched]
        return tuple(lines)

    def _caps(self, scope: str) -> Caps | None:
        """The caps of a scope as they are defined now; None = they were removed."""
        kind, rest = scope.split(":", 1)
        of, cost_class, when = rest.rsplit(":", 2)
        for cap in self._control.caps.get((BudgetKind(kind), of), ()):
            if (cap.cost_class or "ALL") == cost_class and when.startswith(cap.period):
                return Caps(cap.hard_micros, cap.soft_micros, cap.seq)
        return None

    def take(self, scope: str, cap: Cap, amount_micros: int) -> tuple[list[ScopeLine], bool] | BudgetDenied:
        """Set the amount aside in one scope: from the lane's own stripe, or with all stripes in sight."""
        caps = Caps(cap.hard_micros, cap.soft_micros, cap.seq)
        granted = grant_locally(self._scopes.own(scope), caps, amount_micros, self._scopes.stripes)
        if granted is None:
            rows = self._scopes.all(scope)
            found = grant(rows, self._scopes.stripe, caps, amount_micros)
            if isinstance(found, Short):
                return _denied(scope, caps, rows, amount_micros, found.available_micros)
            granted = found
        return [line_of(row, caps) for row in granted.rows], granted.warns


def reserve(caps: Sequence[Cap], amount_micros: int, book: Book, now_at: int) -> BudgetReserved | BudgetDenied:
    """Set the amount aside in every scope, or in none. Without any budget nothing is free (D3)."""
    if not caps:
        reason = "no budget is defined that covers this deed"
        return BudgetDenied(amount_micros, "", "BUDGET_MISSING", reason, 0)
    lines: list[ScopeLine] = []
    warnings: list[str] = []
    scopes = [scope_of(cap, now_at) for cap in caps]
    for cap, scope in zip(caps, scopes, strict=True):
        taken = book.take(scope, cap, amount_micros)
        if isinstance(taken, BudgetDenied):
            return taken
        lines += taken[0]
        if taken[1]:
            warnings.append(scope)
    return BudgetReserved(amount_micros, tuple(lines), tuple(scopes), tuple(warnings))


def line_of(row: ScopeRow, caps: Caps) -> ScopeLine:
    """The stripe as an event shows it."""
    return ScopeLine(
        scope=row.scope,
        stripe=row.stripe,
        version=row.version,
        share_micros=row.share_micros,
        pending_micros=row.pending_micros,
        posted_micros=row.posted_micros,
        hard_micros=caps.hard_micros,
        frozen=row.frozen,
        cap_seq=row.cap_seq,
        soft_micros=caps.soft_micros,
    )


def _denied(scope: str, caps: Caps, rows: Sequence[ScopeRow], amount: int, available: int) -> BudgetDenied:
    pending, posted = sum(row.pending_micros for row in rows), sum(row.posted_micros for row in rows)
    left = f"{available} of {caps.hard_micros} left: {posted} spent, {pending} set aside"
    reason = f"{amount} micros wanted of {scope}, {left}"
    seen = tuple(line_of(row, caps) for row in rows if row.version)
    return BudgetDenied(amount, scope, "BUDGET_EXCEEDED", reason, available, seen)
