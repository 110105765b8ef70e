"""The lane protocol of one process, without I/O: answers come in, actions go out. The simulation and production run
this very code; `shell.py` carries the actions out on the real servers.

One round at a time goes over all lanes that are ready: take -> load -> decide -> commit; publishing, effects and
claims run beside it. Nobody waits for another lane.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from libs.ledger import committing, following, opening, publishing, rounds, sharing, watching
from libs.ledger.calls import Calls
from libs.ledger.gate import Gate
from libs.ledger.hosted import Hosted
from libs.ledger.lane import Lane, Phase, Trouble
from libs.ledger.limits import NO_CONTROL, Functions, Limits
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
    FetchFailed,
    Finished,
    Halt,
    Halted,
    LateSent,
    Loaded,
    PublishFailed,
    Records,
    Release,
    Released,
    Renewed,
    SidesAcked,
    Started,
    Surveyed,
    Suspected,
)
from libs.ledger.room import Room
from libs.ledger.service import Command, Effect, Record, Service, World

__all__ = ["Functions", "Limits", "Worker"]


class Worker:
    """All lanes of this process. Not thread-safe: one loop calls `handle` and `tick`."""

    def __init__(self, hosted: Hosted, limits: Limits, functions: Functions, token: bytes) -> None:
        self.hosted, self.limits, self.functions, self.token = hosted, limits, functions, token
        self.lanes = {n: Lane(n) for n in range(limits.lanes)}
        self.boot_ms = 0
        self.clock_offset_us: int | None = None  # database time minus boot time, in microseconds
        self.control: Any = None
        self.control_confirmed_ms: int | None = None
        self.round: committing.Round | None = None
        self.round_number = 0
        self.batch_limit = limits.batch_max
        self.pause_until_ms = 0
        self.patient_since_ms: int | None = None  # since when nothing waits but what is refused
        self.calls, self.room, self.gate = Calls(self), Room(self), Gate(self)
        self.next_survey_ms = 0
        self.next_renew_ms = 0
        self.renewing = self.surveying = False
        self.careful_turn = False  # was the last round one lane's alone?
        self.producer = 0  # counts shared producers
        # (lane, service) whose partition has an un-acked batch of ours -> its shared producer, None = one of its own
        self.appending: dict[tuple[int, str], int | None] = {}
        self.left_over: dict[int, int] = {}  # lane -> surveys in a row that found it free
        self.sharers: tuple[bytes, ...] = ()  # who counts, as the last survey saw it
        self.adopted: dict[int, int] = {}  # lanes beyond our share, which nobody took: until when they stay
        self.outdone_since_ms: int | None = None  # since when others could decide, and we cannot
        self.failing = False  # we gave a lane up because of failures, and nothing was acked since
        self.stopping = False
        self.stopping_since_ms = 0
        self.halted: dict[int, str] = {}  # lanes that nobody may claim, and why, as the last survey saw them
        self.unfit = ""  # why this release may not claim (rule 25)
        self.settled = False  # a survey has shown that there is nothing (more) for us to claim
        self.out: list[Action] = []
        self.following: dict[int, tuple[int, frozenset[str]]] = {}  # lanes that are read: claim, topics behind
        self._routes = self._route()
        self.needs_control = any(s.needs_control for s in hosted.services)

    # -- the two doors

    def handle(self, answer: Answer, boot_ms: int) -> list[Action]:
        """Take one answer in; give the actions that follow."""
        return self.handle_all((answer,), boot_ms)

    def handle_all(self, answers: Iterable[Answer], boot_ms: int) -> list[Action]:
        """Take several answers in, in order; give the actions that follow."""
        self.boot_ms = max(self.boot_ms, boot_ms)
        for answer in answers:
            self._routes[type(answer)](answer)
        return self.progress()

    def tick(self, boot_ms: int) -> list[Action]:
        """Time has passed: renewals, surveys, back-offs, timers, flushes."""
        self.boot_ms = max(self.boot_ms, boot_ms)
        sharing.on_time(self)
        self.room.may_have_grown = True
        for lane in self.lanes.values():
            if lane.phase is Phase.BACKOFF and self.boot_ms >= lane.trouble.retry_ms and not lane.draining:
                self.claim(lane)
            publishing.on_time(self, lane)
            watching.on_time(self, lane)
        return self.progress()

    def progress(self) -> list[Action]:
        """Start whatever can be started now, and hand out the actions."""
        self.gate.advance()
        rounds.begin(self)
        sharing.finish_draining(self)
        following.follow(self)
        actions, self.out = self.out, []
        return actions

    def stop(self, boot_ms: int) -> list[Action]:
        """Leave politely: finish, publish, release every lane (rule 21)."""
        self.boot_ms = max(self.boot_ms, boot_ms)
        if not self.stopping:
            self.stopping, self.stopping_since_ms, self.next_survey_ms = True, self.boot_ms, self.boot_ms
        for lane in self.lanes.values():
            if lane.draining_since_ms is None:
                lane.draining_since_ms = self.boot_ms
        return self.progress()

    @property
    def stopped(self) -> bool:
        """Has every lane been given back, and every result that came too late been sent?"""
        if not self.stopping or any(lane.phase is not Phase.FREE for lane in self.lanes.values()):
            return False
        waited = self.boot_ms - self.stopping_since_ms >= 2 * self.limits.drain_ms
        return waited or not self.calls.has_unsent

    def now_at(self) -> int:
        """The database's time in microseconds, as far as we know it."""
        return self.boot_ms * 1000 + (self.clock_offset_us or 0)

    def may_call(self, number: int, claim: int, effect: Effect, boot_ms: int) -> bool:
        """The look right before the first byte (rule 17): there is time left, the switches are known and open, nobody
        has called it off while the tool was dialled, and the lane is ours."""
        latest = self.lanes[number].effects.get(effect.key)
        if latest is not None and latest.stop_code:
            return False
        in_time = boot_ms * 1000 + (self.clock_offset_us or 0) < effect.expires_at
        open_ = self.knows_control(boot_ms) and not self.functions.stopped_by(self.control, effect)
        return in_time and open_ and self.lease_ok(number, claim, boot_ms)

    def lease_ok(self, number: int, claim: int, boot_ms: int) -> bool:
        """Is the lane ours, under this claim, and has the lease not run out?"""
        lane = self.lanes[number]
        ours = lane.phase is Phase.OPEN and lane.claim == claim
        return ours and boot_ms < lane.lease_end_boot_ms - self.limits.margin_ms

    def paused(self) -> set[tuple[str, int]]:
        """Partitions that must not be fetched now."""
        return following.paused(self)

    def may_decide(self) -> bool:
        """With a stale or missing control view nothing is decided (flow.md decision 13)."""
        return self.knows_control(self.boot_ms)

    def knows_control(self, boot_ms: int) -> bool:
        """Is the control view there and fresh at this moment, if we need one?"""
        if not self.needs_control:
            return True
        confirmed_ms = self.control_confirmed_ms
        return confirmed_ms is not None and boot_ms - confirmed_ms <= self.limits.control_stale_ms

    def world(self) -> World:
        """What a batch needs of the world, without its lane."""
        return World(
            now_at=self.now_at(), control=self.control, lane=-1, lanes=self.limits.lanes, owned=self.functions.owned
        )

    def prepare(self, service: Service, record: Record, lane: int) -> Command | None:
        """Ask a service what an unchained record means to it."""
        if service.prepare is None:
            return None
        world = World(
            now_at=self.now_at(), control=self.control, lane=lane, lanes=self.limits.lanes, owned=self.functions.owned
        )
        return service.prepare(record, world).command

    # -- life of a lane

    def claim(self, lane: Lane) -> None:
        """Claim, or claim again: nothing of an earlier ownership is kept (rules 1, 2, 5)."""
        lane.forget()
        lane.phase = Phase.CLAIMING
        lane.claim += 1
        seq = (self.control.seq if self.control is not None else 0) if self.needs_control else NO_CONTROL
        self.out.append(Claim(lane.number, lane.claim, seq))

    def lose(self, lane: Lane) -> None:
        """The lane belongs to somebody else: drop it with all its services; results go to `commands` (rule 20)."""
        lane.trouble = Trouble(shunned_until_ms=lane.trouble.shunned_until_ms, shuns=lane.trouble.shuns)
        lane.forget()

    def release(self, lane: Lane) -> None:
        """Give the lane back; what is not decided waits on the log for the next owner (rule 21)."""
        epoch = lane.epoch
        lane.forget()
        if epoch == 0:
            self.lose(lane)  # a claim whose answer never came: its lease runs out by itself
            return
        lane.epoch, lane.phase = epoch, Phase.RELEASING
        self.out.append(Release(lane.number, lane.claim, epoch, self.calls.quiet_until(lane.number)))

    def fail(self, lane: Lane, code: str, text: str, release: bool = True) -> None:
        """Something about the log or the database failed: back off, then claim again (rule 13)."""
        self.out.append(Alarm(lane.number, code, text))
        trouble = lane.trouble
        if trouble.since_ms is None:
            trouble.since_ms = self.boot_ms
        delay = min(self.limits.backoff_ms << min(trouble.failures, 6), self.limits.backoff_max_ms)
        trouble.failures += 1
        trouble.retry_ms = self.boot_ms + delay
        if self.stopping:
            self.release(lane)
        elif release and self.boot_ms - trouble.since_ms >= self._patience_ms(lane):
            self._shun(lane)
            self.release(lane)
        else:
            epoch = lane.epoch
            lane.forget()
            lane.epoch, lane.phase = epoch, Phase.BACKOFF

    def _patience_ms(self, lane: Lane) -> int:
        """How long a lane may fail before it is released. Not again as long when we have just given one up in vain."""
        return 0 if self.failing or lane.trouble.shuns else self.limits.release_after_ms

    def _shun(self, lane: Lane) -> None:
        """For another worker to try: we stay away from it, twice as long each time. That the database does not answer
        us is no reason to: a claim without an answer is tried again as soon as it does."""
        if lane.epoch:
            shun_ms = min(self.limits.shun_ms << min(lane.trouble.shuns, 16), self.limits.shun_max_ms)
            lane.trouble.shunned_until_ms = self.boot_ms + shun_ms
            lane.trouble.shuns += 1
            self.failing = True

    def halt(self, lane: Lane, reason: str) -> None:
        """Nobody goes on until an operator has looked (rule 9). Written under the fence; only if that holds is it an
        alarm: a paused claimer may have seen its successor's records."""
        epoch = lane.epoch
        lane.forget()
        lane.epoch, lane.phase, lane.halting = epoch, Phase.RELEASING, reason
        self.out.append(Halt(lane.number, lane.claim, epoch, reason))

    # -- answers

    def _route(self) -> dict[type, Callable[[Any], None]]:
        """Who takes which answer."""
        routes: dict[Callable[[Any], None], tuple[type, ...]] = {
            partial(sharing.on_answer, self): (Renewed, Surveyed),
            partial(opening.on_answer, self): (Claimed, ClaimRefused, Checked),
            partial(rounds.on_suspected, self): (Suspected,),
            partial(rounds.on_loaded, self): (Loaded,),
            partial(committing.on_commit, self): (Committed, CommitRefused, CommitUnknown),
            partial(publishing.on_answer, self): (Acked, PublishFailed, SidesAcked),
            self.gate.on_connected: (Connected,),
            self.gate.on_started: (Started,),
            self.gate.on_finished: (Finished,),
            self.calls.on_late_sent: (LateSent,),
            partial(following.on_records, self): (Records,),
            partial(following.on_fetch_failed, self): (FetchFailed,),
            partial(following.on_control, self): (ControlSeen,),
            self._given_up: (Halted, Released),
        }
        return {kind: taker for taker, kinds in routes.items() for kind in kinds}

    def _given_up(self, answer: Halted | Released) -> None:
        lane = self.current(answer.lane, answer.claim)
        if lane is None or lane.phase is not Phase.RELEASING:
            return
        if isinstance(answer, Halted) and answer.ok:
            self.out.append(Alarm(lane.number, "HALTED", lane.halting))
        self.lose(lane)

    def current(self, number: int, claim: int) -> Lane | None:
        """The lane, if the answer belongs to its present claim; None = stale, it changes nothing."""
        lane = self.lanes[number]
        return lane if lane.claim == claim and lane.phase is not Phase.FREE else None

    def is_open(self, number: int, claim: int) -> bool:
        """Is the lane still open under this claim?"""
        lane = self.lanes[number]
        return lane.claim == claim and lane.phase is Phase.OPEN
