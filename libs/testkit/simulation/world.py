"""The simulated world: servers, processes, a workload and the faults that befall it, all from one seed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from libs.contracts import events as e
from libs.ledger.hosted import Hosted
from libs.ledger.partition import lane_of
from libs.ledger.protocol import Alarm, OutRecord, RowChange, TailRecord
from libs.ledger.records import late_result
from libs.ledger.service import Result, Service
from libs.ledger.worker import Limits, Tools, Worker
from libs.testkit.simulation.cast import Cast, SmallCast, Wish
from libs.testkit.simulation.clock import Clock, Violated
from libs.testkit.simulation.database import Database, Row
from libs.testkit.simulation.log import Log, Partition
from libs.testkit.simulation.network import Network, Weather
from libs.testkit.simulation.process import Process
from libs.testkit.simulation.shell import FETCH_MAX
from libs.testkit.simulation.tool import Tool

LEASE_MS = 800
LIMITS = {
    "lease_ms": LEASE_MS, "margin_ms": 80, "batch_max": 8, "queue_max": 12, "sides_max": 4, "flush_ms": 300,
    "call_timeout_max_ms": 400, "survey_ms": 150, "worker_ttl_ms": 700, "backoff_ms": 60, "backoff_max_ms": 500,
    "release_after_ms": 1_500, "mend_wait_ms": 60_000, "shun_ms": 500, "gap_wait_ms": 400, "drain_ms": 700,
    "look_again_ms": 900, "control_stale_ms": 500, "shun_max_ms": 4_000,
}  # fmt: skip


QUEUE_MOST = LIMITS["queue_max"] + 2 * FETCH_MAX


class World:
    """Everything there is."""

    def __init__(
        self,
        seed: int,
        shape: str,
        lanes: int,
        kind: type[Process] = Process,
        cast: Cast | None = None,
    ) -> None:
        self.clock, self._kind = Clock(seed), kind
        self.cast = cast or SmallCast()
        self.shape, self.lanes = shape, lanes
        self.weather = Weather()
        self.network = Network(self.clock, self.weather)
        self.log = Log(self.clock, self._head)
        self.database = Database(self.clock, LEASE_MS, [s.name for s in self.cast.services], lanes)
        self.tool = Tool(self)
        self.poison = self.cast.poison
        self.control_seq, self.stopped = 1, frozenset[str]()
        self.control, self.control_fresh = self.cast.view(1, self.stopped), True
        self.timeout_ms = 250.0
        self.processes: list[Process] = []
        self.groups = self._groups()
        self.dispatched: set[tuple[bytes, int]] = set()
        self.submitted: dict[bytes, None] = {}
        self.happened: dict[bytes, set[str]] = {}  # kinds of events per key, as they are on the ledger
        self.classes: dict[bytes, str] = {}
        self.rejected: set[str] = set()  # names of intents with a refused submission
        self.doubts: dict[bytes, None] = {}
        self.requests: dict[bytes, bytes] = {}  # key -> action digest that people are asked about
        self.deaths: dict[str, int] = {}
        self.alarms: list[tuple[str, str]] = []
        self.pause_chance = 0.0
        self.effects_max = {"READ_ONLY": 4, "OPAQUE": 2}
        self.barred: frozenset[str] = frozenset()  # topics that the broker lets nobody write to
        self._caused: set[tuple[str, str, int, int, str]] = set()
        self.strict = True  # tests that break something on purpose turn the invariants off
        self.switching = False  # the shape is about to change: nothing is started
        self._count = 0
        self.log.watch = self._appended
        self.log.tell = self.heard
        self.database.watch = self._committing

    def _groups(self) -> list[tuple[Service, ...]]:
        services = self.cast.services
        return [services] if self.shape == "colocated" else [(service,) for service in services]

    # -- processes

    def start(self, group: tuple[Service, ...]) -> Process:
        """A new process that hosts these services."""
        self._count += 1
        name = f"w{self._count}" if self.shape == "colocated" else f"{group[0].name}{self._count}"
        token = hashlib.md5(f"{self.clock.random.random()}".encode()).digest()
        hosted = Hosted.of(group, self.cast.encode, self.cast.dead_letter, "sim")
        limits = Limits(lanes=self.lanes, effects_max=self.effects_max, **LIMITS)
        tools = Tools(
            decode=self.cast.decode,
            decode_unpark=self.cast.read_unpark,
            world=self.cast.tools,
            stopped_by=self.cast.stops,
        )
        process = self._kind(self, name, Worker(hosted, limits, tools, token), self.shape)
        self.processes.append(process)
        self.clock.note(f"{name} starts")
        return process

    def restart(self, process: Process, delay_ms: float) -> None:
        """The supervisor starts the same program again."""
        group = process.worker.hosted.services
        self.clock.after(delay_ms, lambda: self._again(group))

    def _again(self, group: tuple[Service, ...]) -> None:
        if not self.switching and group in self.groups:
            self.start(group)

    def reshape(self) -> None:
        """The system is stopped, and started in the other shape once it is drained."""
        self.clock.note("the shape is to change")
        self.switching = True
        for process in self.processes:
            if process.alive:
                process.leave()
        self.clock.after(50.0, self._reshape)

    def _reshape(self) -> None:
        if any(process.alive for process in self.processes):
            self.clock.after(50.0, self._reshape)
            return
        drained = all(
            row.out_seq == row.published.seq and not schema.sides.get(lane)
            for schema in self.database.schemas.values()
            for lane, row in schema.rows.items()
        )
        self.strict = True  # tests that break something on purpose turn the invariants off
        self.switching = False
        if drained:
            self.shape = "separate" if self.shape == "colocated" else "colocated"
            self.clock.note(f"the shape is {self.shape} now")
        self.groups = self._groups()
        for group in self.groups:
            self.start(group)
        if not drained:
            self.clock.after(500.0, self.reshape)

    def died(self, process: Process) -> None:
        """A decider ended it."""
        self.deaths[process.name] = self.deaths.get(process.name, 0) + 1
        process.kill()
        self.restart(process, 20.0)

    def gone(self, process: Process) -> None:
        """It left politely; it is started again."""
        self.restart(process, 50.0 + 200.0 * self.clock.random.random())

    def stops_here(self, process: Process) -> bool:
        """Is it stopped right before it sends something?"""
        if self.pause_chance and self.clock.chance(self.pause_chance):
            process.pause(self._pause_ms())
            return True
        return False

    def stops_between(self, process: Process) -> bool:
        """Is it stopped between the last look and the first byte?"""
        if self.pause_chance and self.clock.chance(0.1):
            process.pause(self._pause_ms())
            return True
        return False

    def _pause_ms(self) -> float:
        return float(20.0 * 100.0 ** self.clock.random.random())

    # -- what happens

    def submit(self, wish: Wish, other: bool = False, partition: int | None = None) -> None:
        """Somebody publishes an intent; perhaps not where it belongs, perhaps its key with other content."""
        number = lane_of(wish.key, self.lanes) if partition is None else partition
        self.submitted[wish.key] = None
        self.append(wish.topic, number, wish.key, wish.other if other else wish.value)

    def tell(self, kind: type[Any], key: bytes, **fields: Any) -> None:
        """Somebody gives a command."""
        self._count += 1
        given = {"principal": self.cast.operator, "reason": "because", "issued_at": self.clock.now_at} | fields
        body = kind(command_id=self._count.to_bytes(16), intent_id=key, **given)
        self.append("commands", lane_of(key, self.lanes), key, self.cast.message(body))

    def append(self, topic: str, number: int, key: bytes, value: bytes) -> None:
        """A record by somebody else."""
        self.log.append(topic, number, [(key, value)])

    def heard(self, topic: str, number: int) -> None:
        """Readers fetch what is new."""
        for process in self.processes:
            if process.alive:
                process.shell.poll(topic, number)

    def flip(self, stopped: frozenset[str]) -> None:
        """A kill switch."""
        self.clock.note(f"switches: {sorted(stopped)}")
        self.control_seq, self.stopped = self.control_seq + 1, stopped
        self.control = self.cast.view(self.control_seq, stopped)
        for process in self.processes:
            if process.alive:
                process.see_control()

    def age(self, fresh: bool) -> None:
        """The control view can(not) be confirmed."""
        self.clock.note(f"control view fresh: {fresh}")
        self.control_fresh = fresh

    def answers_control(self) -> bool:
        """Can a control tail find out whether it has read all?"""
        return self.control_fresh and self.clock.now_ms >= self.network.away_until["broker"]

    def forget_producers(self) -> None:
        """The broker no longer knows any producer: it refuses none for what is missing before its batch, so that a gap
        may come to be; readers read on until its owner has mended it."""
        for process in self.processes:
            process.shell.renew_producers()

    def lose_tail(self, topic: str, number: int, count: int) -> None:
        """The broker comes back without its last records."""
        partition = self.log.partition(topic, number)
        count = min(count, len(partition.records) - 1)
        if count > 0:
            self.clock.note(f"{topic}/{number} loses its last {count} records")
            self.log.lose_tail(topic, number, count)

    def late_result(self, result: Result) -> bytes:
        """As the shell writes it."""
        return self.cast.message(late_result(result, self.clock.now_at))

    def chunks(self, records: Sequence[OutRecord]) -> list[Sequence[OutRecord]]:
        """A publish that is larger than one batch is split."""
        if len(records) < 2 or not self.clock.chance(0.1):
            return [records]
        cut = self.clock.random.randrange(1, len(records))
        return [records[:cut], records[cut:]]

    def limits(self, hosted: Hosted) -> dict[str, int]:
        """The largest value of each output."""
        return dict.fromkeys(hosted.written, 1 << 20)

    # -- invariants, as things happen

    def _head(self, topic: str, value: bytes) -> TailRecord:
        fact = self.cast.decode(topic, value)
        return TailRecord(-1, fact.envelope.seq, fact.envelope.prev_hash, fact.hash)

    def digest(self, value: bytes) -> bytes:
        """SHA-256, as anchors hold it."""
        return hashlib.sha256(value).digest()

    def _appended(self, partition: Partition, head: TailRecord, value: bytes) -> None:
        name = partition.topic.removeprefix("ledger.")
        outbox = self.database.schemas[name].outbox.get(partition.number, [])
        if head.seq > len(outbox) or outbox[head.seq - 1].hash != head.hash:
            raise Violated(f"published before its commit: {partition.topic}/{partition.number} seq {head.seq}")
        body = self.cast.decode(partition.topic, value).body
        key = outbox[head.seq - 1].key
        self.happened.setdefault(key, set()).add(type(body).__name__)
        if isinstance(body, e.ExecutionDispatched):
            self.dispatched.add((key, body.attempt))
            self.classes[key] = body.effect_class.value
        elif isinstance(body, e.ExecutionInDoubt):
            self.doubts[key] = None
        elif isinstance(body, e.ExecutionResolved | e.ExecutionSucceeded | e.ExecutionFailed):
            self.doubts.pop(key, None)
        elif isinstance(body, e.SubmissionRejected):
            self.rejected.add(body.idempotency_key)
        elif isinstance(body, e.ApprovalRequested):
            self.requests[key] = body.action_digest

    def _committing(self, name: str, row: Row, change: RowChange) -> None:
        if not self.strict:
            return
        place = f"{name}/{change.lane}"
        for topic, cursor in change.cursors.items():
            before = row.cursors.get(topic)
            if before is not None and cursor.last_seq < before.last_seq:
                raise Violated(f"{place}: position of {topic} steps back to {cursor.last_seq}")
            self._check_cursor(place, topic, change.lane, cursor)
        for n, record in enumerate(change.records):
            if record.seq != row.out_seq + n + 1:
                raise Violated(f"{place}: seq {record.seq} after {row.out_seq + n}")
            self._check_cause(name, change.lane, record)
        published = change.published
        outbox = self.database.schemas[name].outbox.get(change.lane, [])
        if published.seq and (published.seq > len(outbox) or outbox[published.seq - 1].hash != published.hash):
            raise Violated(f"{place}: the frontier {published.seq} was never decided")
        for _, scope in change.scopes:
            self._check_cap(scope.scope, {s.stripe: s for _, s in change.scopes if s.scope == scope.scope})

    def _check_cursor(self, place: str, topic: str, lane: int, cursor: Any) -> None:
        anchor = cursor.anchor
        if anchor is not None and anchor.seq > cursor.last_seq:
            raise Violated(f"{place}: anchor {anchor.seq} of {topic} is beyond {cursor.last_seq}")
        if not topic.startswith("ledger.") or cursor.last_seq == 0:
            return
        partition = self.log.partition(topic, lane)
        if anchor is not None and partition.first.get(anchor.seq) != anchor.hash:
            raise Violated(f"{place}: the anchor of {topic} was never on the log")
        if self.shape == "separate" and partition.first.get(cursor.last_seq) != cursor.last_hash:
            raise Violated(f"{place}: applied seq {cursor.last_seq} of {topic}, which was never on the log")

    def _check_cause(self, name: str, lane: int, record: OutRecord) -> None:
        fact = self.cast.decode(f"ledger.{name}", record.value)
        cause = fact.envelope.cause
        if cause.topic in ("intents", "intake.home", "commands"):
            mark = (name, cause.topic, lane, cause.position, type(fact.body).__name__)
            if mark in self._caused:
                raise Violated(f"{name}: {cause.topic}/{cause.position} was decided twice")
            self._caused.add(mark)

    def _check_cap(self, scope: str, new: dict[int, Any]) -> None:
        rows = {s: r for (name, s), r in self.database.schemas["budget"].scopes.items() if name == scope} | new
        if sum(r.pending_micros + r.posted_micros for r in rows.values()) > self.cast.hard_micros(scope):
            raise Violated(f"{scope}: the hard cap is exceeded")

    def bounds(self, process: Process) -> None:
        """Invariant 16: everything is bounded."""
        for lane in process.worker.lanes.values():
            records = len(lane.queue) > QUEUE_MOST and any(
                lane.queue.waiting(topic) > QUEUE_MOST for topic in lane.fetch_next
            )
            if records or len(lane.direct) > 100 or len(lane.timers) > 1_200:
                raise Violated(f"{process.name}: queues of lane {lane.number} grow without bound")
            if any(len(part.sides) > 30 for part in lane.parts.values()):
                raise Violated(f"{process.name}: forwards of lane {lane.number} grow without bound")

    def alarm(self, process: Process, alarm: Alarm) -> None:
        """What an operator would see."""
        self.alarms.append((alarm.code, alarm.text))
        self.clock.note(f"{process.name} ALARM lane {alarm.lane} {alarm.code}: {alarm.text}")
        if alarm.code == "HALTED" and self.strict:
            raise Violated(f"lane {alarm.lane} is halted by {process.name}: {alarm.text}")
