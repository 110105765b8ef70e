"""What the generator is told, and what it tells."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec


class Load(msgspec.Struct, frozen=True):
    """One load. `rate` 0: a closed loop with at most `outstanding_max` intents without an outcome; else an open loop
    with a fixed schedule. The first `warm_s` seconds do not count."""

    bootstrap: str
    lanes: int
    prefix: str
    tokens: tuple[str, ...]
    seconds: float
    warm_s: float
    rate: float = 0.0
    outstanding_max: int = 4_000
    drain_s: float = 60.0


class Spread(msgspec.Struct, frozen=True):
    """Milliseconds, by rank."""

    count: int
    p50: float
    p95: float
    p99: float
    highest: float


class Measured(msgspec.Struct, frozen=True):
    """What the generator saw. Counted are outcomes whose record the broker stamped within the steady part."""

    sent: int
    seen: int
    steady_s: float
    steady_outcomes: int
    per_second: tuple[int, ...]
    latency: Spread | None = None  # from the scheduled time to the outcome in the agent's hands
    send_lag: Spread | None = None  # how late the generator itself was

    @property
    def per_s(self) -> float:
        """Outcomes recorded per second."""
        return self.steady_outcomes / self.steady_s


def spread(seconds: Sequence[float]) -> Spread | None:
    """Percentiles by nearest rank; None without values."""
    if not seconds:
        return None
    ordered = sorted(seconds)

    def rank(part: float) -> float:
        return ordered[max(0, math.ceil(part * len(ordered)) - 1)] * 1000

    return Spread(len(ordered), rank(0.5), rank(0.95), rank(0.99), ordered[-1] * 1000)
