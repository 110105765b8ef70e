"""A worker process of the simulation: the protocol itself, and a shell as unreliable as its servers. It can be killed,
stopped and woken at any moment; what it has sent goes on without it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from libs.contracts.events import AnswerStatus, FailureCategory, ToolAnswer
from libs.ledger.protocol import (
    Acked,
    Action,
    Alarm,
    Answer,
    Call,
    Check,
    Checked,
    Claim,
    Claimed,
    ClaimRefused,
    Commit,
    CommitRefused,
    Committed,
    CommitUnknown,
    Connect,
    Connected,
    ControlSeen,
    DropProducer,
    FetchFailed,
    Finished,
    Follow,
    Halt,
    Halted,
    LateSent,
    Load,
    Loaded,
    Publish,
    PublishFailed,
    PublishSide,
    Records,
    Release,
    Released,
    Renew,
    Renewed,
    SendLate,
    SidesAcked,
    Start,
    Started,
    Survey,
    Surveyed,
    Suspect,
    Suspected,
    TailRecord,
)
from libs.ledger.service import Result, ScopeRow
from libs.ledger.worker import Worker
from libs.testkit.simulation.deciders import Killed

if TYPE_CHECKING:
    from libs.testkit.simulation.world import World

TICK_MS = 60.0
POLL_MS = 15.0
FETCH_MAX = 4


class Producer:
    """An idempotent producer: the broker knows it where it has written, until that tail is lost."""

    def __init__(self) -> None:
        self.wrote: dict[tuple[str, int], int] = {}


class Process:
    """One process start. `alive`: its memory exists. `paused`: it does not move (SIGSTOP)."""

    def __init__(self, world: World, name: str, worker: Worker, shape: str) -> None:
        self.world, self.name, self.worker, self.shape = world, name, worker, shape
        self.clock = world.clock
        self.alive, self.paused, self.leaving = True, False, False
        self.waking = False  # does it do what it had decided before it was stopped?
        self._backlog: list[Callable[[], Sequence[Action]]] = []
        self._unsent: list[Action] = []
        self._follow: dict[tuple[str, int], tuple[int, int]] = {}
        self._fetching: set[tuple[str, int]] = set()
        self._appending: set[tuple[str, int, object]] = set()
        self._producer = Producer()
        self._own_producers: dict[int, Producer] = {}
        self.clock.after(self.clock.random.random() * TICK_MS, self._tick)
        self.see_control()

    # -- life

    def kill(self) -> None:
        """SIGKILL: the memory is gone, what was sent is not."""
        self.clock.note(f"{self.name} is killed")
        self.alive = False
        self._backlog.clear()
        self._unsent.clear()

    def pause(self, for_ms: float) -> None:
        """SIGSTOP, and SIGCONT later."""
        self.clock.note(f"{self.name} is stopped for {for_ms:.0f} ms")
        self.paused = True
        self.clock.after(for_ms, self._wake)

    def _wake(self) -> None:
        if not self.alive or not self.paused:
            return
        self.clock.note(f"{self.name} wakes")
        self.paused = False
        unsent, self._unsent = self._unsent, []
        self.waking = True
        self._perform(unsent)
        self.waking = False
        backlog, self._backlog = self._backlog, []
        for move in backlog:
            self._move(move)

    def renew_producers(self) -> None:
        """The broker takes its producers for new ones."""
        for producer in (self._producer, *self._own_producers.values()):
            producer.wrote.clear()

    def leave(self) -> None:
        """SIGTERM."""
        self.clock.note(f"{self.name} is told to stop")
        self.leaving = True
        self._move(lambda: self.worker.stop(self.clock.boot_ms))

    def see_control(self) -> None:
        """The control tail moved, or its freshness changed."""
        world = self.world
        self.clock.after(world.network.delay(), lambda: self.take(ControlSeen(world.control, world.control_fresh)))

    def _tick(self) -> None:
        if not self.alive:
            return
        self._move(lambda: self.worker.tick(self.clock.boot_ms))
        if self.worker.stopped and not self.paused:
            self.clock.note(f"{self.name} has left")
            self.alive = False
            self.world.gone(self)
            return
        self.clock.after(TICK_MS, self._tick)

    def take(self, answer: Answer) -> None:
        """An answer has come."""
        if self.alive:
            if self.clock.tracing and not isinstance(answer, Renewed | Surveyed):
                self.clock.note(f"{self.name} <- {show(answer)}")
            self._move(lambda: self.worker.handle(answer, self.clock.boot_ms))

    def _move(self, move: Callable[[], Sequence[Action]]) -> None:
        """One turn of the loop, unless the process is stopped."""
        if not self.alive:
            return
        if self.paused:
            self._backlog.append(move)
            return
        try:
            actions = move()
        except Killed:
            self.world.died(self)
            return
        self.world.bounds(self)
        self._perform(actions)

    def _perform(self, actions: Sequence[Action]) -> None:
        for n, action in enumerate(actions):
            if self.world.stops_here(self):
                self._unsent.extend(actions[n:])
                return
            if self.clock.tracing and not isinstance(action, Renew | Survey):
                self.clock.note(f"{self.name} -> {show(action)}")
            self._do(action)

    # -- actions

    def _do(self, action: Action) -> None:
        match action:
            case Claim() | Load() | Commit() | Start() | Renew() | Survey() | Release() | Halt() | Suspect():
                self._ask_database(action)
            case Publish():
                self._publish(action)
            case PublishSide():
                self._publish_sides(action)
            case Check():
                self._check(action)
            case Follow():
                self._follow = {place: (claim, at or 0) for place, (claim, at) in action.positions.items()}
                for place in self._follow:
                    self._poll(place)
            case Connect():
                self._connect(action)
            case Call():
                self._call(action)
            case SendLate():
                self._send_late(action)
            case DropProducer():
                self._producer = Producer()
            case Alarm():
                self.world.alarm(self, action)

    def _ask_database(self, action: Any) -> None:
        sent, timeout = self.clock.boot_ms, self.world.timeout_ms
        self.world.network.ask(
            "database",
            timeout,
            lambda: self._serve(action, sent),
            self._later(action, sent),
            lambda: self.take(unknown(action, sent)),
        )

    def _later(self, action: Any, sent: int) -> Callable[[Any], None]:
        if not isinstance(action, Claim):
            return self.take

        def read(rows: Any) -> None:
            if isinstance(rows, ClaimRefused):
                self.take(rows)
            else:  # the lane is read in statements of their own, after the claim's answer
                database, hosted = self.world.database, self.worker.hosted
                self._read_lane(lambda: database.read_lane(hosted, action, sent, rows), action)

        return read

    def _read_lane(self, read: Callable[[], Claimed], action: Claim) -> None:
        if self.alive:
            self.world.network.ask(
                "database", self.world.timeout_ms, read, self.take, lambda: self.take(unknown(action, 0))
            )

    def _serve(self, action: Any, sent: int) -> Any:
        database, hosted, token = self.world.database, self.worker.hosted, self.worker.token
        match action:
            case Claim():
                found = database.claim(hosted, token, self.shape, action)
                if self.clock.tracing:
                    self.clock.note(f"{self.name} claim of lane {action.lane}: {show(found)}")
                return found
            case Load():
                return self._load(action)
            case Commit():
                refusal = database.commit(token, action)
                if self.clock.tracing:
                    self.clock.note(
                        f"database: commit {action.round} of {self.name}: {show(refusal) if refusal else 'kept'}"
                    )
                return refusal or Committed(action.round, sent)
            case Start():
                claims = {lane: claim for lane, claim, _, _ in action.marks}
                done, refused = database.start(hosted, token, action)
                return Started(done, claims, refused)
            case Renew():
                kept = database.renew(hosted, token, action)
                return Renewed(
                    sent,
                    [(lane, claim) for lane, claim, _ in action.lanes if lane in kept],
                    [(lane, claim) for lane, claim, _ in action.lanes if lane not in kept],
                )
            case Survey():
                name, ttl = hosted.services[0].name, self.worker.limits.worker_ttl_ms
                workers, lanes = database.survey(name, token, action.leaving, ttl)
                return Surveyed(sent, self.clock.now_at, workers, lanes)
            case Release():
                database.release(hosted, token, action)
                return Released(action.lane, action.claim)
            case Halt():
                return Halted(action.lane, action.claim, database.halt(hosted, token, action))
            case Suspect():
                return Suspected(action.lane, action.claim, database.suspect(hosted, token, action))

    def _load(self, action: Load) -> Loaded:
        schemas = self.world.database.schemas
        states = {
            name: {key: schemas[name].states[key] for key in keys if key in schemas[name].states}
            for name, keys in action.keys.items()
        }
        scopes: dict[str, list[ScopeRow]] = {scope: [] for scope in action.scopes}
        for (scope, _), row in sorted(schemas["budget"].scopes.items() if action.scopes else ()):
            if scope in scopes:
                scopes[scope].append(row)
        return Loaded(action.round, states, scopes)

    # -- the log

    def _publish(self, action: Publish) -> None:
        partition = self.world.log.partition(action.topic, action.lane)
        producer = self._own_producers.setdefault(action.lane, Producer()) if action.own_producer else self._producer
        mark = (action.topic, action.lane, producer)
        assert mark not in self._appending, "two batches un-acked in one partition"
        self._appending.add(mark)
        place, first = (action.topic, action.lane), -1
        generation = producer.wrote.get(place, partition.generation)
        chunks = self.world.chunks(action.records)

        def fail(text: str = "no ack in time") -> None:
            self._own_producers.pop(action.lane, None)
            self.take(PublishFailed(action.lane, action.claim, action.service, text))

        def serve(chunk: Any) -> int:
            if partition.generation != generation:
                return -1  # the broker no longer knows what this producer sent before
            producer.wrote[place] = generation
            self.clock.note(f"{action.topic}/{action.lane} gets {[r.seq for r in chunk]} of {self.name}")
            return self.world.log.append(action.topic, action.lane, [(r.key, r.value) for r in chunk])

        def acked(start: int, chunk: Any) -> None:
            nonlocal first
            if start < 0:
                fail("out of order sequence")
                return
            first = start if first < 0 else first
            if chunks and self.alive:
                send()
                return
            self._appending.discard(mark)
            end = action.records[-1]
            offset = start + len(chunk) - 1
            self.take(Acked(action.lane, action.claim, action.service, first, offset, end.seq, end.hash))

        def send() -> None:
            chunk = chunks.pop(0)
            self.world.network.ask(
                "broker", self.world.timeout_ms, lambda: serve(chunk), lambda start: acked(start, chunk), fail
            )

        send()

    def _publish_sides(self, action: PublishSide) -> None:
        def serve() -> list[int]:
            for record in action.records:
                self.world.log.append(record.topic, record.partition, [(record.key, record.value)])
            return [record.id for record in action.records]

        def answer(ids: list[int], error: str = "") -> None:
            self.take(SidesAcked(action.lane, action.claim, action.service, ids, error))

        self.world.network.ask("broker", self.world.timeout_ms, serve, answer, lambda: answer([], "no ack in time"))

    def _check(self, action: Check) -> None:
        def serve() -> Checked:
            anchors: dict[str, tuple[bytes | None, int]] = {}
            tails: dict[str, list[TailRecord]] = {}
            kept = {}
            log, hosted = self.world.log, self.worker.hosted
            for service in hosted.services:
                row = action.rows[service.name]
                for topic in service.reads + service.commands:
                    partition, anchor = log.partition(topic, action.lane), row.cursors.get(topic)
                    place = f"{service.name}/{topic}"
                    digest = None
                    if (
                        anchor is not None
                        and anchor.anchor is not None
                        and anchor.anchor.offset < len(partition.records)
                    ):
                        digest = self.world.digest(partition.records[anchor.anchor.offset].value)
                    anchors[place] = (digest, 0)
                    if place in action.full:
                        tails[place] = list(partition.heads)
                if service.writes is not None:
                    heads = log.partition(service.writes, action.lane).heads
                    whole = service.name in action.full or row.published.seq == 0
                    tails[service.name] = list(heads if whole else heads[row.published.offset :])
                    kept[service.name] = self.world.database.kept(service.name, action.lane)
            return Checked(action.lane, action.claim, anchors, tails, kept, self.world.limits(hosted))

        def away() -> None:
            self.take(Checked(action.lane, action.claim, {}, {}, {}, {}, "the broker does not answer"))

        self.world.network.ask("broker", self.world.timeout_ms, serve, self.take, away)

    def poll(self, topic: str, number: int) -> None:
        """Something was appended."""
        if (topic, number) in self._follow:
            self._poll((topic, number))

    def _poll(self, place: tuple[str, int]) -> None:
        if self.alive and place not in self._fetching:
            self._fetching.add(place)
            self.clock.after(self.world.network.delay(), lambda: self._fetch(place))

    def _fetch(self, place: tuple[str, int]) -> None:
        self._fetching.discard(place)
        if not self.alive or place not in self._follow:
            return
        if self.paused or place in self.worker.paused() or self.clock.now_ms < self.world.network.away_until["broker"]:
            self._fetching.add(place)
            self.clock.after(POLL_MS, lambda: self._fetch(place))
            return
        claim, at = self._follow[place]
        records = self.world.log.partition(*place).records
        if at > len(records):
            del self._follow[place]
            self.take(FetchFailed(place[1], claim, f"{place[0]}: offset {at} is not in the log any more"))
        elif at < len(records):
            found = tuple(records[at : at + FETCH_MAX])
            self._follow[place] = (claim, at + len(found))
            self.take(Records(place[0], place[1], claim, found))
            self._poll(place)

    # -- effects

    def _connect(self, action: Connect) -> None:
        failed = [x for x in action.effects if self.world.weather.lost_request and self.clock.chance(0.05)]
        answer = Connected(
            action.lane,
            action.claim,
            [(x.key, x.attempt) for x in action.effects if x not in failed],
            [(x.key, x.attempt, not_sent("NOT_CONNECTED", "", 0)) for x in failed],
        )
        self.clock.after(self.world.network.delay(), lambda: self.take(answer))

    def _call(self, action: Call) -> None:
        """The shell's last look, and with nothing in between the first byte - but it can be stopped even there."""
        effect = action.effect
        if not self.worker.lease_ok(action.lane, action.claim, self.clock.boot_ms):
            refused = not_sent("NOT_OWNER", "", self.clock.now_at)
            self.take(Finished(action.lane, Result(effect.key, effect.attempt, refused)))
            return
        stopped_between = self.world.stops_between(self)
        if stopped_between:
            self._backlog.append(lambda: self._first_byte(action, True))
        else:
            self._first_byte(action, False)

    def _first_byte(self, action: Call, admitted: bool) -> Sequence[Action]:
        effect = action.effect

        def answer(result: Any) -> None:
            self.take(Finished(action.lane, Result(effect.key, effect.attempt, result)))

        self.world.tool.call(self, action, admitted, answer)
        return ()

    def _send_late(self, action: SendLate) -> None:
        value = self.world.late_result(action.result)

        def serve() -> bool:
            self.world.log.append("commands", action.lane, [(action.result.key, value)])
            return True

        def answer(ok: bool) -> None:
            self.take(LateSent(action.lane, action.result, ok))

        self.world.network.ask("broker", self.world.timeout_ms, serve, answer, lambda: answer(False))


