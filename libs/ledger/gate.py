"""The effect gate (lane_rules 12, 17, 18): from a dispatch on the ledger to the first byte, and the answer to its lane.

    effect in memory (its batch is acked) -> CONNECTING -> CONNECTED -> STARTING (`started` written) -> CALLED
                                    stopped by cancel, expiry or a switch: an input 'Stopped', provably not sent

What was called stands in `calls.py`, how much may be called at a time in `room.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libs.ledger.batch import LaneBatch
from libs.ledger.inbox import Taken
from libs.ledger.lane import Lane, Phase
from libs.ledger.protocol import Alarm, Call, Connect, Connected, Finished, Start, Started
from libs.ledger.service import Effect, Result, Stopped

if TYPE_CHECKING:
    from libs.ledger.worker import Worker

START_AGAIN_MS = 200


class Gate:
    """All effects of this process."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.starting = False
        self.retry_start_ms = 0

    # -- from the lane

    def settled(self, lane: Lane, taken: Taken, batch: LaneBatch) -> None:
        """A batch is committed: results that it consumed may be forgotten, effects it asks for are new."""
        self.worker.calls.recorded(taken)
        self.worker.room.may_have_grown = True
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
            if (key, effect.attempt) in self.worker.calls:
                lane.gate[key] = "CALLED"

    def opened(self, lane: Lane) -> None:
        """The lane is ours (again): results that wait for it are inputs."""
        service = self.worker.hosted.effects
        if service is not None:
            for result in self.worker.calls.results(lane.number):
                lane.push(service, result)

    # -- the steps

    def advance(self) -> None:
        """Connect what is new and acked; start what is connected; look again at what found no room."""
        if self.worker.hosted.effects is None:
            return
        marks = []
        may_start = not self.starting and self.worker.boot_ms >= self.retry_start_ms and self.worker.may_decide()
        self.worker.calls.send_late()
        for lane in self.worker.lanes.values():
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
        self.worker.room.wake()

    def _connect(self, lane: Lane) -> None:
        going: dict[str, list[Effect]] = {}
        for effect in [e for k, e in lane.effects.items() if k not in lane.gate]:
            if effect.stop_code:
                self._stop(lane, effect, effect.stop_code, effect.stop_reason)
            else:
                lane.gate[effect.key] = "CONNECTING"
                going.setdefault(effect.server, []).append(effect)
        for effects in going.values():  # each server by itself: nobody waits for another one's
            self.worker.out.append(Connect(lane.number, lane.claim, effects))

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
        switch = worker.functions.stopped_by(worker.control, effect)
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
            worker.calls.add(lane.number, effect)
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
        call = self.worker.calls.finished(answer)
        if call is None:
            return
        self.worker.room.may_have_grown = True
        lane, service = self.worker.lanes[call.lane], self.worker.hosted.effects
        if call.result is None:
            if lane.gate.get(answer.result.key) == "CALLED":
                del lane.gate[answer.result.key]
                self.retry_start_ms = self.worker.boot_ms + START_AGAIN_MS
        elif lane.phase is Phase.OPEN and service is not None:
            lane.push(service, call.result)

    def _is(self, lane: Lane, key: bytes, attempt: int, step: str) -> bool:
        effect = lane.effects.get(key)
        return effect is not None and effect.attempt == attempt and lane.gate.get(key) == step
