"""Room for effects (`effects_max` per class): how much there is, and who gets it. It is shared out over the lanes in
turn, and new work takes none while other work of its class waits for some."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from libs.ledger.lane import Lane, Phase
from libs.ledger.service import Due, DueKind

if TYPE_CHECKING:
    from libs.ledger.worker import Worker


class Room:
    """The room of this process, over all its lanes."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.woken_last = -1  # the lane that got room last: the next ones come before it
        self.may_have_grown = False  # since the last look; every tick looks anyway

    def free(self) -> dict[str, int]:
        """How many effects of each class may still be dispatched. Calls that still run count, also those of lanes that
        are no longer ours."""
        free = dict(self.worker.limits.effects_max)
        open_keys: set[bytes] = set()
        for lane in self.worker.lanes.values():
            for key, effect in lane.effects.items():
                open_keys.add(key)
                free[effect.effect_class] = free.get(effect.effect_class, 0) - 1
        for (key, _), call in self.worker.calls.made.items():
            if call.result is None and key not in open_keys:
                free[call.effect_class] = free.get(call.effect_class, 0) - 1
        return free

    def free_for_new(self) -> dict[str, int]:
        """Room for what was not READY before: none where others wait for it already."""
        free = self._unpromised()
        for lane in self._takers():
            free |= dict.fromkeys(lane.starved.values(), 0)
        return free

    def wake(self) -> None:
        """READY work that found no room is looked at again, as much of it as there is room now: the lanes in turn, and
        in each the oldest first."""
        service = self.worker.hosted.effects
        if service is None or not self.may_have_grown:
            return
        self.may_have_grown = False
        lanes = [lane for lane in self._takers() if lane.starved]
        if not lanes:
            return
        lanes.sort(key=lambda lane: (lane.number <= self.woken_last, lane.number))
        for effect_class, room in self._unpromised().items():
            waiting = deque(
                (lane, deque(islice((k for k, c in lane.starved.items() if c == effect_class), room)))
                for lane in lanes
                if room > 0  # there may be thousands: they are not gone through in vain
            )
            for _ in range(room):
                while waiting and not waiting[0][1]:
                    waiting.popleft()
                if not waiting:
                    break
                lane, keys = waiting[0]
                waiting.rotate(-1)
                key = keys.popleft()
                lane.woken[key] = lane.starved.pop(key)
                lane.push(service, Due(key, DueKind.READY))
                self.woken_last = lane.number

    def _unpromised(self) -> dict[str, int]:
        """What is free beyond the room of the work that was woken for it."""
        free = self.free()
        for lane in self.worker.lanes.values():
            for effect_class in lane.woken.values():
                free[effect_class] = free.get(effect_class, 0) - 1
        return free

    def _takers(self) -> list[Lane]:
        return [lane for lane in self.worker.lanes.values() if lane.phase is Phase.OPEN and not lane.draining]
