"""Decide to quiescence: one lane's part of a batch, purely in memory.

Each input is given to the services that read it; an event that one hosted service emits is at once input to the
other hosted services that read its topic. What comes out is what the commit writes: events as stored bytes, states,
the index of what waits, scope stripes, forwards and dead letters. Nothing here touches the lane's own memory: a batch
that is refused is simply thrown away.
"""

from __future__ import annotations

import hashlib
import struct
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from libs.contracts.events import Actor, ActorKind, Envelope, KeyParked, KeyUnparked
from libs.ledger.chain import Cursor, applied, consumed, event_hash, handed_over
from libs.ledger.parking import as_record
from libs.ledger.protocol import OutRecord, ParkedInput, Published, RowChange, SideRecord
from libs.ledger.service import (
    Command,
    Dead,
    Decision,
    Effect,
    Event,
    Fact,
    Forward,
    Input,
    Record,
    ScopeRow,
    ScopesNeeded,
    Service,
    World,
    cause_of,
)

EVENTS_PER_INPUT_MAX = 64
_SEQ = struct.Struct(">Q")


class KeysNeeded(Exception):
    """A key's state was not loaded: load it and decide the batch anew."""

    def __init__(self, key: bytes) -> None:
        super().__init__(key.hex())
        self.key = key


class LaneBroken(Exception):
    """The lane must halt: corruption, a foreign writer, or an event that no topic would take."""


@dataclass(frozen=True)
class Hosted:
    """The services of this process in the order of the routing table, and how their records are written."""

    services: tuple[Service, ...]
    encode: Callable[[Envelope, Any], bytes]
    dead_letter: Callable[[str, str, str, Record], bytes]
    producer: str
    readers: Mapping[str, tuple[Service, ...]] = field(default_factory=dict)
    by_name: Mapping[str, Service] = field(default_factory=dict)
    downstream: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    written: frozenset[str] = frozenset()

    @staticmethod
    def of(
        services: Sequence[Service],
        encode: Callable[[Envelope, Any], bytes],
        dead_letter: Callable[[str, str, str, Record], bytes],
        producer: str,
    ) -> Hosted:
        """Build the look-up tables: who reads a topic, who may be reached from a service."""
        readers: dict[str, tuple[Service, ...]] = {}
        for service in services:
            for topic in service.reads + service.commands:
                readers[topic] = (*readers.get(topic, ()), service)
        downstream = {s.name: _reach(s, readers) for s in services}
        by_name = {s.name: s for s in services}
        written = frozenset(s.writes for s in services if s.writes)
        return Hosted(tuple(services), encode, dead_letter, producer, readers, by_name, downstream, written)


def _reach(service: Service, readers: Mapping[str, tuple[Service, ...]]) -> tuple[str, ...]:
    found, todo = {service.name}, [service]
    while todo:
        for reader in readers.get(todo.pop().writes or "", ()):
            if reader.name not in found:
                found.add(reader.name)
                todo.append(reader)
    return tuple(sorted(found))


@dataclass
class Part:
    """One service's growing part of a batch."""

    service: Service
    out_seq: int
    out_hash: bytes
    cursors: dict[str, Cursor]
    records: list[OutRecord] = field(default_factory=list)
    states: dict[bytes, Any] = field(default_factory=dict)
    touched: dict[bytes, None] = field(default_factory=dict)
    sides: list[SideRecord] = field(default_factory=list)
    next_side: int = 0
    parked: dict[bytes, list[ParkedInput]] = field(default_factory=dict)
    unparked: list[bytes] = field(default_factory=list)


