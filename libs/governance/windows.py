"""The names of budget scopes: what a cap is for, and the UTC day or month that its sums run in."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from libs.contracts.events import BudgetPeriod
from libs.governance.control import Cap

DAY = 86_400_000_000  # microseconds


def scope_of(cap: Cap, now_at: int) -> str:
    """The scope that a cap has now: kind, id, cost class and UTC window. Class and window hold no colon, so that the
    parts can be told apart whatever the id is."""
    return f"{cap.kind}:{cap.id}:{cap.cost_class or 'ALL'}:{window(cap.period, now_at)}"


def window(period: BudgetPeriod, now_at: int) -> str:
    """The UTC day or month that a moment lies in."""
    return _window(period, now_at // DAY)


@lru_cache(maxsize=64)
def _window(period: BudgetPeriod, day: int) -> str:
    date = datetime.fromtimestamp(day * 86_400, UTC)
    match period:
        case BudgetPeriod.ONCE:
            return "ONCE"
        case BudgetPeriod.DAY:
            return date.strftime("DAY-%Y-%m-%d")
        case BudgetPeriod.MONTH:
            return date.strftime("MONTH-%Y-%m")