def unknown(action: Any, sent: int) -> Answer:
    """What the shell says when no answer came."""
    match action:
        case Claim():
            return ClaimRefused(action.lane, action.claim, "UNKNOWN", "no answer")
        case Load():
            return Loaded(action.round, {}, {}, "no answer")
        case Commit():
            return CommitUnknown(action.round, "no answer")
        case Start():
            return Started({}, {lane: claim for lane, claim, _, _ in action.marks}, (), "no answer")
        case Renew():
            return Renewed(sent, (), (), "no answer")
        case Survey():
            return Surveyed(sent, 0, (), (), "no answer")
        case Release():
            return Released(action.lane, action.claim)
        case Halt():
            return Halted(action.lane, action.claim, False)
        case _:
            return Suspected(action.lane, action.claim, False)


def show(thing: Any) -> str:
    """One line."""
    match thing:
        case CommitRefused():
            return f"refused lanes {thing.lanes} scopes {len(thing.scopes)}"
        case Commit():
            parts = [
                f"{name}/{c.lane}@{c.epoch}+{len(c.records)}({c.seen_out_seq}->{c.out_seq}) pub {c.published.seq}"
                for name, changes in thing.changes.items()
                for c in changes
            ]
            return f"Commit {thing.round} " + " ".join(parts)
        case Publish():
            return f"Publish {thing.topic}/{thing.lane} {[r.seq for r in thing.records]}"
        case Finished():
            status: AnswerStatus = thing.result.answer.status
            return f"Finished {thing.result.key.hex()[:6]}/{thing.result.attempt} {status} {thing.result.answer.code}"
        case Records():
            return f"Records {thing.topic}/{thing.lane} {[r.offset for r in thing.records]}"
        case Claimed() | Checked() | Check() | Loaded() | ControlSeen():
            return f"{type(thing).__name__} {getattr(thing, 'lane', '')} {getattr(thing, 'error', '')}"
        case dict():
            return f"epoch {next(iter(thing.values())).epoch}"
        case _:
            text = repr(thing)
            return text if len(text) < 200 else text[:200] + "..."


def not_sent(code: str, reason: str, now_at: int) -> ToolAnswer:
    """The answer of a call that provably never left."""
    return ToolAnswer(
        status=AnswerStatus.NOT_SENT, started_at=now_at, duration_ms=0, code=code, category=FailureCategory.TRANSIENT,
        reason=reason,
    )  # fmt: skip
