"""The effect gate (lane_rules 16-20): from a dispatch on the ledger to the first byte, and from the answer back.

    effect in memory (its batch is acked) -> CONNECTING -> CONNECTED -> STARTING (`started` written) -> CALLED
                                    stopped by cancel, expiry or a switch: an input 'Stopped', provably not sent

`calls` is the started list: what this process has called, across its own re-claims.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from libs.contracts.events import AnswerStatus, FailureCategory, ToolAnswer
from libs.ledger.batch import LaneBatch
from libs.ledger.lane import Lane, Phase, Taken
from libs.ledger.protocol import Alarm, Call, Connect, Connected, Finished, LateSent, SendLate, Start, Started
from libs.ledger.service import Effect, Result, Service, Stopped

if TYPE_CHECKING:
    from libs.ledger.worker import Worker


@dataclass
class Called:
    """A call of this process: running, or its result waiting to be recorded."""

    lane: int
    timeout_ms: int
    result: Result | None = None
    late: bool = False


class Gate:
    """All effects of this process."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.calls: OrderedDict[tuple[bytes, int], Called] = OrderedDict()
        self.starting = False
        self.retry_start_ms = 0

    # -- what others ask

    def is_called(self, key: bytes, attempt: int) -> bool:
        """Is it on the started list?"""
        return (key, attempt) in self.calls

    def running(self, lane: int) -> int:
        """Calls of a lane whose result is not recorded yet."""
        return sum(1 for call in self.calls.values() if call.lane == lane)

    def quiet_until(self, lane: int) -> int:
        """Until when a call of this lane may still reach its tool; 0 = none runs."""
        running = [call.timeout_ms for call in self.calls.values() if call.lane == lane and call.result is None]
        return self.worker.now_at() + (max(running) + self.worker.limits.margin_ms) * 1000 if running else 0

    def free(self) -> dict[str, int]:
        """How many effects of each class may still be dispatched (`effects_max`)."""
        free = dict(self.worker.limits.effects_max)
        for lane in self.worker.lanes.values():
            for effect in lane.effects.values():
                free[effect.effect_class] = free.get(effect.effect_class, 0) - 1
        return free

    # -- from the lane

    def settled(self, lane: Lane, taken: Taken, batch: LaneBatch) -> None:
        """A batch is committed: results that it consumed may be forgotten, effects it asks for are new."""
        for entry in taken.direct:
            if isinstance(entry.item, Result):
                self.calls.pop((entry.item.key, entry.item.attempt), None)
        closed = 0
        for service in self.worker.hosted.services:
            if service.react is not None:
                closed += self._react(lane, service, batch)
        if closed or taken.direct:
            free = sum(max(0, n) for n in self.free().values())
            lane.wake_ready(self.worker.hosted, min(free, 256))

    def _react(self, lane: Lane, service: Service, batch: LaneBatch) -> int:
        assert service.react is not None
        closed = 0
        for key, state in batch.touched(service):
            effect, before = service.react(state), lane.effects.get(key)
            if effect is None:
                if before is not None:
                    closed += 1
                    del lane.effects[key]
                    lane.gate.pop(key, None)
                continue
            if before is not None and before.attempt != effect.attempt:
                lane.gate.pop(key, None)
            lane.effects[key] = effect
            if self.is_called(key, effect.attempt):
                lane.gate[key] = "CALLED"
        return closed

    def opened(self, lane: Lane) -> None:
        """The lane is ours (again): results that wait for it are inputs."""
        service = self._service()
        for call in self.calls.values():
            if call.lane == lane.number and call.result is not None and service is not None:
                lane.push(service, call.result)

    def lost(self, lane: int) -> None:
        """The lane is somebody else's: results that came are late (rule 20)."""
        for call in self.calls.values():
            if call.lane == lane and call.result is not None and not call.late:
                call.late = True
                self.worker.out.append(SendLate(lane, call.result))

    def _service(self) -> Service | None:
        return next((s for s in self.worker.hosted.services if s.react is not None), None)

    # -- the steps

    def advance(self) -> None:
        """Connect what is new and acked; start what is connected."""
        if self._service() is None:
            return
        marks = []
        for lane in self.worker.lanes.values():
            if lane.phase is not Phase.OPEN or not lane.effects or lane.draining:
                continue
            if lane.published_all:
                self._connect(lane)
            if not self.starting and self.worker.may_decide() and self.worker.boot_ms >= self.retry_start_ms:
                keys = [(k, lane.effects[k].attempt) for k, step in lane.gate.items() if step == "CONNECTED"]
                if keys:
                    lane.gate.update({key: "STARTING" for key, _ in keys})
                    marks.append((lane.number, lane.claim, lane.epoch, keys))
        if marks:
            self.starting = True
            self.worker.out.append(Start(marks))

    def _connect(self, lane: Lane) -> None:
        new = [e for k, e in lane.effects.items() if k not in lane.gate]
        going = []
        for effect in new:
            if effect.stop_code:
                lane.gate[effect.key] = "STOPPED"
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
        service = self._service()
        for key, attempt, code, reason in answer.failed:
            if self._is(lane, key, attempt, "CONNECTING") and service is not None:
                lane.gate[key] = "STOPPED"
                lane.push(service, Result(key, attempt, not_sent(code, reason, self.worker.now_at())))

    def on_started(self, answer: Started) -> None:
        """`started` is written: the last looks, in memory, then the call (rule 17)."""
        self.starting = False
        for number, claim in answer.claims.items():
            lane = self.worker.current(number, claim)
            if lane is None or lane.phase is not Phase.OPEN:
                continue
            if number in answer.refused:
                self.worker.lose(lane)
                continue
            if answer.error:
                self.retry_start_ms = self.worker.boot_ms + 200
                lane.gate.update({k: "CONNECTED" for k, step in lane.gate.items() if step == "STARTING"})
                continue
            for key, attempt in answer.lanes.get(number, ()):
                if self._is(lane, key, attempt, "STARTING"):
                    self._last_look(lane, lane.effects[key])
        if answer.error:
            self.worker.out.append(Alarm(-1, "START_FAILED", answer.error))

    def _last_look(self, lane: Lane, effect: Effect) -> None:
        worker, key = self.worker, effect.key
        if not worker.may_decide():
            lane.gate[key] = "CONNECTED"  # the switches are not known: wait, visibly
            return
        switch = worker.tools.stopped_by(worker.control, effect)
        if effect.stop_code:
            self._stopped(lane, effect, effect.stop_code, effect.stop_reason)
        elif worker.now_at() >= effect.expires_at:
            self._stopped(lane, effect, "EXPIRED", "the intent expired before its tool was called")
        elif switch:
            self._stopped(lane, effect, "KILLED", switch)
        elif not worker.lease_ok(lane.number, lane.claim, worker.boot_ms):
            lane.gate[key] = "CONNECTED"  # a renewal is on its way, or somebody else's claim
        else:
            lane.gate[key] = "CALLED"
            self.calls[(key, effect.attempt)] = Called(lane.number, effect.timeout_ms)
            worker.out.append(Call(lane.number, lane.claim, effect))

    def _stopped(self, lane: Lane, effect: Effect, code: str, reason: str) -> None:
        lane.gate[effect.key] = "STOPPED"
        self._stop(lane, effect, code, reason)

    def _stop(self, lane: Lane, effect: Effect, code: str, reason: str) -> None:
        service = self._service()
        assert service is not None
        lane.push(service, Stopped(effect.key, effect.attempt, code, reason))

    def on_finished(self, answer: Finished) -> None:
        """A call has ended. If it was never sent it may be tried again; else its result waits to be recorded."""
        place = (answer.result.key, answer.result.attempt)
        call = self.calls.get(place)
        if call is None or call.result is not None:
            return
        lane = self.worker.lanes[call.lane]
        if answer.result.answer.status is AnswerStatus.NOT_SENT and answer.result.answer.code == "NOT_OWNER":
            del self.calls[place]
            if lane.gate.get(answer.result.key) == "CALLED":
                del lane.gate[answer.result.key]
            return
        call.result = answer.result
        service = self._service()
        if lane.phase is Phase.OPEN and service is not None:
            lane.push(service, answer.result)
        elif lane.phase is Phase.FREE:
            self.lost(call.lane)

    def on_late_sent(self, answer: LateSent) -> None:
        """The result is on `commands`, for the lane's owner to record; otherwise it is sent again."""
        place = (answer.result.key, answer.result.attempt)
        if answer.ok:
            self.calls.pop(place, None)
        elif place in self.calls:
            self.worker.out.append(SendLate(answer.lane, answer.result))

    def _is(self, lane: Lane, key: bytes, attempt: int, step: str) -> bool:
        effect = lane.effects.get(key)
        return effect is not None and effect.attempt == attempt and lane.gate.get(key) == step


def not_sent(code: str, reason: str, now_at: int) -> ToolAnswer:
    """The answer of a call that provably never left."""
    return ToolAnswer(
        status=AnswerStatus.NOT_SENT, code=code, category=FailureCategory.TRANSIENT, reason=reason, cost_micros=None,
        object_refs=(), response_digest=None, response_bytes=0, summary="", started_at=now_at, duration_ms=0,
        retry_after_ms=None,
    )  # fmt: skip
