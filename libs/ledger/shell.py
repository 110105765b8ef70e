"""Carries the actions of the lane protocol out and brings the answers back. All decisions are in `worker.py`; here are
only a loop, tasks, and the clock. Every action gets exactly one answer."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from libs.ledger import outside
from libs.ledger.lane import Phase
from libs.ledger.outside import Outside
from libs.ledger.producing import Appender
from libs.ledger.protocol import (
    Acked,
    Action,
    Alarm,
    Answer,
    Call,
    Check,
    Claim,
    Commit,
    Committed,
    Connect,
    ControlSeen,
    DropProducer,
    Follow,
    Halt,
    LateSent,
    Load,
    Publish,
    PublishSide,
    Release,
    Renew,
    SendLate,
    Start,
    Survey,
    Suspect,
)
from libs.ledger.reading import Checker, Follower
from libs.ledger.store import Store
from libs.ledger.watchdog import Watchdog
from libs.ledger.worker import Worker
from libs.runtime.clock import boottime_ms
from libs.runtime.failpoints import hit
from libs.runtime.logs import logger, traced

TICK_S = 0.02
TRIM_EVERY_S = 60.0


class Shell:
    """One worker process's loop."""

    def __init__(
        self,
        worker: Worker,
        store: Store,
        appender: Appender,
        follower: Follower,
        checker: Checker,
        world: Outside,
    ) -> None:
        self.worker, self.store, self.appender, self.follower, self.checker = worker, store, appender, follower, checker
        self.tools, self.metrics, self.encode_late = world.tools, world.metrics, world.encode_late
        self.observers, self.look_up = world.observers, world.look_up
        self._inbox: list[Answer] = []
        self._scheduled = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = logger(__name__)
        self.watchdog = Watchdog(boottime_ms())
        self._free = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._trim_at = self._loop.time() + TRIM_EVERY_S
        self._carry_out = self._routes()
        follower.post = self.post

    # -- life

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until told to stop, then give all lanes back and leave."""
        reader = asyncio.create_task(self.follower.run(), name="follower")
        self._tick()
        stop = asyncio.create_task(stopping.wait())
        await asyncio.wait((reader, stop), return_when=asyncio.FIRST_COMPLETED)
        if not stop.done():
            reader.result()
        with self._or_end():
            self._perform(self.worker.stop(boottime_ms()))
        await self._free.wait()
        reader.cancel()
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.wait((reader,), timeout=5)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)
        await self.appender.close()
        await self.checker.close()
        await self.store.close()

    def post(self, answer: Answer) -> None:
        """An answer has come: it is taken in with all others of this turn of the loop."""
        self._inbox.append(answer)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def control_changed(self, view: Any, confirmed_ms: int | None) -> None:
        """The control tail moved, or was confirmed at this boot time (None: it is not known to be whole)."""
        self.post(ControlSeen(view, confirmed_ms))

    def readiness(self) -> str:
        """'' when caught up or making progress, else why not. A view that is stale, a release that may not write, lanes
        without an owner that could be ours, or a lag without progress count as not ready."""
        worker = self.worker
        if worker.clock_offset_us is None:
            return "the database has not answered yet"
        if not worker.may_decide():
            return "the control view is stale: nothing is decided"
        if worker.unfit:
            return worker.unfit
        if worker.halted:
            lane, reason = next(iter(worker.halted.items()))
            return f"{len(worker.halted)} lanes are halted (`deed lanes`); lane {lane}: {reason}"
        if not any(lane.phase is Phase.OPEN for lane in worker.lanes.values()) and not worker.settled:
            return "no lane is open yet"
        behind = self.behind()
        if behind and boottime_ms() - self.watchdog.progress_ms > 5_000:
            return f"{behind} records wait and nothing was committed for 5 s"
        return ""

    def behind(self) -> int:
        """Records on the log of our lanes that were not decided on yet."""
        return self.follower.lag + sum(len(lane.queue) for lane in self.worker.lanes.values())

    def _turn(self) -> None:
        self._scheduled = False
        answers, self._inbox = self._inbox, []
        with self._or_end():
            self._perform(self.worker.handle_all(answers, boottime_ms()))
        if any(isinstance(answer, Acked) for answer in answers):
            hit("after-ack")

    @contextmanager
    def _or_end(self) -> Iterator[None]:
        """A worker that failed between two lines holds who knows what: its leases must run out, and nothing of it go
        on. (The loop would only log it, and a tick would never come again.)"""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is
            self._log.critical("the lanes failed in a way nobody foresaw: ending this process", exc_info=error)
            os._exit(70)

    def _tick(self) -> None:
        with self._or_end():
            self._perform(self.worker.tick(boottime_ms()))
            self._watch()
            if self.worker.stopped:
                self._free.set()
        self._timer = self._loop.call_later(TICK_S, self._tick)

    def _watch(self) -> None:
        """End a process that has work, a database that answers, and does nothing: it looks healthy, and is not."""
        waiting = any(
            lane.phase is Phase.OPEN and (lane.queue or lane.direct) and lane.published_all
            for lane in self.worker.lanes.values()
        )
        if for_ms := self.watchdog.stuck_ms(waiting and self.worker.may_decide(), boottime_ms()):
            self._log.critical("work waits and nothing moved: ending this process", for_ms=for_ms)
            os._exit(70)
        if self._loop.time() >= self._trim_at:
            self._trim_at = self._loop.time() + TRIM_EVERY_S
            owned = [lane.number for lane in self.worker.lanes.values() if lane.phase is Phase.OPEN]
            self._spawn(self.store.trim(owned))

    # -- actions

    def _routes(self) -> Mapping[type[Any], Callable[[Any], Coroutine[Any, Any, Answer]]]:
        """Which coroutine carries out which action."""
        return {
            Load: self._load,
            Commit: self._commit,
            Publish: self._publish,
            Connect: self._connect,
            Start: self._start,
            Renew: self.store.renew,
            Survey: self.store.survey,
            Claim: self.store.claim,
            Check: self.checker.check,
            PublishSide: self.appender.publish_sides,
            Release: self._release,
            Halt: self.store.halt,
            Suspect: self.store.suspect,
            SendLate: self._send_late,
        }

    def _perform(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Call():
                    self._spawn(self._call(action))
                case Follow():
                    self.follower.follow(action)
                case DropProducer():
                    self.appender.drop()
                case Alarm():
                    with traced(action.trace_parent):
                        self._log.warning(action.text, code=action.code, lane=action.lane)
                    self.metrics.alarms.labels(action.code).inc()
                case _:
                    self._answer(self._carry_out[type(action)](action))

    def _answer(self, work: Coroutine[Any, Any, Answer]) -> None:
        async def run() -> None:
            answer = await work
            self.watchdog.heard(answer, boottime_ms())
            self.post(answer)

        self._spawn(run())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # An action without an answer would leave a lane waiting for ever: better no process than such a one.
            self._log.critical("an action failed in a way nobody foresaw: ending this process", exc_info=error)
            os._exit(70)

    async def _load(self, action: Load) -> Answer:
        hit("before-load")
        answer = await self.store.load(action)
        if action.cited and not answer.error and self.look_up is not None:
            answer = replace(answer, cited=await self.look_up(action.cited))
        hit("after-load")
        return answer

    async def _commit(self, action: Commit) -> Answer:
        hit("before-commit")
        began = self._loop.time()
        answer = await self.store.commit(action, self.worker.now_at())
        hit("after-commit")
        self.metrics.commit_seconds.observe(self._loop.time() - began)
        if isinstance(answer, Committed):
            for observe in self.observers:
                observe(action)
        return answer

    async def _publish(self, action: Publish) -> Answer:
        hit("before-publish")
        began = self._loop.time()
        answer = await self.appender.publish(action)
        hit("after-publish")
        self.metrics.publish_seconds.observe(self._loop.time() - began)
        if isinstance(answer, Acked):
            hit("before-ack")
            self.metrics.events.labels(action.topic).inc(len(action.records))
        return answer

    async def _connect(self, action: Connect) -> Answer:
        assert self.tools is not None, "a service with effects needs tools"
        return await outside.connect(self.tools, action)

    async def _start(self, action: Start) -> Answer:
        hit("before-started")
        answer = await self.store.start(action, self.worker.now_at())
        hit("after-started")
        return answer

    async def _call(self, action: Call) -> None:
        assert self.tools is not None
        with traced(action.effect.trace_parent):  # on each line that the call leaves, those of the adapters too
            answer = await outside.call(self.tools, self.worker, action)
        self.post(answer)  # not within: what is posted goes on in the context that it is posted in

    async def _release(self, action: Release) -> Answer:
        hit("before-release")
        answer = await self.store.release(action)
        hit("after-release")
        return answer

    async def _send_late(self, action: SendLate) -> Answer:
        value = self.encode_late(action.result)
        if error := await self.appender.send("commands", action.lane, action.result.key, value):
            with traced(action.trace_parent):
                self._log.warning("a late result could not be sent, again in a second", error=error)
            await asyncio.sleep(1)
            return LateSent(action.lane, action.result, False)
        return LateSent(action.lane, action.result, True)
