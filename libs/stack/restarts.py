"""When a process that died is started again: at once the sooner it lived long, later the more often it died. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

WAIT_FIRST_S = 1.0
WAIT_MAX_S = 30.0
STEADY_S = 60.0


@dataclass(frozen=True)
class Restarts:
    """`count`: starts after the first. `wait_s`: the next pause. Times are seconds of one monotonic clock."""

    count: int = 0
    wait_s: float = WAIT_FIRST_S
    started_at: float = 0.0
    due_at: float | None = None


def started(state: Restarts, now: float) -> Restarts:
    """The process was started."""
    return replace(state, started_at=now, due_at=None, count=state.count + (state.due_at is not None))


def ended(state: Restarts, now: float) -> Restarts:
    """The process died: the pause doubles up to the maximum, and begins anew after a steady life."""
    wait = WAIT_FIRST_S if now - state.started_at >= STEADY_S else state.wait_s
    return replace(state, due_at=now + wait, wait_s=min(2 * wait, WAIT_MAX_S))


def is_due(state: Restarts, now: float) -> bool:
    """Whether it is time to start it again."""
    return state.due_at is not None and now >= state.due_at
