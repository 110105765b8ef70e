"""The lane protocol of one process, without I/O: answers come in, actions go out. The simulation and production run
this very code; `shell.py` carries the actions out on the real servers.

One round at a time goes over all lanes that are ready: take -> load -> decide -> commit; publishing, effects and
claims run beside it. Nobody waits for another lane.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from libs.ledger import opening, rounds, sharing
from libs.ledger.batch import Hosted
from libs.ledger.gate import Gate
from libs.ledger.lane import Lane, Phase
from libs.ledger.protocol import (
    Acked,
    Action,
    Alarm,
    Answer,
    Checked,
    Claim,
    Claimed,
    ClaimRefused,
    CommitRefused,
    Committed,
    CommitUnknown,
    Connected,
    ControlSeen,
    DropProducer,
    FetchFailed,
    Finished,
    Follow,
    Halt,
    Halted,
    LateSent,
    Loaded,
    Published,
    PublishFailed,
    PublishSide,
    Records,
    Release,
    Released,
    Renewed,
    SidesAcked,
    Started,
    Surveyed,
    Suspected,
)
from libs.ledger.service import Command, Fact, Record, Service, World


@dataclass(frozen=True)
class Limits:
    """Every bound of the protocol. Times in milliseconds."""

    lanes: int
    lease_ms: int = 5_000
    margin_ms: int = 500  # the lease counts as over this much earlier
    batch_max: int = 256  # inputs in a round, over all lanes
    queue_max: int = 4_000  # fetched records that wait, per lane
    sides_max: int = 1_000  # forwards and dead letters not yet on the log, per lane and service
    effects_max: Mapping[str, int] = field(default_factory=lambda: {"READ_ONLY": 64, "OPAQUE": 16})
    call_timeout_max_ms: int = 60_000
    flush_ms: int = 5_000  # positions that moved without a commit are written after this much quiet
    survey_ms: int = 1_000
    worker_ttl_ms: int = 5_000
    backoff_ms: int = 1_000
    backoff_max_ms: int = 60_000
    release_after_ms: int = 30_000  # a lane that could not publish for so long is given to another worker
    mend_wait_ms: int = 60_000  # how long an input's writer may take to mend a lost tail


@dataclass(frozen=True)
class Tools:
    """The pure functions and values that a process gives the protocol."""

    decode: Callable[[str, bytes], Fact]  # (topic, value) -> fact; raises on anything that is not exactly one event
    decode_unpark: Callable[[Record], Any]  # -> Unpark | None
    world: Mapping[str, Any] = field(default_factory=dict)
    stopped_by: Callable[[Any, Any], str] = lambda view, effect: ""  # the switch that stops an effect, or ""


class Worker:
    """All lanes of this process. Not thread-safe: one loop calls `handle` and `tick`."""

    def __init__(self, hosted: Hosted, limits: Limits, tools: Tools, token: bytes) -> None:
        self.hosted, self.limits, self.tools, self.token = hosted, limits, tools, token
        self.lanes = {n: Lane(n) for n in range(limits.lanes)}
        self.boot_ms = 0
        self.clock_offset_us: int | None = None  # database time minus boot time, in microseconds
        self.control: Any = None
        self.control_fresh = False
        self.round: rounds.Round | None = None
        self.round_number = 0
        self.batch_limit = limits.batch_max
        self.pause_until_ms = 0
        self.gate = Gate(self)
        self.next_survey_ms = 0
        self.next_renew_ms = 0
        self.renewing = self.surveying = False
        self.wanted = 0
        self.stopping = False
        self.halted: dict[int, str] = {}
        self.settled = False  # a survey has shown that there is nothing (more) for us to claim
        self.out: list[Action] = []
        self._following: dict[tuple[str, int], int] = {}
        self.needs_control = any(s.needs_control for s in hosted.services)

    # -- the two doors

    def handle(self, answer: Answer, boot_ms: int) -> list[Action]:
        """Take one answer in; give the actions that follow."""
        return self.handle_all((answer,), boot_ms)

    def handle_all(self, answers: Iterable[Answer], boot_ms: int) -> list[Action]:
        """Take several answers in, in order; give the actions that follow."""
        self.boot_ms = max(self.boot_ms, boot_ms)
        for answer in answers:
            self._dispatch(answer)
        return self.progress()

    def tick(self, boot_ms: int) -> list[Action]:
        """Time has passed: renewals, surveys, back-offs, timers, flushes."""
        self.boot_ms = max(self.boot_ms, boot_ms)
        sharing.on_time(self)
        for lane in self.lanes.values():
            if lane.phase is Phase.BACKOFF and self.boot_ms >= lane.retry_boot_ms:
                self.claim(lane)
            self._retry_sides(lane)
        return self.progress()

    def progress(self) -> list[Action]:
        """Start whatever can be started now, and hand out the actions."""
        self.gate.advance()
        rounds.begin(self)
        sharing.finish_draining(self)
        self._follow()
        actions, self.out = self.out, []
        return actions

    def stop(self, boot_ms: int) -> list[Action]:
        """Leave politely: finish, publish, release every lane (rule 21)."""
        self.boot_ms = max(self.boot_ms, boot_ms)
        self.stopping = True
        for lane in self.lanes.values():
            lane.draining = True
        return self.progress()

    @property
    def stopped(self) -> bool:
        """Has every lane been given back?"""
        return self.stopping and all(lane.phase is Phase.FREE for lane in self.lanes.values())

    def now_at(self) -> int:
        """The database's time in microseconds, as far as we know it."""
        return self.boot_ms * 1000 + (self.clock_offset_us or 0)

    def lease_ok(self, number: int, claim: int, boot_ms: int) -> bool:
        """The last look before the first byte (rule 17): ours, under this claim, and the lease has not run out."""
        lane = self.lanes[number]
        ours = lane.phase is Phase.OPEN and lane.claim == claim
        return ours and boot_ms < lane.lease_end_boot_ms - self.limits.margin_ms

    def paused(self) -> set[tuple[str, int]]:
        """Partitions that must not be fetched now: their lane has enough waiting."""
        full = [lane for lane in self.lanes.values() if len(lane.queue) >= self.limits.queue_max]
        return {(topic, lane.number) for lane in full for topic in lane.fetch_next}

    def may_decide(self) -> bool:
        """With a stale or missing control view nothing is decided (flow.md decision 13)."""
        return not self.needs_control or (self.control is not None and self.control_fresh)

    def world(self) -> World:
        """What a batch needs of the world, without its lane."""
        return World(
            now_at=self.now_at(), control=self.control, lane=-1, lanes=self.limits.lanes, tools=self.tools.world
        )

    def prepare(self, service: Service, record: Record, lane: int) -> Command | None:
        """Ask a service what an unchained record means to it."""
        if service.prepare is None:
            return None
        world = World(
            now_at=self.now_at(), control=self.control, lane=lane, lanes=self.limits.lanes, tools=self.tools.world
        )
        return service.prepare(record, world).command

    # -- life of a lane

    def claim(self, lane: Lane) -> None:
        """Claim, or claim again: nothing of an earlier ownership is kept (rules 1, 2, 5)."""
        lane.forget()
        lane.phase = Phase.CLAIMING
        lane.claim += 1
        seq = self.control.seq if self.needs_control and self.control is not None else 1 << 62
        self.out.append(Claim(lane.number, lane.claim, seq))

    def lose(self, lane: Lane) -> None:
        """The lane belongs to somebody else: drop it with all its services; results go to `commands` (rule 20)."""
        lane.forget()
        lane.failures, lane.failing_since_ms = 0, None
        self.gate.lost(lane.number)

    def fail(self, lane: Lane, code: str, text: str) -> None:
        """Something about the log or the database failed: back off, then claim again (rule 13)."""
        self.out.append(Alarm(lane.number, code, text))
        if lane.failing_since_ms is None:
            lane.failing_since_ms = self.boot_ms
        delay = min(self.limits.backoff_ms << min(lane.failures, 6), self.limits.backoff_max_ms)
        lane.failures += 1
        lane.retry_boot_ms = self.boot_ms + delay
        epoch = lane.epoch
        lane.forget()
        lane.epoch = epoch
        if self.boot_ms - lane.failing_since_ms >= self.limits.release_after_ms or self.stopping:
            lane.phase = Phase.RELEASING
            self.out.append(Release(lane.number, lane.claim, epoch, self.gate.quiet_until(lane.number)))
        else:
            lane.phase = Phase.BACKOFF

    def halt(self, lane: Lane, reason: str) -> None:
        """Nobody goes on until an operator has looked (rule 9). Written under the fence."""
        self.out.append(Alarm(lane.number, "HALTED", reason))
        self.out.append(Halt(lane.number, lane.claim, lane.epoch, reason))
        epoch = lane.epoch
        lane.forget()
        lane.epoch, lane.phase = epoch, Phase.RELEASING

    # -- answers

    def _dispatch(self, answer: Answer) -> None:
        match answer:
            case Records():
                self._records(answer)
            case Loaded():
                rounds.on_loaded(self, answer)
            case Committed() | CommitRefused() | CommitUnknown():
                rounds.on_commit(self, answer)
            case Acked() | PublishFailed() | SidesAcked():
                self._published(answer)
            case Connected():
                self.gate.on_connected(answer)
            case Started():
                self.gate.on_started(answer)
            case Finished():
                self.gate.on_finished(answer)
            case LateSent():
                self.gate.on_late_sent(answer)
            case Claimed() | ClaimRefused() | Checked():
                opening.on_answer(self, answer)
            case Renewed() | Surveyed():
                sharing.on_answer(self, answer)
            case FetchFailed():
                lane = self.current(answer.lane, answer.claim)
                if lane is not None and lane.phase is Phase.OPEN:
                    self.fail(lane, "FETCH_FAILED", answer.text)
            case ControlSeen():
                self._control(answer)
            case Suspected():
                rounds.on_suspected(self, answer)
            case Halted() | Released():
                lane = self.lanes[answer.lane]
                if lane.claim == answer.claim and lane.phase is Phase.RELEASING:
                    self.lose(lane)

    def current(self, number: int, claim: int) -> Lane | None:
        """The lane, if the answer belongs to its present claim; None = stale, it changes nothing."""
        lane = self.lanes[number]
        return lane if lane.claim == claim and lane.phase is not Phase.FREE else None

    def _records(self, answer: Records) -> None:
        lane = self.current(answer.lane, answer.claim)
        if lane is None or lane.phase is not Phase.OPEN:
            return
        lane.queue.extend(answer.records)
        if answer.records:
            lane.fetch_next[answer.topic] = answer.records[-1].offset + 1

    def _published(self, answer: Acked | PublishFailed | SidesAcked) -> None:
        lane = self.current(answer.lane, answer.claim)
        if lane is None or lane.phase is not Phase.OPEN:
            return
        part = lane.parts[answer.service]
        if isinstance(answer, SidesAcked):
            if answer.error:
                self.out.append(Alarm(lane.number, "SIDE_FAILED", answer.error))
                return
            for number in answer.ids:
                if part.sides.pop(number, None) is not None:
                    part.sides_done.append(number)
            lane.dirty_since_ms = lane.dirty_since_ms or self.boot_ms
        elif isinstance(answer, PublishFailed):
            self.out.append(DropProducer())
            self.fail(lane, "PUBLISH_FAILED", f"{answer.service}: {answer.text}")
        elif answer.first_offset <= lane.highest_offset.get(answer.service, -1):
            self.fail(lane, "TAIL_LOST", f"{answer.service}: acked at offset {answer.first_offset}, seen beyond it")
        else:
            lane.highest_offset[answer.service] = answer.offset
            part.published = Published(answer.offset, answer.seq, answer.hash)
            part.unacked = ()
            lane.dirty_since_ms = lane.dirty_since_ms or self.boot_ms
            if lane.published_all:
                lane.failures, lane.failing_since_ms = 0, None

    def _retry_sides(self, lane: Lane) -> None:
        if lane.phase is not Phase.OPEN:
            return
        for name, part in lane.parts.items():
            if part.sides and self.boot_ms - part.sides_sent_ms >= 2_000:
                self.send_sides(lane, name)

    def send_sides(self, lane: Lane, name: str) -> None:
        """Publish what is not yet on the log of forwards and dead letters."""
        part = lane.parts[name]
        part.sides_sent_ms = self.boot_ms
        self.out.append(PublishSide(lane.number, lane.claim, name, tuple(part.sides.values())))

    def _control(self, answer: ControlSeen) -> None:
        changed = self.control is None or answer.view.seq != self.control.seq or answer.fresh != self.control_fresh
        self.control, self.control_fresh = answer.view, answer.fresh
        if changed and answer.fresh:
            for lane in self.lanes.values():
                if lane.phase is Phase.OPEN:
                    lane.wake_ready(self.hosted, 1 << 30)

    def _follow(self) -> None:
        wanted = {
            (topic, lane.number): (lane.claim, at)
            for lane in self.lanes.values()
            if lane.phase is Phase.OPEN and not lane.draining
            for topic, at in lane.positions(self.hosted).items()
        }
        claims = {place: claim for place, (claim, _) in wanted.items()}
        if claims != self._following:
            self._following = claims
            self.out.append(Follow(wanted))
