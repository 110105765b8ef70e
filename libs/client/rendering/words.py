"""How moments, durations, money and states are written for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from libs.client.rendering.page import Words
from libs.client.results import State

STYLES: Final = {
    State.SUCCEEDED: "green",
    State.FAILED: "red",
    State.BLOCKED: "red",
    State.DENIED: "red",
    State.REFUSED: "red",
    State.EXPIRED: "red",
    State.CANCELLED: "magenta",
    State.IN_DOUBT: "bold yellow",
    State.AWAITING_APPROVAL: "yellow",
}


def state(of: State) -> Words:
    """A state in its colour."""
    return Words(of.value, STYLES.get(of, "cyan"))


def moment(at: datetime | None) -> str:
    """Date and time to the second, in UTC; "" = not known."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ") if at else ""


def clock(at: datetime | None) -> str:
    """Time of day to the millisecond, in UTC; "" = not known."""
    return at.astimezone(UTC).strftime("%H:%M:%S.%f")[:-3] if at else ""


def duration(took: timedelta) -> str:
    """A length of time in the largest two units that say something."""
    millis = round(took.total_seconds() * 1000)
    if millis < 0:
        return f"-{duration(-took)}"
    if millis < 1000:
        return f"{millis} ms"
    seconds = millis // 1000
    if seconds < 60:
        return f"{millis / 1000:.1f} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    if seconds < 86_400:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{seconds // 86_400} d {seconds % 86_400 // 3600} h"


def until(at: datetime | None, now: datetime) -> str:
    """A deadline, and how far it is."""
    if at is None:
        return "no end"
    return f"{moment(at)} ({far(at, now)})"


def far(at: datetime, now: datetime) -> str:
    """How far a moment is."""
    left = at - now
    return f"in {duration(left)}" if left > timedelta() else f"{duration(-left)} ago"


def micros(amount: int) -> str:
    """Millionths of the currency."""
    return f"{amount:,} micros"
