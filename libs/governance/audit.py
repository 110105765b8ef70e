"""Do the books balance? Proves from `ledger.budget` alone that every grant kept its caps and that no line is missing.

Each event carries the stripes that it changed, as they stood afterwards, under gapless versions. So the partitions can
be read in any order, and it is enough to look at each event against the version before it:

    after a grant its stripe has used no more than its share
    shares are only moved between stripes, or dealt out anew over all of them: the hard cap, or nothing
    what an event says it reserved, settled or released is what its lines changed

From these follows that at every grant the sum over all stripes was within the hard cap.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from libs.contracts.events import (
    BudgetCorrected,
    BudgetDenied,
    BudgetReleased,
    BudgetReserved,
    BudgetSettled,
    ScopeLine,
)
from libs.ledger.service import Fact

Moving = BudgetReserved | BudgetReleased | BudgetSettled | BudgetCorrected
Stripe = tuple[str, int]


class Fault(msgspec.Struct, frozen=True):
    """Something that does not fit. `seq`: of the event on its partition, 0 if it is about none."""

    code: str
    text: str
    event_id: bytes = b""
    seq: int = 0


class Totals(msgspec.Struct):
    """A scope's sums over all stripes: of the last lines, and of what the events say."""

    pending_micros: int = 0
    posted_micros: int = 0
    told_pending_micros: int = 0
    told_posted_micros: int = 0
    hard_micros: int = 0
    grants: int = 0


class Audit(msgspec.Struct, frozen=True):
    """The result: sums by scope, and every fault found."""

    scopes: dict[str, Totals]
    faults: tuple[Fault, ...]

    @property
    def balanced(self) -> bool:
        """Is everything as it must be?"""
        return not self.faults


def audit(facts: Iterable[Fact], stripes: int) -> Audit:
    """Look at all events of `ledger.budget`, in any order of partitions. `stripes`: number of lanes."""
    moving = [fact for fact in facts if isinstance(fact.body, Moving | BudgetDenied)]
    faults: list[Fault] = []
    rows = _rows(moving, faults)
    scopes: dict[str, Totals] = defaultdict(Totals)
    for fact in moving:
        if isinstance(fact.body, BudgetDenied):
            faults += _check_denial(fact, fact.body, rows)
        else:
            faults += _check_event(fact, fact.body, rows, stripes)
    _sum_up(moving, rows, scopes)
    for scope, totals in scopes.items():
        lines = (totals.pending_micros, totals.posted_micros)
        if lines != (totals.told_pending_micros, totals.told_posted_micros):
            faults.append(Fault("SUMS_DIFFER", f"{scope}: lines say {lines}, events say otherwise"))
    return Audit(dict(scopes), tuple(faults))


def _rows(moving: Sequence[Fact], faults: list[Fault]) -> dict[Stripe, dict[int, ScopeLine]]:
    """All lines by stripe and version. Versions begin with 1 and have no gaps and no doubles."""
    rows: dict[Stripe, dict[int, ScopeLine]] = defaultdict(dict)
    for fact in moving:
        for line in () if isinstance(fact.body, BudgetDenied) else fact.body.lines:
            known = rows[(line.scope, line.stripe)]
            if line.version in known:
                faults.append(_fault(fact, "VERSION_TWICE", line))
            known[line.version] = line
    for (scope, stripe), known in rows.items():
        missing = set(range(1, max(known) + 1)) - set(known)
        if missing:
            faults.append(Fault("VERSION_MISSING", f"{scope}/{stripe}: {sorted(missing)[:5]}"))
    return rows


def _check_event(fact: Fact, body: Moving, rows: dict[Stripe, dict[int, ScopeLine]], stripes: int) -> list[Fault]:
    faults: list[Fault] = []
    by_scope: dict[str, list[ScopeLine]] = defaultdict(list)
    for line in body.lines:
        by_scope[line.scope].append(line)
    if isinstance(body, BudgetReserved) and set(by_scope) != set(body.scopes):
        faults.append(Fault("SCOPES_DIFFER", "lines of other scopes than reserved", fact.envelope.event_id))
    wanted = _told(body)
    for lines in by_scope.values():
        before = [_before(line, rows) for line in lines]
        moved = [_moved(old, new) for old, new in zip(before, lines, strict=True)]
        if sorted(move for move in moved if move != (0, 0)) != [wanted] * (wanted != (0, 0)):
            faults.append(_fault(fact, "AMOUNT_DIFFERS", lines[0]))
        if not _shares_fit(before, lines, stripes):
            faults.append(_fault(fact, "SHARES_DIFFER", lines[0]))
        if isinstance(body, BudgetReserved):
            granted = [line for line, move in zip(lines, moved, strict=True) if move != (0, 0)] or lines[:1]
            faults += [_fault(fact, "CAP_EXCEEDED", line) for line in granted if _exceeded(line)]
    return faults


