"""One lane as its owner holds it in memory. Everything here was read after the claim, and is thrown away with it.

FREE -> CLAIMING -> CHECKING -> OPEN -> RELEASING -> FREE
          ^            |         |  any error, unknown answer: BACKOFF, then claim again
          +-- BACKOFF <+---------+  fenced: FREE at once        halted: FREE until an operator clears it
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any

from libs.ledger.batch import LaneBatch
from libs.ledger.chain import Anchor, Cursor
from libs.ledger.hosted import Hosted
from libs.ledger.inbox import DirectQueue, Inbox, Taken
from libs.ledger.pieces import LaneView
from libs.ledger.poison import Care
from libs.ledger.protocol import LaneRow, OutRecord, ParkedInput, Published, RowChange, SideRecord
from libs.ledger.service import Due, DueKind, Effect, Input, Record, ScopeRow, Service, Waiting, WaitKind, key_of

STALE_TIMERS_MAX = 1_000
STATES_KEPT_MAX = 1_000  # per service; the oldest give way


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
    publish_waits: bool = False  # for what an earlier claim has under way in the partition
    sides: dict[int, SideRecord] = field(default_factory=dict)  # not yet on the log
    sides_done: list[int] = field(default_factory=list)  # on the log, row not yet deleted
    next_side: int = 0
    sides_under_way: bool = False
    sides_retry_ms: int = 0
    sides_sent_ms: int | None = None


@dataclass
class Trouble:
    """How badly it went so far: the one thing about a lane that outlives its claim."""

    failures: int = 0  # in a row
    since_ms: int | None = None  # when the first of them was
    retry_ms: int = 0  # claim again from then on
    mending_since_ms: int | None = None  # an input's tail is away
    shunned_until_ms: int = 0  # released because of failures: another worker should try
    shuns: int = 0  # how often so, with no ack in between


@dataclass
class Lane:
    """A lane of this process. `claim` numbers our claims: an answer with another number is stale."""

    number: int
    phase: Phase = Phase.FREE
    claim: int = 0
    epoch: int = 0
    lease_end_boot_ms: int = 0
    parts: dict[str, Part] = field(default_factory=dict)
    queue: Inbox = field(default_factory=Inbox)
    direct: DirectQueue = field(default_factory=DirectQueue)
    fetch_next: dict[str, int | None] = field(default_factory=dict)
    behind: frozenset[str] = frozenset()  # `lagging`, as of the last batch
    timers: list[tuple[int, str, bytes]] = field(default_factory=list)
    ready: dict[str, dict[bytes, None]] = field(default_factory=dict)
    recovering: set[bytes] = field(default_factory=set)  # dispatches found at the claim, not recovered yet: not called
    effects: dict[bytes, Effect] = field(default_factory=dict)
    gate: dict[bytes, str] = field(default_factory=dict)  # key -> CONNECTING | CONNECTED | STARTING | CALLED | STOPPED
    starved: dict[bytes, str] = field(default_factory=dict)  # READY keys that found no room for this effect class
    woken: dict[bytes, str] = field(default_factory=dict)  # ... and are looked at again, because there is room now
    states: dict[str, dict[bytes, Any]] = field(default_factory=dict)  # as last committed under this claim; bounded
    scopes: dict[str, dict[int, ScopeRow]] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    busy: bool = False  # in the round that is under way
    draining_since_ms: int | None = None
    dirty_since_ms: int | None = None  # positions or frontier moved without a commit
    gaps: dict[str, int] = field(default_factory=dict)  # inputs that skipped a number, and since when
    care: Care = field(default_factory=Care)
    highest_offset: dict[str, int] = field(default_factory=dict)
    full_checked: tuple[str, ...] = ()  # outputs and inputs whose whole partition was asked for
    halting: str = ""
    mending: str = ""  # the input whose tail is away: until it is back we publish, and decide nothing
    look_again_ms: int = 0  # when the outputs are looked at again
    looking_for: dict[str, LaneRow] = field(default_factory=dict)
    last_seen: dict[str, Record] = field(default_factory=dict)  # the last record that was fetched, per topic
    trouble: Trouble = field(default_factory=Trouble)

    @property
    def owned(self) -> bool:
        """Do our rows say that it is ours? (The lease may still have run out.)"""
        return self.phase in (Phase.CHECKING, Phase.BACKOFF, Phase.OPEN, Phase.RELEASING) and self.epoch > 0

    @property
    def draining(self) -> bool:
        """Is it to be given back?"""
        return self.draining_since_ms is not None

    @property
    def published_all(self) -> bool:
        """Is everything that was decided on the ledger?"""
        return not any(part.unacked for part in self.parts.values())

    def forget(self) -> None:
        """Drop everything that was read under the last claim (rule 2); what the process called stays elsewhere."""
        self.__dict__.update(Lane(self.number, claim=self.claim, trouble=self.trouble).__dict__)

    def has_published(self, acked: bool) -> None:
        """The log takes what we have (`acked`), or there is nothing that it would have to take."""
        trouble = self.trouble
        self.trouble = Trouble(
            mending_since_ms=trouble.mending_since_ms if self.mending else None, shuns=0 if acked else trouble.shuns
        )

    # -- what to read

    def lagging(self, hosted: Hosted) -> frozenset[str]:
        """Topics of ours that a hosted reader has not applied in full: they are read from the log first (rule 22)."""
        behind = set()
        for part in self.parts.values():
            topic = part.service.writes
            if topic is not None and any(
                self.parts[r.name].cursors[topic].last_seq != part.out_seq for r in hosted.readers.get(topic, ())
            ):
                behind.add(topic)
        return frozenset(behind)

    def positions(self, hosted: Hosted) -> dict[str, int | None]:
        """What to read from Kafka: topics without a hosted writer, and those whose readers are behind."""
        return {
            topic: at for topic, at in self.fetch_next.items() if topic not in hosted.written or topic in self.behind
        }

    def set_fetch_positions(self, hosted: Hosted) -> None:
        """Start every input at the lowest position of its readers."""
        for topic, readers in hosted.readers.items():
            offsets = [self.parts[r.name].cursors[topic].next_offset for r in readers]
            known = [o for o in offsets if o is not None]
            self.fetch_next[topic] = min(known) if len(known) == len(offsets) else None

    def anchored(self, cursors: Mapping[str, Cursor]) -> dict[str, Cursor]:
        """What was handed over in memory: the writer's published record is the reader's anchor (rule 7)."""
        found = dict(cursors)
        for writer in self.parts.values():
            topic, published = writer.service.writes, writer.published
            cursor = cursors.get(topic) if topic is not None else None
            if topic is not None and cursor is not None and 0 < published.seq <= cursor.last_seq:
                anchor = Anchor(published.offset, published.seq, published.hash)
                found[topic] = Cursor(cursor.last_seq, cursor.last_hash, anchor)
        return found

    # -- what waits

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
        self.direct.push(service, item)

    def is_due(self, now_at: int) -> bool:
        """Has a deadline come?"""
        return bool(self.timers) and self.timers[0][0] <= now_at

    def fire_timers(self, hosted: Hosted, now_at: int) -> None:
        """Turn deadlines that have come into inputs."""
        while self.is_due(now_at):
            due_at, name, key = heapq.heappop(self.timers)
            waiting = self.parts[name].waits.get(key)
            if waiting is not None and waiting.due_at == due_at:
                self.push(hosted.by_name[name], Due(key, DueKind.TIMER))
        if len(self.timers) > STALE_TIMERS_MAX + 2 * sum(len(part.waits) for part in self.parts.values()):
            self.timers = [
                (w.due_at, name, key) for name, part in self.parts.items() for key, w in part.waits.items() if w.due_at
            ]
            heapq.heapify(self.timers)

    def _arm_again(self, name: str, due: Due, now_at: int) -> None:
        """The clock may have stepped back after the timer had fired: to the decider it came too early, and no other
        would come."""
        waiting = self.parts[name].waits.get(due.key)
        if due.kind is DueKind.TIMER and waiting is not None and waiting.due_at is not None and waiting.due_at > now_at:
            heapq.heappush(self.timers, (waiting.due_at, name, due.key))

    def wake_ready(self, hosted: Hosted) -> None:
        """Look again at all keys that wait for a switch or for capacity."""
        for name, keys in self.ready.items():
            for key in keys:
                self.push(hosted.by_name[name], Due(key, DueKind.READY))

    # -- after a commit

    def settle(self, taken: Taken, batch: LaneBatch, changes: Mapping[str, RowChange], hosted: Hosted) -> None:
        """The commit is known: take the batch's result over and let the inputs go."""
        self.direct.settle()
        self.queue.drop(taken.records)
        for service in hosted.services:
            change, part = changes[service.name], self.parts[service.name]
            part.out_seq, part.out_hash, part.cursors = change.out_seq, change.out_hash, dict(change.cursors)
            part.unacked = change.records
            done = set(change.sides_done)
            part.sides_done = [n for n in part.sides_done if n not in done]
            part.next_side = batch.parts[service.name].next_side
            part.sides.update({side.id: side for side in change.sides})
            for key, waiting in change.work.items():
                self.arm(service, key, waiting)
            self._remember(service.name, change.states)
            self._take_up(service, part, change)
        for (scope, stripe), (_, row) in batch.scopes.changed.items():
            self.scopes.setdefault(scope, {})[stripe] = row
        for entry in taken.direct:
            self.woken.pop(key_of(entry.item), None)
            if isinstance(entry.item, Due):
                self._arm_again(entry.service.name, entry.item, batch.world.now_at)
        self.starved.update(batch.starved)
        if hosted.effects is not None:
            ready = self.ready.get(hosted.effects.name, {})
            for key in batch.parts[hosted.effects.name].states:
                if key not in ready:
                    self.starved.pop(key, None)
        self.behind = self.lagging(hosted)

    def _remember(self, name: str, states: Mapping[bytes, Any]) -> None:
        """Nobody but the owner of a lane writes its states: what we committed need not be loaded again."""
        known = self.states.setdefault(name, {})
        for key, state in states.items():
            known.pop(key, None)
            known[key] = state
        for key in list(islice(known, max(0, len(known) - STATES_KEPT_MAX))):
            del known[key]

    def _take_up(self, service: Service, part: Part, change: RowChange) -> None:
        for key in change.unparked:
            part.parked.pop(key, None)
            waiting = part.waits.get(key)
            self.arm(service, key, waiting)  # timers that came while the key was parked were dropped
            if waiting is not None and waiting.kind is WaitKind.READY:
                self.push(service, Due(key, DueKind.READY))
        for key, item in change.parked:
            part.parked.setdefault(key, []).append(item)

    def view(
        self, free: Mapping[str, int], full: frozenset[str], broken: frozenset[tuple[str, bytes]], parked_max: int
    ) -> LaneView:
        """What a batch may read of this lane."""
        return LaneView(
            lane=self.number,
            parts={n: (p.out_seq, p.out_hash, p.cursors, p.next_side) for n, p in self.parts.items()},
            parked={n: p.parked for n, p in self.parts.items()},
            parked_max=parked_max,
            open_effects=frozenset(self.effects),
            woken=frozenset() if self.draining else frozenset(self.woken),
            free=free,
            scopes=self.scopes,
            scopes_full=full,
            limits=self.limits,
            broken=broken,
        )
