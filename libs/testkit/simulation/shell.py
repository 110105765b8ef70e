"""Carries the actions of a simulated process out, as unreliably as the network and the servers are. What was sent goes
on without its process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from libs.ledger.protocol import (
    Acked,
    Action,
    Alarm,
    Call,
    Check,
    Checked,
    Claim,
    Claimed,
    ClaimRefused,
    Commit,
    Committed,
    Connect,
    Connected,
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
from libs.testkit.simulation.words import not_sent, show, unknown

if TYPE_CHECKING:
    from libs.testkit.simulation.process import Process

POLL_MS = 15.0
FETCH_MAX = 4


class Producer:
    """An idempotent producer: the broker knows it where it has written, until that tail is lost."""

    def __init__(self) -> None:
        self.wrote: dict[tuple[str, int], int] = {}


class Shell:
    """What lies between the protocol of one process and the servers."""

    def __init__(self, process: Process) -> None:
        self.process, self.world, self.clock, self.worker = process, process.world, process.clock, process.worker
        self.follows: dict[tuple[str, int], tuple[int, int]] = {}
        self._fetching: set[tuple[str, int]] = set()
        self._appending: set[tuple[str, int, object]] = set()
        self._producer = Producer()
        self._own_producers: dict[int, Producer] = {}

    def renew_producers(self) -> None:
        """The broker takes its producers for new ones."""
        for producer in (self._producer, *self._own_producers.values()):
            producer.wrote.clear()

    def do(self, action: Action) -> None:
        """Carry an action out."""
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
                self.follows = {place: (claim, at or 0) for place, (claim, at) in action.positions.items()}
                for place in self.follows:
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
                self.world.alarm(self.process, action)

    def _ask_database(self, action: Any) -> None:
        sent, timeout = self.clock.boot_ms, self.world.timeout_ms
        self.world.network.ask(
            "database",
            timeout,
            lambda: self._serve(action, sent),
            self._later(action, sent),
            lambda: self.process.take(unknown(action, sent)),
        )

    def _later(self, action: Any, sent: int) -> Callable[[Any], None]:
        if not isinstance(action, Claim):
            return self.process.take

        def read(rows: Any) -> None:
            if isinstance(rows, ClaimRefused):
                self.process.take(rows)
            else:  # the lane is read in statements of their own, after the claim's answer
                database, hosted = self.world.database, self.worker.hosted
                self._read_lane(lambda: database.read_lane(hosted, action, sent, rows), action)

        return read

    def _read_lane(self, read: Callable[[], Claimed], action: Claim) -> None:
        if self.process.alive:
            self.world.network.ask(
                "database",
                self.world.timeout_ms,
                read,
                self.process.take,
                lambda: self.process.take(unknown(action, 0)),
            )

    def _serve(self, action: Any, sent: int) -> Any:
        database, hosted, token = self.world.database, self.worker.hosted, self.worker.token
        match action:
            case Claim():
                found = database.claim(hosted, token, self.process.shape, action)
                if self.clock.tracing:
                    self.clock.note(f"{self.process.name} claim of lane {action.lane}: {show(found)}")
                return found
            case Load():
                return self._load(action)
            case Commit():
                refusal = database.commit(token, action)
                if self.clock.tracing:
                    self.clock.note(
                        f"database: commit {action.round} of {self.process.name}: "
                        f"{show(refusal) if refusal else 'kept'}"
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
            self.process.take(PublishFailed(action.lane, action.claim, action.service, text))

        def serve(chunk: Any) -> int:
            if partition.generation != generation:
                return -1  # the broker no longer knows what this producer sent before
            producer.wrote[place] = generation
            self.clock.note(f"{action.topic}/{action.lane} gets {[r.seq for r in chunk]} of {self.process.name}")
            return self.world.log.append(action.topic, action.lane, [(r.key, r.value) for r in chunk])

        def acked(start: int, chunk: Any) -> None:
            nonlocal first
            if start < 0:
                fail("out of order sequence")
                return
            first = start if first < 0 else first
            if chunks and self.process.alive:
                send()
                return
            self._appending.discard(mark)
            end = action.records[-1]
            offset = start + len(chunk) - 1
            self.process.take(Acked(action.lane, action.claim, action.service, first, offset, end.seq, end.hash))

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
            self.process.take(SidesAcked(action.lane, action.claim, action.service, ids, error))

        self.world.network.ask("broker", self.world.timeout_ms, serve, answer, lambda: answer([], "no ack in time"))

    def _check(self, action: Check) -> None:
        def serve() -> Checked:
            anchors: dict[str, tuple[bytes | None, int]] = {}
            tails: dict[str, list[TailRecord]] = {}
            kept = {}
            log, hosted = self.world.log, self.worker.hosted
            if barred := sorted(self.world.barred & hosted.written):
                return Checked(action.lane, action.claim, {}, {}, {}, {}, unwritable=barred)
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
            self.process.take(Checked(action.lane, action.claim, {}, {}, {}, {}, "the broker does not answer"))

        self.world.network.ask("broker", self.world.timeout_ms, serve, self.process.take, away)

    def poll(self, topic: str, number: int) -> None:
        """Something was appended."""
        if (topic, number) in self.follows:
            self._poll((topic, number))

    def _poll(self, place: tuple[str, int]) -> None:
        if self.process.alive and place not in self._fetching:
            self._fetching.add(place)
            self.clock.after(self.world.network.delay(), lambda: self._fetch(place))

    def _fetch(self, place: tuple[str, int]) -> None:
        self._fetching.discard(place)
        if not self.process.alive or place not in self.follows:
            return
        if (
            self.process.paused
            or place in self.worker.paused()
            or self.clock.now_ms < self.world.network.away_until["broker"]
        ):
            self._fetching.add(place)
            self.clock.after(POLL_MS, lambda: self._fetch(place))
            return
        claim, at = self.follows[place]
        records = self.world.log.partition(*place).records
        if at > len(records):
            del self.follows[place]
            self.process.take(FetchFailed(place[1], claim, f"{place[0]}: offset {at} is not in the log any more"))
        elif at < len(records):
            found = tuple(records[at : at + FETCH_MAX])
            self.follows[place] = (claim, at + len(found))
            self.process.take(Records(place[0], place[1], claim, found))
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
        self.clock.after(self.world.network.delay(), lambda: self.process.take(answer))

    def _call(self, action: Call) -> None:
        """The shell's last look, and with nothing in between the first byte - but it can be stopped even there."""
        effect = action.effect
        if not self.worker.may_call(action.lane, action.claim, effect, self.clock.boot_ms):
            refused = not_sent("NOT_OWNER", "", self.clock.now_at)
            self.process.take(Finished(action.lane, Result(effect.key, effect.attempt, refused)))
            return
        stopped_between = self.world.stops_between(self.process)
        if stopped_between:
            self.process.backlog.append(lambda: self._first_byte(action, True))
        else:
            self._first_byte(action, False)

    def _first_byte(self, action: Call, admitted: bool) -> Sequence[Action]:
        effect = action.effect

        def answer(result: Any) -> None:
            self.process.take(Finished(action.lane, Result(effect.key, effect.attempt, result)))

        self.world.tool.call(self.process, action, admitted, answer)
        return ()

    def _send_late(self, action: SendLate) -> None:
        value = self.world.late_result(action.result)

        def serve() -> bool:
            self.world.log.append("commands", action.lane, [(action.result.key, value)])
            return True

        def answer(ok: bool) -> None:
            self.process.take(LateSent(action.lane, action.result, ok))

        self.world.network.ask("broker", self.world.timeout_ms, serve, answer, lambda: answer(False))