def _exceeded(line: ScopeLine) -> bool:
    return line.pending_micros + line.posted_micros > line.share_micros


def _shares_fit(before: Sequence[ScopeLine | None], after: Sequence[ScopeLine], stripes: int) -> bool:
    """Moved between stripes, or dealt out anew over all: the hard cap, or nothing when it is exceeded."""
    moved = sum(new.share_micros - (old.share_micros if old else 0) for old, new in zip(before, after, strict=True))
    if moved == 0 and all(old is not None for old in before):
        return True
    dealt = sum(line.share_micros for line in after)
    exceeded = dealt == 0 and all(line.frozen for line in after)
    return len(after) == stripes and (exceeded or dealt == after[0].hard_micros)


def _check_denial(fact: Fact, body: BudgetDenied, rows: dict[Stripe, dict[int, ScopeLine]]) -> list[Fault]:
    """What it saw is what was there, and there really was no room."""
    faults = [
        _fault(fact, "EVIDENCE_DIFFERS", line)
        for line in body.lines
        if not _same_row(rows[(line.scope, line.stripe)].get(line.version), line)
    ]
    if body.code == "BUDGET_EXCEEDED" and body.lines:
        used = sum(line.pending_micros + line.posted_micros for line in body.lines)
        newer = max(line.cap_seq for line in body.lines) > fact.envelope.control_seq
        hard = sum(line.share_micros for line in body.lines) if newer else body.lines[0].hard_micros
        if used + body.amount_micros <= hard:
            faults.append(_fault(fact, "DENIED_WITH_ROOM", body.lines[0]))
    return faults


def _same_row(known: ScopeLine | None, seen: ScopeLine) -> bool:
    """The same stripe; the caps beside it are those of each writer's own view."""
    if known is None:
        return False
    caps = {"hard_micros": seen.hard_micros, "soft_micros": seen.soft_micros}
    return msgspec.structs.replace(known, **caps) == seen


def _sum_up(moving: Sequence[Fact], rows: dict[Stripe, dict[int, ScopeLine]], scopes: dict[str, Totals]) -> None:
    for (scope, _), known in rows.items():
        last, totals = known[max(known)], scopes[scope]
        totals.pending_micros += last.pending_micros
        totals.posted_micros += last.posted_micros
        totals.hard_micros = max(totals.hard_micros, last.hard_micros)
    for fact in moving:
        if isinstance(fact.body, BudgetDenied):
            continue
        pending, posted = _told(fact.body)
        for scope in {line.scope for line in fact.body.lines}:
            scopes[scope].told_pending_micros += pending
            scopes[scope].told_posted_micros += posted
            scopes[scope].grants += isinstance(fact.body, BudgetReserved)


def _told(body: Moving) -> tuple[int, int]:
    """By how much an event says it changed pending and posted."""
    match body:
        case BudgetReserved():
            return body.amount_micros, 0
        case BudgetReleased():
            return -body.amount_micros, 0
        case BudgetSettled():
            return -body.reserved_micros, body.actual_micros
        case BudgetCorrected():
            return 0, body.to_micros - body.from_micros


def _moved(old: ScopeLine | None, new: ScopeLine) -> tuple[int, int]:
    pending, posted = (old.pending_micros, old.posted_micros) if old else (0, 0)
    return new.pending_micros - pending, new.posted_micros - posted


def _before(line: ScopeLine, rows: dict[Stripe, dict[int, ScopeLine]]) -> ScopeLine | None:
    return rows[(line.scope, line.stripe)].get(line.version - 1)


def _fault(fact: Fact, code: str, line: ScopeLine) -> Fault:
    text = f"{type(fact.body).__name__}: {line.scope}/{line.stripe} version {line.version}"
    return Fault(code, text, fact.envelope.event_id, fact.envelope.seq)
