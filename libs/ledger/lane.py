"""One lane as its owner holds it in memory. Everything here was read after the claim, and is thrown away with it.

    FREE -> CLAIMING -> CHECKING -> OPEN -> RELEASING -> FREE
              ^            |         |  any error, unknown answer: BACKOFF, then claim again
              +-- BACKOFF <+---------+  fenced: FREE at once        halted: FREE until an operator clears it
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from libs.contracts.events import Unpark
from libs.ledger.batch import Hosted, LaneBatch, LaneBroken, LaneView
from libs.ledger.chain import Cursor, Seen, look
from libs.ledger.parking import as_input
from libs.ledger.protocol import LaneRow, OutRecord, ParkedInput, Published, RowChange, SideRecord
from libs.ledger.service import (
    Command,
    Due,
    DueKind,
    Effect,
    Fact,
    Input,
    Record,
    ScopeRow,
    Service,
    Waiting,
    WaitKind,
)


class Phase(StrEnum):
    """Where a lane is in its life (the picture above)."""

    FREE = "FREE"
    CLAIMING = "CLAIMING"
    CHECKING = "CHECKING"
    BACKOFF = "BACKOFF"
    OPEN = "OPEN"
    RELEASING = "RELEASING"


@dataclass
class Part:
    """One service's share of the lane's memory."""

    service: Service
    row: LaneRow
    out_seq: int
    out_hash: bytes
    published: Published
    cursors: dict[str, Cursor]
    waits: dict[bytes, Waiting] = field(default_factory=dict)
    parked: dict[bytes, list[ParkedInput]] = field(default_factory=dict)
    unacked: Sequence[OutRecord] = ()
    sides: dict[int, SideRecord] = field(default_factory=dict)  # not yet on the log
    sides_done: list[int] = field(default_factory=list)  # on the log, row not yet deleted
    next_side: int = 0
    sides_sent_ms: int = 0


@dataclass(frozen=True)
class RecordItem:
    """A fetched record, decoded and prepared once."""

    record: Record
    fact: Fact | None = None
    commands: tuple[tuple[Service, Command | None], ...] = ()
    unpark: tuple[Unpark, Command] | None = None


@dataclass(frozen=True)
class DirectItem:
    """An input that is not a record: a timer, a result, a recovery, a stop at the gate."""

    service: Service
    item: Input


@dataclass
class Taken:
    """What a round has taken from a lane; it stays queued until the commit is known (rule 6)."""

    direct: list[DirectItem]
    records: list[RecordItem]


@dataclass
class Lane:
    """A lane of this process. `claim` numbers our claims: an answer with another number is stale."""

    number: int
    phase: Phase = Phase.FREE
    claim: int = 0
    epoch: int = 0
    lease_end_boot_ms: int = 0
    parts: dict[str, Part] = field(default_factory=dict)
    queue: deque[Record] = field(default_factory=deque)
    prepared: dict[tuple[str, int], RecordItem] = field(default_factory=dict)
    direct: deque[DirectItem] = field(default_factory=deque)
    direct_keys: set[tuple[str, bytes, str]] = field(default_factory=set)
    fetch_next: dict[str, int | None] = field(default_factory=dict)
    timers: list[tuple[int, str, bytes]] = field(default_factory=list)
    ready: dict[str, dict[bytes, None]] = field(default_factory=dict)
    effects: dict[bytes, Effect] = field(default_factory=dict)
    gate: dict[bytes, str] = field(default_factory=dict)  # key -> CONNECTING | CONNECTED | STARTING | CALLED
    recovering: set[bytes] = field(default_factory=set)  # their Recover input has not been decided yet
    scopes: dict[str, dict[int, ScopeRow]] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    busy: bool = False  # in the round that is under way
    draining: bool = False
    dirty_since_ms: int | None = None  # positions or frontier moved without a commit
    failures: int = 0
    failing_since_ms: int | None = None
    retry_boot_ms: int = 0
    careful: str = ""  # one record at a time, marked before it is decided (flow.md decision 17)
    suspect: str = ""
    highest_offset: dict[str, int] = field(default_factory=dict)
    full_checked: tuple[str, ...] = ()  # outputs whose whole partition was asked for
    buried: list[tuple[str, SideRecord]] = field(default_factory=list)  # dead letters of records that broke `prepare`

    @property
    def owned(self) -> bool:
        """Do our rows say that it is ours? (The lease may still have run out.)"""
        return self.phase in (Phase.CHECKING, Phase.BACKOFF, Phase.OPEN, Phase.RELEASING) and self.epoch > 0

    @property
    def published_all(self) -> bool:
        """Is everything that was decided on the ledger?"""
        return not any(part.unacked for part in self.parts.values())

    def forget(self) -> None:
        """Drop everything that was read under the last claim (rule 2); what the process called stays elsewhere."""
        fresh = Lane(self.number, Phase.FREE, self.claim)
        fresh.failures, fresh.failing_since_ms, fresh.retry_boot_ms = (
            self.failures,
            self.failing_since_ms,
            self.retry_boot_ms,
        )
        self.__dict__.update(fresh.__dict__)

    # -- taking

    def in_step(self, hosted: Hosted, topic: str) -> bool:
        """Has every hosted reader of a topic that we write ourselves applied all of it? (rule 22)"""
        writer = next((p for p in self.parts.values() if p.service.writes == topic), None)
        if writer is None:
            return False
        readers = hosted.readers.get(topic, ())
        return all(self.parts[r.name].cursors[topic].last_seq == writer.out_seq for r in readers)

    def catching_up(self, hosted: Hosted) -> bool:
        """Is there a hosted topic whose readers are behind? Then nothing new is taken until they are not."""
        return any(topic in hosted.readers and not self.in_step(hosted, topic) for topic in hosted.written)

    def positions(self, hosted: Hosted) -> dict[str, int | None]:
        """What to read from Kafka: topics without a hosted writer, and those whose readers are behind."""
        return {topic: at for topic, at in self.fetch_next.items() if not self.in_step(hosted, topic)}

    def set_fetch_positions(self, hosted: Hosted) -> None:
        """Start every input at the lowest position of its readers."""
        for topic, readers in hosted.readers.items():
            offsets = [self.parts[r.name].cursors[topic].next_offset for r in readers]
            known = [o for o in offsets if o is not None]
            self.fetch_next[topic] = min(known) if len(known) == len(offsets) else None

    def arm(self, service: Service, key: bytes, waiting: Waiting | None) -> None:
        """Keep the index of what waits, the timers and the READY list in step with a state."""
        part = self.parts[service.name]
        ready = self.ready.setdefault(service.name, {})
        if waiting is None:
            part.waits.pop(key, None)
            ready.pop(key, None)
            return
        part.waits[key] = waiting
        if waiting.kind is WaitKind.READY:
            ready[key] = None
        else:
            ready.pop(key, None)
        if waiting.due_at is not None:
            heapq.heappush(self.timers, (waiting.due_at, service.name, key))

    def push(self, service: Service, item: Input) -> None:
        """Queue an input that is not a record, once."""
        key = item.envelope.intent_id if isinstance(item, Fact) else item.key
        mark = (service.name, key, f"{type(item).__name__}{getattr(item, 'kind', '')}{getattr(item, 'attempt', '')}")
        if mark not in self.direct_keys:
            self.direct_keys.add(mark)
            self.direct.append(DirectItem(service, item))

    def fire_timers(self, hosted: Hosted, now_at: int) -> None:
        """Turn deadlines that have come into inputs."""
        while self.timers and self.timers[0][0] <= now_at:
            due_at, name, key = heapq.heappop(self.timers)
            waiting = self.parts[name].waits.get(key)
            if waiting is not None and waiting.due_at == due_at:
                self.push(hosted.by_name[name], Due(key, DueKind.TIMER))

    def wake_ready(self, hosted: Hosted, limit: int) -> None:
        """Look again at up to `limit` keys that wait for capacity or a switch, the oldest first."""
        for name, keys in self.ready.items():
            for key in list(keys)[: max(0, limit)]:
                self.push(hosted.by_name[name], Due(key, DueKind.READY))

    # -- after a commit

    def settle(self, taken: Taken, batch: LaneBatch, changes: Mapping[str, RowChange], hosted: Hosted) -> None:
        """The commit is known: take the batch's result over and let the inputs go."""
        for entry in taken.direct:
            self.direct.popleft()
            item = entry.item
            key = item.envelope.intent_id if isinstance(item, Fact) else item.key
            text = f"{type(item).__name__}{getattr(item, 'kind', '')}{getattr(item, 'attempt', '')}"
            self.direct_keys.discard((entry.service.name, key, text))
        for _ in taken.records:
            record = self.queue.popleft()
            self.prepared.pop((record.topic, record.offset), None)
        for service in hosted.services:
            change, part = changes[service.name], self.parts[service.name]
            part.out_seq, part.out_hash, part.cursors = change.out_seq, change.out_hash, dict(change.cursors)
            part.unacked = change.records
            done = set(change.sides_done)
            part.sides_done = [n for n in part.sides_done if n not in done]
            part.next_side = batch.parts[service.name].next_side
            part.sides.update({side.id: side for side in change.sides})
            for key in change.unparked:
                part.parked.pop(key, None)
            for key, waiting_input in change.parked:
                part.parked.setdefault(key, []).append(waiting_input)
            for key, waiting in change.work.items():
                self.arm(service, key, waiting)
        for (scope, stripe), (_, row) in batch.scopes.changed.items():
            self.scopes.setdefault(scope, {})[stripe] = row
        self.buried.clear()
        self.dirty_since_ms = None

    def view(self, free: Mapping[str, int], full: frozenset[str]) -> LaneView:
        """What a batch may read of this lane."""
        return LaneView(
            lane=self.number,
            parts={n: (p.out_seq, p.out_hash, p.cursors, p.next_side) for n, p in self.parts.items()},
            parked={n: {key: len(items) for key, items in p.parked.items()} for n, p in self.parts.items()},
            open_effects=frozenset(self.effects),
            free=free,
            scopes=self.scopes,
            scopes_full=full,
            limits=self.limits,
        )


