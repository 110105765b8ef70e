"""How messages misbehave: requests that take effect late or never, answers that are lost, and how long it all takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from libs.testkit.simulation.clock import Clock

NEVER = float("inf")


@dataclass
class Weather:
    """How bad it is. All are probabilities of one message."""

    slow: float = 0.0  # takes tens of milliseconds to seconds
    lost_request: float = 0.0
    lost_answer: float = 0.0
    late: float = 0.0  # takes effect after its sender has given up

    def calm(self) -> None:
        """From now on everything works."""
        self.slow = self.lost_request = self.lost_answer = self.late = 0.0


class Network:
    """Carries a request to a server and its answer back, or says that nothing came in time."""

    def __init__(self, clock: Clock, weather: Weather) -> None:
        self.clock, self.weather = clock, weather
        self.away_until: dict[str, float] = {"database": 0.0, "broker": 0.0}

    def delay(self) -> float:
        """One way, in milliseconds."""
        random = self.clock.random.random
        if self.weather.slow and random() < self.weather.slow:
            return float(10.0 * 100.0 ** random())
        return 0.2 + 2.0 * random()

    def ask(
        self,
        server: str,
        timeout_ms: float,
        serve: Callable[[], Any],
        answer: Callable[[Any], None],
        unknown: Callable[[], None],
    ) -> None:
        """`serve` happens at most once; then exactly one of `answer` (with what it gave) and `unknown`."""
        clock, weather = self.clock, self.weather
        there, back = self.delay(), self.delay()
        if clock.now_ms < self.away_until[server]:
            lands = self.away_until[server] - clock.now_ms + there
            there = lands if clock.chance(0.5) else NEVER
        elif weather.lost_request and clock.chance(weather.lost_request):
            there = NEVER
        elif weather.late and clock.chance(weather.late):
            there = timeout_ms * (0.7 + 3.0 * clock.random.random())
        if weather.lost_answer and clock.chance(weather.lost_answer):
            back = NEVER
        in_time = there + back < timeout_ms

        def arrive() -> None:
            found = serve()
            if in_time:
                clock.after(back, lambda: answer(found))

        if there != NEVER:
            clock.after(there, arrive)
        if not in_time:
            clock.after(timeout_ms, unknown)
