"""The budget scopes as one batch sees them (architecture.md, budget): one stripe per lane, optimistic versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from libs.ledger.service import ScopeRow, ScopesNeeded


class ScopeView:
    """The lane's copy of the stripes, overlaid with the batch's own changes."""

    def __init__(self, lane: int, lanes: int, known: Mapping[str, Mapping[int, ScopeRow]], full: frozenset[str]):
        self.stripe, self.stripes = lane, lanes
        self._known, self._full = known, full
        self.changed: dict[tuple[str, int], tuple[int, ScopeRow]] = {}  # (version first seen, row now)

    def own(self, scope: str) -> ScopeRow:
        """This lane's stripe; ScopesNeeded when it was never loaded."""
        if scope not in self._known:
            raise ScopesNeeded(scope)
        return self._row(scope, self.stripe)

    def all(self, scope: str) -> tuple[ScopeRow, ...]:
        """All stripes, fresh in this round; ScopesNeeded otherwise (other lanes change theirs at any time)."""
        if scope not in self._full:
            raise ScopesNeeded(scope)
        return tuple(self._row(scope, stripe) for stripe in range(self.stripes))

    def fold(self, lines: Iterable[Any]) -> None:
        """Take over the ScopeLines of own events, all or none. The version first seen stays: the commit checks it."""
        changed: dict[tuple[str, int], tuple[int, ScopeRow]] = {}
        for line in lines:
            key = (line.scope, line.stripe)
            seen, before = changed.get(key) or self.changed.get(key) or (-1, self._row(*key))
            if line.version != before.version + 1:
                raise ValueError(f"scope {line.scope}/{line.stripe}: version {line.version} after {before.version}")
            row = ScopeRow(
                line.scope, line.stripe, line.version, line.share_micros, line.pending_micros, line.posted_micros,
                line.frozen, line.cap_seq,
            )  # fmt: skip
            changed[key] = (before.version if seen < 0 else seen, row)
        self.changed.update(changed)

    def _row(self, scope: str, stripe: int) -> ScopeRow:
        mine = self.changed.get((scope, stripe))
        if mine is not None:
            return mine[1]
        return self._known[scope].get(stripe) or ScopeRow(scope, stripe)
