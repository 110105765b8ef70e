"""The arithmetic of a budget scope that many lanes share without waiting for each other.

A scope has one stripe per lane. A stripe's share is its part of the hard cap, and a lane grants out of its own share
alone. Two sentences hold after every event, so no grant can pass the cap, whatever other lanes do at the same time:

    the shares of all stripes sum up to the hard cap        each stripe has used at most its share

Nothing is granted out of a frozen stripe without looking at all of them; if these leave room, it thaws. A deed that
cost more than was set aside freezes its stripe. Where the sentences above cannot hold, because the cap itself is
exceeded (by such an overrun, or because it was lowered), every stripe is frozen with its use as its share.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from libs.ledger.service import ScopeRow


class Caps(msgspec.Struct, frozen=True):
    """The caps of one scope as the control view has them. `seq`: of the event that defined them."""

    hard_micros: int
    soft_micros: int | None
    seq: int


class Grant(msgspec.Struct, frozen=True):
    """Room was found: the touched stripes as they stand afterwards, and whether the soft cap is exceeded."""

    rows: tuple[ScopeRow, ...]
    warns: bool


class Short(msgspec.Struct, frozen=True):
    """There is too little room over all stripes."""

    available_micros: int


def used(row: ScopeRow) -> int:
    """What is reserved or spent in a stripe."""
    return row.pending_micros + row.posted_micros


def grant_locally(row: ScopeRow, caps: Caps, amount_micros: int) -> Grant | None:
    """Take the amount out of the lane's own share. None: that cannot be decided on this stripe alone."""
    if not _has_room(row, caps, amount_micros):
        return None
    if caps.soft_micros is not None:
        # Below its part of the soft cap in every stripe means below the soft cap in all of them together.
        part = caps.soft_micros * row.share_micros // caps.hard_micros if caps.hard_micros else 0
        if used(row) + amount_micros > part:
            return None
    return Grant((_reserve(row, amount_micros),), warns=False)


def grant(rows: Sequence[ScopeRow], own: int, caps: Caps, amount_micros: int) -> Grant | Short:
    """Take the amount with all stripes in sight: exact. Refuses only if there really is no room."""
    total, hard = sum(map(used, rows)), _hard(rows, caps)
    if total + amount_micros > hard:
        return Short(max(0, hard - total))
    warns = caps.soft_micros is not None and total + amount_micros > caps.soft_micros
    if _has_room(rows[own], caps, amount_micros):
        return Grant((_reserve(rows[own], amount_micros),), warns)
    wanted = [row if n != own else _reserve(row, amount_micros) for n, row in enumerate(rows)]
    return Grant(_changed(rows, _spread(wanted, own, hard, max(caps.seq, _newest(rows)))), warns)


def settle(row: ScopeRow, reserved_micros: int, actual_micros: int) -> ScopeRow:
    """What was set aside is spent, as far as it was needed. An overrun freezes the stripe."""
    return msgspec.structs.replace(
        row,
        version=row.version + 1,
        pending_micros=row.pending_micros - reserved_micros,
        posted_micros=row.posted_micros + actual_micros,
        frozen=row.frozen or actual_micros > reserved_micros,
    )


def release(row: ScopeRow, reserved_micros: int) -> ScopeRow:
    """What was set aside is free again."""
    return msgspec.structs.replace(row, version=row.version + 1, pending_micros=row.pending_micros - reserved_micros)


def correct(row: ScopeRow, from_micros: int, to_micros: int) -> ScopeRow:
    """What was spent turned out to be more or less."""
    return msgspec.structs.replace(
        row,
        version=row.version + 1,
        posted_micros=row.posted_micros + to_micros - from_micros,
        frozen=row.frozen or to_micros > from_micros,
    )


def overdrawn(row: ScopeRow) -> bool:
    """Has the stripe used more than its share? Then the others must make room for it at once."""
    return used(row) > row.share_micros


def absorb(rows: Sequence[ScopeRow], changed: ScopeRow, caps: Caps) -> tuple[ScopeRow, ...]:
    """After `changed` was overdrawn: shares that fit again, or, if the cap itself is exceeded, all frozen. Gives every
    touched stripe; `changed` has its new version already."""
    own = changed.stripe
    wanted = [changed if n == own else row for n, row in enumerate(rows)]
    hard, seq = _hard(rows, caps), max(caps.seq, _newest(rows))
    if sum(map(used, wanted)) > hard:
        return _changed(rows, [_freeze(row, seq) for row in wanted])
    spread = _spread(wanted, own, hard, seq)
    spread[own] = msgspec.structs.replace(spread[own], frozen=changed.frozen)
    return _changed(rows, spread)


def _has_room(row: ScopeRow, caps: Caps, amount_micros: int) -> bool:
    """May the stripe grant by itself? A row of a newer cap than we know of may: its share fits that cap."""
    current = row.version > 0 and row.cap_seq >= caps.seq and not row.frozen
    return current and used(row) + amount_micros <= row.share_micros


def _hard(rows: Sequence[ScopeRow], caps: Caps) -> int:
    """The hard cap that binds. If the stripes know a newer one than our view, it is the sum of their shares; frozen
    stripes then have no room at all."""
    return caps.hard_micros if _newest(rows) <= caps.seq else sum(row.share_micros for row in rows)


def _newest(rows: Sequence[ScopeRow]) -> int:
    return max(row.cap_seq for row in rows)


def _reserve(row: ScopeRow, amount_micros: int) -> ScopeRow:
    return msgspec.structs.replace(row, version=row.version + 1, pending_micros=row.pending_micros + amount_micros)


def _spread(rows: Sequence[ScopeRow], own: int, hard_micros: int, seq: int) -> list[ScopeRow]:
    """Give each stripe what it uses and an even part of what is left; the odd rest goes to our own."""
    part, rest = divmod(hard_micros - sum(map(used, rows)), len(rows))
    shares = [used(row) + part + (rest if n == own else 0) for n, row in enumerate(rows)]
    return [
        msgspec.structs.replace(row, share_micros=share, frozen=False, cap_seq=seq)
        for row, share in zip(rows, shares, strict=True)
    ]


def _freeze(row: ScopeRow, seq: int) -> ScopeRow:
    return msgspec.structs.replace(row, share_micros=used(row), frozen=True, cap_seq=seq)


def _changed(before: Sequence[ScopeRow], after: Sequence[ScopeRow]) -> tuple[ScopeRow, ...]:
    """The stripes that differ, each exactly one version on."""
    return tuple(
        msgspec.structs.replace(new, version=old.version + 1)
        for old, new in zip(before, after, strict=True)
        if new != old or old.version == 0
    )