class ScopeView:
    """The scope stripes as this batch sees them: the lane's copy, overlaid with the batch's own changes."""

    def __init__(self, lane: int, lanes: int, known: Mapping[str, Mapping[int, ScopeRow]], full: frozenset[str]):
        self.stripe, self.stripes = lane, lanes
        self._known, self._full = known, full
        self.changed: dict[tuple[str, int], tuple[int, ScopeRow]] = {}

    def _row(self, scope: str, stripe: int) -> ScopeRow:
        mine = self.changed.get((scope, stripe))
        if mine is not None:
            return mine[1]
        return self._known[scope].get(stripe) or ScopeRow(scope, stripe)

    def own(self, scope: str) -> ScopeRow:
        """This lane's stripe; ScopesNeeded when it was never loaded."""
        if scope not in self._known:
            raise ScopesNeeded(scope)
        return self._row(scope, self.stripe)

    def all(self, scope: str) -> tuple[ScopeRow, ...]:
        """All stripes, fresh in this round; ScopesNeeded otherwise (other lanes change theirs at any time)."""
        if scope not in self._full:
            raise ScopesNeeded(scope)
        return tuple(self._row(scope, stripe) for stripe in range(self.stripes))

    def fold(self, line: Any) -> None:
        """Take over a ScopeLine of an own event. The version first seen stays: the commit checks it."""
        key = (line.scope, line.stripe)
        before = self._row(line.scope, line.stripe)
        seen = self.changed[key][0] if key in self.changed else before.version
        if line.version != before.version + 1:
            raise LaneBroken(f"scope {line.scope}/{line.stripe}: version {line.version} after {before.version}")
        row = ScopeRow(
            line.scope, line.stripe, line.version, line.share_micros, line.pending_micros, line.posted_micros,
            line.frozen, line.cap_seq,
        )  # fmt: skip
        self.changed[key] = (seen, row)


@dataclass(frozen=True)
class LaneView:
    """What a batch reads of its lane."""

    lane: int
    parts: Mapping[str, tuple[int, bytes, Mapping[str, Cursor], int]]  # out_seq, out_hash, cursors, next side id
    parked: Mapping[str, Mapping[bytes, int]]  # how many inputs wait, per service and key
    open_effects: frozenset[bytes]
    free: Mapping[str, int]  # effect class -> how many may still be dispatched
    scopes: Mapping[str, Mapping[int, ScopeRow]]
    scopes_full: frozenset[str]
    limits: Mapping[str, int]  # topic -> largest record value in bytes


