"""The effect gate (lane_rules 16-20): from a dispatch on the ledger to the first byte, and from the answer back.

    effect in memory (its batch is acked) -> CONNECTING -> CONNECTED -> STARTING (`started` written) -> CALLED
                                    stopped by cancel, expiry or a switch: an input 'Stopped', provably not sent

`calls` is the started list: what this process has called, across its own re-claims.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from libs.contracts.events import AnswerStatus
from libs.ledger.batch import LaneBatch
from libs.ledger.inbox import Taken
from libs.ledger.lane import Lane, Phase
from libs.ledger.protocol import Alarm, Call, Connect, Connected, Finished, LateSent, SendLate, Start, Started
from libs.ledger.service import Due, DueKind, Effect, Result, Stopped

if TYPE_CHECKING:
    from libs.ledger.worker import Worker

Place = tuple[bytes, int]  # key, attempt
START_AGAIN_MS = 200
LATE_AGAIN_MS = 1_000


@dataclass
class Called:
    """A call of this process: running, or its result waiting to be recorded."""

    lane: int
    effect_class: str
    timeout_ms: int
    result: Result | None = None
    late_under_way: bool = False
    late_retry_ms: int = 0
    late_sent: bool = False


class Gate:
    """All effects of this process."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.calls: dict[Place, Called] = {}
        self.known: dict[int, tuple[int, frozenset[Place]]] = {}  # lane -> our last epoch, and what others had started
        self.woken_last = -1  # the lane that got room last: the next ones come before it
        self.starting = False
        self.retry_start_ms = 0

    # -- what others ask

    def is_called(self, key: bytes, attempt: int) -> bool:
        """Is it on the started list?"""
        return (key, attempt) in self.calls

    def started_by_others(self, lane: int, epoch: int, from_us: bool, marked: set[Place]) -> frozenset[Place]:
        """Of the open dispatches with a mark: those that somebody else may have called. A claim that directly follows
        an epoch of ours that we know all about adds none; marks found when that ownership began stay theirs."""
        before, theirs = self.known.get(lane, (0, frozenset()))
        if not (from_us and epoch == before + 1):
            theirs = frozenset(marked)
        theirs = frozenset(place for place in theirs & marked if place not in self.calls)
        self.known[lane] = (epoch, theirs)
        return theirs

    def running(self, lane: int) -> int:
        """Calls of a lane that have not ended."""
        return sum(1 for call in self.calls.values() if call.lane == lane and call.result is None)

    @property
    def has_unsent(self) -> bool:
        """Is there a result that nobody else knows?"""
        return any(call.result is not None and not call.late_sent for call in self.calls.values())

    def quiet_until(self, lane: int) -> int:
        """Until when a call of this lane may still reach its tool; 0 = none runs."""
        running = [call.timeout_ms for call in self.calls.values() if call.lane == lane and call.result is None]
        return self.worker.now_at() + (max(running) + self.worker.limits.margin_ms) * 1000 if running else 0

    def free(self) -> dict[str, int]:
        """How many effects of each class may still be dispatched (`effects_max`). Calls that still run count, also
        those of lanes that are no longer ours."""
        free = dict(self.worker.limits.effects_max)
        open_keys: set[bytes] = set()
        for lane in self.worker.lanes.values():
            for key, effect in lane.effects.items():
                open_keys.add(key)
                free[effect.effect_class] = free.get(effect.effect_class, 0) - 1
        for (key, _), call in self.calls.items():
            if call.result is None and key not in open_keys:
                free[call.effect_class] = free.get(call.effect_class, 0) - 1
        return free

    def free_for_new(self) -> dict[str, int]:
        """Room for what was not READY before: none where others wait for it already."""
        free = self._unpromised()
        for lane in self._takers():
            free |= dict.fromkeys(lane.starved.values(), 0)
        return free

    def _unpromised(self) -> dict[str, int]:
        """What is free beyond the room of the work that was woken for it."""
        free = self.free()
        for lane in self.worker.lanes.values():
            for effect_class in lane.woken.values():
                free[effect_class] = free.get(effect_class, 0) - 1
        return free

    def _takers(self) -> list[Lane]:
        return [lane for lane in self.worker.lanes.values() if lane.phase is Phase.OPEN and not lane.draining]

    # -- from the lane

    def settled(self, lane: Lane, taken: Taken, batch: LaneBatch) -> None:
        """A batch is committed: results that it consumed may be forgotten, effects it asks for are new."""
        for entry in taken.direct:
            if isinstance(entry.item, Result):
                self.calls.pop((entry.item.key, entry.item.attempt), None)
        service = self.worker.hosted.effects
        if service is None:
            return
        lane.recovering -= batch.recovered
        for key, effect in batch.parts[service.name].effects.items():
            if key in lane.recovering:
                continue  # somebody before us may have called it: its recovery says what is to be done
            before = lane.effects.get(key)
            if before is not None and (effect is None or before.attempt != effect.attempt):
                lane.gate.pop(key, None)
            if effect is None:
                lane.effects.pop(key, None)
                continue
            lane.effects[key] = effect
            if self.is_called(key, effect.attempt):
                lane.gate[key] = "CALLED"

    def opened(self, lane: Lane) -> None:
        """The lane is ours (again): results that wait for it are inputs."""
        service = self.worker.hosted.effects
        for call in self.calls.values():
            if call.lane == lane.number and call.result is not None and service is not None:
                lane.push(service, call.result)

    def _send_late(self, lane: int) -> None:
        """The lane is not ours: results of its calls go to `commands`, for its owner to record (rule 20)."""
        for call in self.calls.values():
            if call.lane != lane or call.result is None or call.late_under_way or call.late_sent:
                continue
            if self.worker.boot_ms >= call.late_retry_ms:
                call.late_under_way = True
                self.worker.out.append(SendLate(lane, call.result))

    # -- the steps

    def advance(self) -> None:
        """Connect what is new and acked; start what is connected; look again at what found no room."""
        if self.worker.hosted.effects is None:
            return
        marks = []
        may_start = not self.starting and self.worker.boot_ms >= self.retry_start_ms and self.worker.may_decide()
        for lane in self.worker.lanes.values():
            if lane.phase is Phase.FREE and self.calls:
                self._send_late(lane.number)
            if lane.phase is not Phase.OPEN or not lane.effects or lane.draining:
                continue
            if lane.published_all:
                self._connect(lane)
            keys = [(k, lane.effects[k].attempt) for k, step in lane.gate.items() if step == "CONNECTED"]
            if keys and may_start:
                lane.gate.update({key: "STARTING" for key, _ in keys})
                marks.append((lane.number, lane.claim, lane.epoch, keys))
        if marks:
            self.starting = True
            self.worker.out.append(Start(marks))
        self._wake()

    def _wake(self) -> None:
        """READY work that found no room is looked at again, as much of it as there is room now: the lanes in turn, and
        in each the oldest first."""
        service = self.worker.hosted.effects
        lanes = [lane for lane in self._takers() if lane.starved]
        if service is None or not lanes:
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

    def _connect(self, lane: Lane) -> None:
        going = []
        for effect in [e for k, e in lane.effects.items() if k not in lane.gate]:
            if effect.stop_code:
                self._stop(lane, effect, effect.stop_code, effect.stop_reason)
            else:
                lane.gate[effect.key] = "CONNECTING"
                going.append(effect)
        if going:
            self.worker.out.append(Connect(lane.number, lane.claim, going))

    def on_connected(self, answer: Connected) -> None:
        """The tools are ready, or provably nothing was sent."""
        lane = self.worker.current(answer.lane, answer.claim)
        if lane is None or lane.phase is not Phase.OPEN:
            return
        for key, attempt in answer.keys:
            if self._is(lane, key, attempt, "CONNECTING"):
                lane.gate[key] = "CONNECTED"
        service = self.worker.hosted.effects
        for key, attempt, failure in answer.failed:
            if self._is(lane, key, attempt, "CONNECTING") and service is not None:
                lane.gate[key] = "STOPPED"
                lane.push(service, Result(key, attempt, failure))

    def on_started(self, answer: Started) -> None:
        """`started` is written: the last looks, in memory, then the call (rule 17)."""
        self.starting = False
        if answer.error:
            self.worker.out.append(Alarm(-1, "START_FAILED", answer.error))
            self.retry_start_ms = self.worker.boot_ms + START_AGAIN_MS
        for number, claim in answer.claims.items():
            lane = self.worker.current(number, claim)
            if lane is None or lane.phase is not Phase.OPEN:
                continue
            if number in answer.refused:
                self.worker.lose(lane)
                continue
            for key, attempt in answer.lanes.get(number, ()):
                if self._is(lane, key, attempt, "STARTING"):
                    self._last_look(lane, lane.effects[key])
            for key in [k for k, step in lane.gate.items() if step == "STARTING"]:
                self._later(lane, key)

    def _last_look(self, lane: Lane, effect: Effect) -> None:
        worker = self.worker
        if not worker.may_decide():
            self._later(lane, effect.key)  # the switches are not known: wait, visibly
            return
        switch = worker.tools.stopped_by(worker.control, effect)
        if effect.stop_code:
            self._stop(lane, effect, effect.stop_code, effect.stop_reason)
        elif worker.now_at() >= effect.expires_at:
            self._stop(lane, effect, "EXPIRED", "the intent expired before its tool was called")
        elif switch:
            self._stop(lane, effect, "KILLED", switch)
        elif not worker.lease_ok(lane.number, lane.claim, worker.boot_ms):
            self._later(lane, effect.key)  # a renewal is on its way, or somebody else's claim
        else:
            lane.gate[effect.key] = "CALLED"
            self.calls[(effect.key, effect.attempt)] = Called(lane.number, effect.effect_class, effect.timeout_ms)
            worker.out.append(Call(lane.number, lane.claim, effect))

    def _later(self, lane: Lane, key: bytes) -> None:
        lane.gate[key] = "CONNECTED"
        self.retry_start_ms = self.worker.boot_ms + START_AGAIN_MS

    def _stop(self, lane: Lane, effect: Effect, code: str, reason: str) -> None:
        lane.gate[effect.key] = "STOPPED"
        service = self.worker.hosted.effects
        assert service is not None
        lane.push(service, Stopped(effect.key, effect.attempt, code, reason))

    def on_finished(self, answer: Finished) -> None:
        """A call has ended. If the last look forbade it, it may be tried again; else its result is to be recorded."""
        result = answer.result
        place = (result.key, result.attempt)
        call = self.calls.get(place)
        if call is None or call.result is not None:
            return
        lane = self.worker.lanes[call.lane]
        if result.answer.status is AnswerStatus.NOT_SENT and result.answer.code == "NOT_OWNER":
            del self.calls[place]
            if lane.gate.get(result.key) == "CALLED":
                del lane.gate[result.key]
                self.retry_start_ms = self.worker.boot_ms + START_AGAIN_MS
            return
        call.result = result
        service = self.worker.hosted.effects
        if lane.phase is Phase.OPEN and service is not None:
            lane.push(service, result)

    def on_late_sent(self, answer: LateSent) -> None:
        """The result is on `commands`, for the lane's owner to record; otherwise it is sent again. The call stays on
        the list: if we are that owner, and nobody was in between, it must not look as if it had never been made."""
        call = self.calls.get((answer.result.key, answer.result.attempt))
        if call is not None:
            call.late_under_way, call.late_sent = False, answer.ok
            call.late_retry_ms = self.worker.boot_ms + LATE_AGAIN_MS

    def taken_over(self, lanes: set[int]) -> None:
        """These lanes have other owners: what they do with our calls no longer depends on our list."""
        for place in [p for p, call in self.calls.items() if call.late_sent and call.lane in lanes]:
            del self.calls[place]

    def _is(self, lane: Lane, key: bytes, attempt: int, step: str) -> bool:
        effect = lane.effects.get(key)
        return effect is not None and effect.attempt == attempt and lane.gate.get(key) == step
