"""The arithmetic of a budget scope that many lanes share without waiting for each other.

A scope has one stripe per lane. A stripe's share is its part of the hard cap, and a lane grants out of its own share
alone. Two sentences hold after every event, so no grant can pass the cap, whatever other lanes do at the same time:

    the shares of all stripes sum up to the hard cap        each stripe has used at most its share

A frozen stripe grants nothing without looking at all of them:

    one is frozen     its deed cost more than was set aside; the next grant looks at all, and thaws it
    all are frozen    the soft cap is exceeded, so that each further grant knows it and warns
    all, without a share     the hard cap itself is exceeded, by an overrun or because it was lowered

They thaw by themselves, with the first grant that finds enough room.
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


def grant_locally(row: ScopeRow, caps: Caps, amount_micros: int, stripes: int) -> Grant | None:
    """Take the amount out of the lane's own share. None: that cannot be decided on this stripe alone."""
    if row.frozen or not _has_room(row, caps, amount_micros):
        return None
    if caps.soft_micros is not None and used(row) + amount_micros > _soft_part(row, caps, stripes):
        return None
    return Grant((_reserve(row, amount_micros),), warns=False)


def grant(rows: Sequence[ScopeRow], own: int, caps: Caps, amount_micros: int) -> Grant | Short:
    """Take the amount with all stripes in sight: exact. Refuses only if there really is no room."""
    total, hard = sum(map(used, rows)) + amount_micros, _hard(rows, caps)
    if total > hard:
        return Short(max(0, hard - total + amount_micros))
    warns = caps.soft_micros is not None and total > caps.soft_micros
    mine = rows[own]
    if warns and all(row.frozen for row in rows) and _has_room(mine, caps, amount_micros):
        return Grant((_reserve(mine, amount_micros),), warns)
    wanted = [row if n != own else _reserve(row, amount_micros) for n, row in enumerate(rows)]
    return Grant(_changed(rows, _dealt(wanted, own, _binding(rows, caps))), warns)


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


def absorb(rows: Sequence[ScopeRow], changed: ScopeRow, caps: Caps) -> tuple[ScopeRow, ...]:
    """After `changed` took more than was set aside: shares that fit again, so that the others make room before anyone
    grants. Gives every touched stripe; `changed` has its new version already."""
    own = changed.stripe
    wanted = [changed if n == own else row for n, row in enumerate(rows)]
    bound = _binding(rows, caps)
    if sum(map(used, wanted)) > bound.hard_micros:
        none_left = [msgspec.structs.replace(r, share_micros=0, frozen=True, cap_seq=bound.seq) for r in wanted]
        return _changed(rows, none_left)
    dealt = _dealt(wanted, own, bound)
    dealt[own] = msgspec.structs.replace(dealt[own], frozen=True)
    return _changed(rows, dealt)


def _has_room(row: ScopeRow, caps: Caps, amount_micros: int) -> bool:
    """Does the amount fit into the share? One of a newer cap than we know of is as good: it fits that cap."""
    current = row.version > 0 and row.cap_seq >= caps.seq
    return current and used(row) + amount_micros <= row.share_micros


def _soft_part(row: ScopeRow, caps: Caps, stripes: int) -> int:
    """What a stripe may use so that all together stay within the soft cap. Shares are rounded by less than one micro
    per stripe; that much is left out, so that the parts never sum up to more than the soft cap."""
    if not caps.hard_micros or caps.soft_micros is None:
        return 0
    return caps.soft_micros * max(0, row.share_micros - stripes) // caps.hard_micros


def _hard(rows: Sequence[ScopeRow], caps: Caps) -> int:
    """The hard cap that binds. If the stripes know a newer one than our view, it is what they share."""
    return caps.hard_micros if _newest(rows) <= caps.seq else sum(row.share_micros for row in rows)


def _newest(rows: Sequence[ScopeRow]) -> int:
    return max(row.cap_seq for row in rows)


def _binding(rows: Sequence[ScopeRow], caps: Caps) -> Caps:
    """The caps to deal out by: ours, or as much as the stripes tell of newer ones."""
    hard = _hard(rows, caps)
    soft = None if caps.soft_micros is None else min(caps.soft_micros, hard)
    return Caps(hard, soft, max(caps.seq, _newest(rows)))


def _reserve(row: ScopeRow, amount_micros: int) -> ScopeRow:
    return msgspec.structs.replace(row, version=row.version + 1, pending_micros=row.pending_micros + amount_micros)


def _dealt(rows: Sequence[ScopeRow], own: int, caps: Caps) -> list[ScopeRow]:
    """Deal the hard cap out anew: to each stripe what it uses, and an even part of what is left. Below a soft cap the
    shares are such that each stripe's part of that covers its use, and an even part of what is left of it. Odd rests
    go to our own stripe."""
    total, count = sum(map(used, rows)), len(rows)
    over = caps.soft_micros is not None and total > caps.soft_micros
    if caps.soft_micros and not over:
        even = (caps.soft_micros - total) // count
        shares = [caps.hard_micros * (used(row) + even) // caps.soft_micros for row in rows]
    else:
        shares = [used(row) + (caps.hard_micros - total) // count for row in rows]
    shares[own] += caps.hard_micros - sum(shares)
    return [
        msgspec.structs.replace(row, share_micros=share, frozen=over, cap_seq=caps.seq)
        for row, share in zip(rows, shares, strict=True)
    ]


def _changed(before: Sequence[ScopeRow], after: Sequence[ScopeRow]) -> tuple[ScopeRow, ...]:
    """The stripes that differ, each exactly one version on."""
    return tuple(
        msgspec.structs.replace(new, version=old.version + 1)
        for old, new in zip(before, after, strict=True)
        if new != old or old.version == 0
    )