class LaneBatch:
    """Feed inputs, then read `change()` per service. Raises ScopesNeeded and KeysNeeded before anything is kept."""

    def __init__(
        self, view: LaneView, hosted: Hosted, states: Mapping[str, Mapping[bytes, Any]], asked: Mapping[str, set[bytes]],
        world: World,
    ) -> None:  # fmt: skip
        self.view, self.hosted, self._states, self._asked = view, hosted, states, asked
        self.scopes = ScopeView(view.lane, world.lanes, view.scopes, view.scopes_full)
        self.world = replace(world, lane=view.lane, scopes=self.scopes, dispatch_free=self._dispatch_free)
        self.dispatched: dict[str, int] = {}
        self._opened: set[bytes] = set()
        self.parts = {
            s.name: Part(s, p[0], p[1], dict(p[2]), next_side=p[3]) for s in hosted.services if (p := view.parts[s.name])
        }
        self.alarms: list[tuple[str, str]] = []

    # -- feeding

    def feed(self, service: Service, item: Input) -> None:
        """Decide on one input and on all that follows from it within this process."""
        queue: deque[tuple[Service, Input]] = deque([(service, item)])
        budget = EVENTS_PER_INPUT_MAX * len(self.hosted.services)
        while queue:
            if budget == 0:
                raise LaneBroken(f"an input of {service.name} does not come to rest: its deciders answer each other")
            budget -= 1
            self._one(*queue.popleft(), queue)

    def feed_fact(self, service: Service, offset: int, fact: Fact) -> None:
        """A chained record that the reader's rule says to apply."""
        part = self.parts[service.name]
        part.cursors[fact.topic] = applied(part.cursors[fact.topic], offset, fact.envelope.seq, fact.hash)
        self.feed(service, fact)

    def feed_command(self, service: Service, record: Record, command: Command | None) -> None:
        """A record of an unchained topic; None: it is not for this service, only the position moves."""
        self.parts[service.name].cursors[record.topic] = consumed(record.offset, record.value)
        if command is not None:
            self.feed(service, command)

    def skip(self, service: Service, record: Record, fact: Fact | None) -> None:
        """Move a position past a record that is put aside instead of decided."""
        cursors = self.parts[service.name].cursors
        if fact is None:
            cursors[record.topic] = consumed(record.offset, record.value)
        elif fact.envelope.seq == cursors[record.topic].last_seq + 1:
            cursors[record.topic] = applied(cursors[record.topic], record.offset, fact.envelope.seq, fact.hash)

    def park(self, service: Service, key: bytes, record: Record, code: str, error: str) -> None:
        """Put a key aside with the input that it failed on: the key waits, others go on."""
        part = self.parts[service.name]
        first = key not in self.view.parked[service.name] and key not in part.parked
        self._keep(part, key, record)
        self.alarms.append((code, f"{service.name}: key {key.hex()} parked: {error}"))
        if first and service.writes:
            body = KeyParked(
                service=service.name, code=code, error=error[:500], input_topic=record.topic, input_position=record.offset
            )
            cause = Command(key=key, body=None, record=record, id=key)
            self._emit(part, cause, Event(body), key, self._state(part, key), deque())

    def unpark(self, service: Service, command: Command, inputs: Sequence[Input], who: tuple[str, str]) -> None:
        """Take a key up again: its waiting inputs are decided in their order."""
        part = self.parts[service.name]
        part.unparked.append(command.key)
        body = KeyUnparked(service=service.name, command_id=command.id, by=who[0], reason=who[1])
        self._emit(part, command, Event(body), command.key, self._state(part, command.key), deque())
        for item in inputs:
            self.feed(service, item)

    # -- one decision

    def _one(self, service: Service, item: Input, queue: deque[tuple[Service, Input]]) -> None:
        part = self.parts[service.name]
        key = item.envelope.intent_id if isinstance(item, Fact) else item.key
        if self._is_parked(part, key):
            self._keep(part, key, as_record(item))
            return
        state = self._state(part, key)
        part.touched[key] = None
        try:
            if isinstance(item, Fact):
                state = service.evolve(state, item)
            decisions: Sequence[Decision] = service.decide(item, state, self.world)
        except (ScopesNeeded, KeysNeeded, LaneBroken):
            raise
        except Exception as error:
            # A bug in a decider must stop its own key only; the bytes are kept for after the repair.
            self.park(service, key, as_record(item), "DECIDE_FAILED", f"{type(error).__name__}: {error}")
            return
        part.states[key] = state
        for decision in decisions:
            match decision:
                case Event():
                    self._emit(part, item, decision, key, part.states[key], queue)
                case Dead():
                    self._dead(part, item, decision)
                case Forward():
                    self._side(part, decision.topic, decision.partition, decision.key, decision.value)

    def _emit(
        self, part: Part, item: Input, event: Event, key: bytes, state: Any, queue: deque[tuple[Service, Input]]
    ) -> None:
        service, topic = part.service, part.service.writes
        assert topic is not None, f"{service.name} has no output topic"
        target = event.key or key
        envelope = self._envelope(part, item, event, target, state)
        value = self.hosted.encode(envelope, event.body)
        if len(value) > self.view.limits.get(topic, 1 << 20):
            raise LaneBroken(f"{type(event.body).__name__} has {len(value)} bytes, {topic} takes {self.view.limits[topic]}")
        digest = event_hash(value)
        fact = Fact(topic, envelope, event.body, digest)
        part.records.append(OutRecord(envelope.seq, target, value, digest))
        part.out_seq, part.out_hash = envelope.seq, digest
        if target == key:
            part.states[key] = after = service.evolve(state, fact)
            part.touched[key] = None
            if service.react is not None and key not in self.view.open_effects and key not in self._opened:
                self._count(key, service.react(after))
        if service.lines is not None:
            for line in service.lines(fact):
                self.scopes.fold(line)
        for reader in self.hosted.readers.get(topic, ()):
            cursors = self.parts[reader.name].cursors
            if cursors[topic].last_seq == envelope.seq - 1:  # in step: hand over; otherwise it is read from the topic
                cursors[topic] = handed_over(cursors[topic], envelope.seq, digest)
                queue.append((reader, fact))

    def _envelope(self, part: Part, item: Input, event: Event, target: bytes, state: Any) -> Envelope:
        seq, cause = part.out_seq + 1, cause_of(item)
        if isinstance(item, Fact):
            source = item.envelope
            tenant, account, trace = source.tenant, source.account, source.trace_parent
        else:
            tenant, account, trace = part.service.owner(state)
        name = part.service.writes or part.service.name
        return Envelope(
            seq=seq,
            prev_hash=part.out_hash,
            event_id=derived_id(cause.id, name, seq),
            intent_id=target,
            tenant=tenant if event.tenant is None else event.tenant,
            account=account if event.account is None else event.account,
            cause=cause,
            control_seq=self.world.control.seq,
            occurred_at=self.world.now_at,
            trace_parent=trace if event.trace_parent is None else event.trace_parent,
            actor=event.actor or Actor(id=f"deedbook/{part.service.name}", kind=ActorKind.SYSTEM),
            producer=self.hosted.producer,
        )

    # -- small parts

    def _state(self, part: Part, key: bytes) -> Any:
        if key in part.states:
            return part.states[key]
        name = part.service.name
        if key not in self._asked[name]:
            raise KeysNeeded(key)
        return self._states[name].get(key, part.service.initial)

    def _is_parked(self, part: Part, key: bytes) -> bool:
        if key in part.unparked:
            return False
        return key in part.parked or key in self.view.parked[part.service.name]

    def _keep(self, part: Part, key: bytes, record: Record) -> None:
        waiting = part.parked.setdefault(key, [])
        n = self.view.parked[part.service.name].get(key, 0) + len(waiting)
        waiting.append(ParkedInput(n, record))

    def _dead(self, part: Part, item: Input, dead: Dead) -> None:
        record = as_record(item)
        value = self.hosted.dead_letter(part.service.name, dead.code, dead.reason, record)
        key = item.envelope.intent_id if isinstance(item, Fact) else item.key
        self._side(part, f"dead.{part.service.name}", self.view.lane, key, value)

    def _side(self, part: Part, topic: str, partition: int, key: bytes, value: bytes) -> None:
        part.sides.append(SideRecord(part.next_side, topic, partition, key, value))
        part.next_side += 1

    def _dispatch_free(self, effect_class: str) -> bool:
        return self.view.free.get(effect_class, 0) > self.dispatched.get(effect_class, 0)

    def _count(self, key: bytes, effect: Effect | None) -> None:
        if effect is not None:
            self._opened.add(key)
            self.dispatched[effect.effect_class] = self.dispatched.get(effect.effect_class, 0) + 1

    # -- what comes out

    def change(self, service: Service, epoch: int, published: Published, control_seq: int) -> RowChange:
        """What the commit writes for this lane and service. States that did not change are left out."""
        part, (seen, _, _, _) = self.parts[service.name], self.view.parts[service.name]
        loaded = self._states[service.name]
        states = {k: v for k, v in part.states.items() if v is not loaded.get(k, service.initial)}
        return RowChange(
            lane=self.view.lane,
            epoch=epoch,
            seen_out_seq=seen,
            out_seq=part.out_seq,
            out_hash=part.out_hash,
            published=published,
            cursors=part.cursors,
            control_seq=control_seq,
            records=part.records,
            states=states,
            sides=part.sides,
            parked=[(key, item) for key, items in part.parked.items() for item in items],
            unparked=part.unparked,
            scopes=list(self.scopes.changed.values()) if service.lines is not None else [],
        )

    def touched(self, service: Service) -> list[tuple[bytes, Any]]:
        """Keys that were looked at, with their state after the batch."""
        part = self.parts[service.name]
        return [(key, self._state(part, key)) for key in part.touched]


def derived_id(namespace: bytes, name: str, number: int) -> bytes:
    """uuid5 of a cause's id, a topic and a sequence number: 16 bytes, the same whoever computes it."""
    digest = bytearray(hashlib.sha1(namespace + name.encode() + _SEQ.pack(number), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return bytes(digest)