def run_batch(
    lane: Lane, taken: Taken, batch: LaneBatch, prepare: Callable[[Service, Record], Command | None]
) -> None:
    """Feed what was taken into a batch, by the reader's rule (rule 8). LaneBroken: the lane must halt."""
    for entry in taken.direct:
        batch.feed(entry.service, entry.item)
    for item in taken.records:
        record = item.record
        if item.fact is not None:
            _feed_fact(batch, record, item.fact)
        for service, command in item.commands:
            cursor = batch.parts[service.name].cursors[record.topic]
            if cursor.anchor is None or record.offset > cursor.anchor.offset:
                batch.feed_command(service, record, command)
        if item.unpark is not None:
            _unpark(lane, batch, *item.unpark, prepare)


def _feed_fact(batch: LaneBatch, record: Record, fact: Fact) -> None:
    for service in batch.hosted.readers[record.topic]:
        match look(batch.parts[service.name].cursors[record.topic], fact.envelope.seq, fact.envelope.prev_hash):
            case Seen.APPLY:
                batch.feed_fact(service, record.offset, fact)
            case Seen.GAP:
                batch.alarms.append(("GAP", f"{service.name}: {record.topic} skips to seq {fact.envelope.seq}"))
            case Seen.HALT:
                raise LaneBroken(f"{record.topic} offset {record.offset}: seq fits, prev_hash does not (other bytes)")
            case Seen.DROP:
                pass


def _unpark(
    lane: Lane, batch: LaneBatch, body: Unpark, command: Command, prepare: Callable[[Service, Record], Command | None]
) -> None:
    service = batch.hosted.by_name.get(body.service)
    if service is None or "operator" not in body.principal.roles or not body.reason:
        return
    waiting = lane.parts[service.name].parked.get(body.intent_id, ())
    inputs = [i for w in waiting if (i := as_input(w.record, lambda r: prepare(service, r))) is not None]
    if waiting:
        batch.unpark(service, command, inputs, (body.principal.subject, body.reason))
