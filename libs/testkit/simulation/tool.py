"""A tool that counts: every call that reached it, per intent; it may answer late, ambiguously, or never."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from libs.contracts.events import AnswerStatus, FailureCategory, ToolAnswer
from libs.ledger.protocol import Call
from libs.testkit.simulation.clock import Violated

if TYPE_CHECKING:
    from libs.testkit.simulation.process import Process
    from libs.testkit.simulation.world import World


LATEST_US = 5_000  # how far a worker's idea of the database's clock may be behind


class Tool:
    """The outside world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.calls: dict[bytes, list[int]] = {}  # intent -> attempts that reached the tool
        self.windows = 0  # calls that left after their process was stopped between the last look and the first byte

    def call(self, process: Process, action: Call, admitted: bool, answer: Callable[[Any], None]) -> None:
        """The first byte arrives."""
        world, effect = self.world, action.effect
        world.clock.note(f"{process.name} CALLS {effect.key.hex()[:6]}/{effect.attempt} {effect.effect_class}")
        self.calls.setdefault(effect.key, []).append(effect.attempt)
        self._look(process, action, admitted)
        random = world.clock.random.random()
        takes = 1.0 + 20.0 * world.clock.random.random()
        if world.weather.slow and random < 0.2:
            takes = 50.0 + 250.0 * world.clock.random.random()
        status = AnswerStatus.SUCCEEDED
        if random > 0.9:
            status = AnswerStatus.FAILED
        elif random > 0.8 and world.weather.slow:
            status, takes = AnswerStatus.AMBIGUOUS, float(effect.timeout_ms)
        found = ToolAnswer(
            status=status, started_at=world.clock.now_at, duration_ms=int(takes), code=status.value,
            category=FailureCategory.PERMANENT,
        )  # fmt: skip
        world.clock.after(takes, lambda: answer(found))

    def _look(self, process: Process, action: Call, admitted: bool) -> None:
        """Invariants 1, 2, 5 of guarantees.md, at the moment of the call."""
        world, effect = self.world, action.effect
        place = f"{effect.key.hex()[:6]}/{effect.attempt} by {process.name}"
        if effect.effect_class == "OPAQUE" and len(self.calls[effect.key]) > 1:
            raise Violated(f"an OPAQUE tool is called twice: {place}")
        if (effect.key, effect.attempt) not in world.history.dispatched:
            raise Violated(f"a call without a dispatch on the ledger: {place}")
        if effect.stop_code:
            raise Violated(f"a call of what was cancelled: {place}")
        row = world.database.schemas["execution"].rows[action.lane]
        work = world.database.schemas["execution"].work.get(effect.key)
        if admitted:
            self.windows += 1
            return
        if world.clock.boot_ms - process.confirmed_ms > process.worker.limits.control_stale_ms:
            raise Violated(f"a call under a control view that is not fresh: {place}")
        if world.cast.stops(world.control, effect) and process.worker.control.seq == world.control.seq:
            raise Violated(f"a call past a kill switch that was seen: {place}")
        if world.clock.set_by_ms:
            return  # who owns a lane is the database's clock to say, and that was set
        if row.token != process.worker.token:
            raise Violated(f"a call by a worker that lost the lane: {place}")
        if work is None or work[1].started_at is None or work[1].waiting.attempt != effect.attempt:
            raise Violated(f"a call that is not marked started: {place}")
        if process.waking:
            return  # it was stopped behind its look at the expiry, which the README admits
        if world.clock.now_at > effect.expires_at + LATEST_US:
            raise Violated(f"a call of what has expired: {place}")
