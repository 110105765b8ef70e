"""Simulated time: whatever happens is an entry of one queue, and chance has one source."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

START_AT = 1_700_000_000_000_000  # the database's clock when the simulation begins, in microseconds


class Clock:
    """Time in milliseconds since the machines were started, and what is to happen when."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now_ms = 0.0
        self.set_by_ms = 0.0  # the database's clock was set forward or back by so much
        self.trace: list[str] = []
        self.tracing = False  # is a trace kept?
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    @property
    def boot_ms(self) -> int:
        """CLOCK_BOOTTIME: goes on while a process is stopped."""
        return int(self.now_ms)

    @property
    def database_ms(self) -> float:
        """The database's clock, in milliseconds."""
        return self.now_ms + self.set_by_ms

    @property
    def now_at(self) -> int:
        """The database's clock, in microseconds."""
        return START_AT + int(self.database_ms * 1000)

    def after(self, delay_ms: float, action: Callable[[], None]) -> None:
        """Let something happen later."""
        self._count += 1
        heapq.heappush(self._queue, (self.now_ms + delay_ms, self._count, action))

    def step(self) -> bool:
        """Let the next thing happen; False when there is none."""
        if not self._queue:
            return False
        self.now_ms, _, action = heapq.heappop(self._queue)
        action()
        return True

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.random.random() < probability

    def note(self, text: str) -> None:
        """One line of the trace, if there is one."""
        if self.tracing:
            self.trace.append(f"{self.now_ms:9.1f}  {text}")


class Violated(Exception):
    """An invariant does not hold."""
