"""Given, when, then for deciders: a desk that hosts services without lane, log and database.

Every event that a service decides is encoded as on the log, folded into its own state, and queued for its readers. In
which order the queues are served is the test's choice, so that any interleaving of topics can be played.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from libs.contracts.events import Actor, ActorKind, Envelope, ScopeLine
from libs.governance.control import ControlView
from libs.ledger.codec import encode_event
from libs.ledger.service import (
    Command,
    Dead,
    Decision,
    Due,
    DueKind,
    Effect,
    Event,
    Fact,
    Forward,
    Input,
    Record,
    Recover,
    Result,
    ScopeRow,
    Service,
    Stopped,
    Waiting,
    World,
    cause_of,
    means_something,
)
from libs.testkit.samples import NOW, ZERO

Queue = tuple[str, str]  # reader, topic
Choose = Callable[[Sequence[Queue]], Queue]


class Stripes:
    """All stripes of all scopes in memory, seen from one lane."""

    def __init__(self, stripes: int = 8, stripe: int = 0, rows: dict[tuple[str, int], ScopeRow] | None = None) -> None:
        self.stripes, self.stripe = stripes, stripe
        self.rows: dict[tuple[str, int], ScopeRow] = {} if rows is None else rows

    def own(self, scope: str) -> ScopeRow:
        return self.rows.get((scope, self.stripe)) or ScopeRow(scope, self.stripe)

    def all(self, scope: str) -> tuple[ScopeRow, ...]:
        return tuple(self.rows.get((scope, n)) or ScopeRow(scope, n) for n in range(self.stripes))

    def fold(self, line: ScopeLine) -> None:
        before = self.rows.get((line.scope, line.stripe)) or ScopeRow(line.scope, line.stripe)
        assert line.version == before.version + 1, f"{line} after {before}"
        fields = {name: getattr(line, name) for name in ScopeRow.__struct_fields__}
        self.rows[(line.scope, line.stripe)] = ScopeRow(**fields)


class Desk:
    """Services that talk to each other. States are kept as the lane keeps them: written when they are another object,
    and read back from bytes."""

    def __init__(
        self,
        services: Iterable[Service],
        control: ControlView,
        owned: Mapping[str, Any] | None = None,
        scopes: Stripes | None = None,
        lane: tuple[int, int] = (0, 1),
    ) -> None:
        self.services = {service.name: service for service in services}
        self.scopes = scopes or Stripes()
        self.capacity = 1_000_000
        self.world = World(
            now_at=NOW,
            control=control,
            lane=lane[0],
            lanes=lane[1],
            scopes=self.scopes,
            dispatch_free=lambda effect_class: self.capacity > len(self.effects()),
            owned=owned or {},
        )
        self.states: dict[tuple[str, bytes], bytes] = {}
        self.queues: dict[Queue, deque[Fact]] = {}
        self.seqs: dict[str, int] = {}
        self.facts: list[Fact] = []
        self.dead: list[tuple[str, Dead]] = []
        self.forwards: list[Forward] = []

    # -- given

    def at(self, now_at: int) -> Desk:
        """Time goes on."""
        self.world = replace(self.world, now_at=now_at)
        return self

    def under(self, control: ControlView) -> Desk:
        """Another view of what is in force."""
        self.world = replace(self.world, control=control)
        return self

    # -- when

    def tell(self, name: str, item: Input) -> list[Decision]:
        """Give an input to a service; its events are recorded and queued for their readers."""
        service, key = self.services[name], _key(item)
        before = state = self.state(name, key)
        if isinstance(item, Fact):
            state = self._keep(service, key, state, service.evolve(state, item))
        decisions = list(service.decide(item, state, self.world))
        if isinstance(item, Fact) and not means_something(service, item):
            assert (state, decisions) == (before, []), f"{name} should heed {type(item.body).__name__}"
        for decision in decisions:
            match decision:
                case Event():
                    self._record(service, item, decision, key)
                case Dead():
                    self.dead.append((name, decision))
                case Forward():
                    self.forwards.append(decision)
        return decisions

    def command(self, body: Any, offset: int = 0) -> list[Decision]:
        """A command on `commands`, prepared by every service that answers some of them."""
        record = Record("commands", self.world.lane, offset, self.world.now_at, body.intent_id, b"")
        item = Command(key=body.intent_id, body=body, record=record, id=body.command_id)
        names = {"ApprovalVote": "approval", "WithdrawApproval": "approval"}
        return self.tell(names.get(type(body).__name__, "execution"), item)

    def arrive(self, name: str, record: Record) -> list[Decision]:
        """A raw record for a service."""
        service = self.services[name]
        assert service.prepare is not None
        item = service.prepare(record, self.world).command
        return [] if item is None else self.tell(name, item)

    def due(self, name: str, key: bytes, kind: DueKind = DueKind.TIMER) -> list[Decision]:
        """A deadline has come, or capacity is free."""
        return self.tell(name, Due(key, kind))

    def result(self, key: bytes, answer: Any, attempt: int = 1) -> list[Decision]:
        """The tool's answer."""
        return self.tell("execution", Result(key, attempt, answer))

    def run(self, choose: Choose = lambda queues: queues[0]) -> Desk:
        """Serve the queues until all are empty."""
        while self.step(choose):
            pass
        return self

    def step(self, choose: Choose = lambda queues: queues[0]) -> bool:
        """Serve one queue; False when all are empty."""
        waiting = self.queues_waiting()
        if not waiting:
            return False
        name, topic = choose(waiting)
        self.tell(name, self.queues[(name, topic)].popleft())
        return True

    # -- then

    def queues_waiting(self) -> list[Queue]:
        """Queues that hold facts."""
        return sorted(queue for queue, facts in self.queues.items() if facts)

    def state(self, name: str, key: bytes) -> Any:
        """A service's state of a key, as it would be loaded."""
        raw, service = self.states.get((name, key)), self.services[name]
        return service.initial if raw is None else msgspec.msgpack.decode(raw, type=service.state_type)

    def names(self, key: bytes | None = None, topic: str = "") -> list[str]:
        """Types of the recorded events in their order."""
        return [type(fact.body).__name__ for fact in self.of(key, topic)]

    def of(self, key: bytes | None = None, topic: str = "") -> list[Fact]:
        """The recorded events of a key or topic."""
        return [f for f in self.facts if key in (None, f.envelope.intent_id) and topic in ("", f.topic)]

    def last(self, kind: type[Any]) -> Any:
        """The last recorded event of a type."""
        return next(fact.body for fact in reversed(self.facts) if isinstance(fact.body, kind))

    def waits(self, name: str, key: bytes) -> Waiting | None:
        """What a key waits for."""
        waits = self.services[name].waits
        return waits(self.state(name, key)) if waits is not None else None

    def effects(self) -> list[Effect]:
        """The calls that are asked for now."""
        found = []
        for (name, key), _ in self.states.items():
            react = self.services[name].react
            if react is not None and (effect := react(self.state(name, key))):
                found.append(effect)
        return found

    # -- small parts

    def _keep(self, service: Service, key: bytes, before: Any, after: Any) -> Any:
        if after is not before:
            self.states[(service.name, key)] = msgspec.msgpack.encode(after)
        return after

    def _record(self, service: Service, item: Input, event: Event, key: bytes) -> None:
        topic, target = service.writes or "", event.key or key
        seq = self.seqs[topic] = self.seqs.get(topic, 0) + 1
        state = self.state(service.name, key)
        fact = Fact(topic, self._envelope(service, item, event, (seq, target, state)), event.body, ZERO)
        encode_event(fact.envelope, fact.body)
        self.facts.append(fact)
        before = state if target == key else self.state(service.name, target)
        self._keep(service, target, before, service.evolve(before, fact))
        for line in service.lines(fact) if service.lines else ():
            self.scopes.fold(line)
        for reader in self.services.values():
            if topic in reader.reads:
                self.queues.setdefault((reader.name, topic), deque()).append(fact)

    def _envelope(self, service: Service, item: Input, event: Event, place: tuple[int, bytes, Any]) -> Envelope:
        seq, target, state = place
        if isinstance(item, Fact):
            owner = (item.envelope.tenant, item.envelope.account, item.envelope.trace_parent)
        else:
            owner = service.owner(state)
        given = (event.tenant, event.account, event.trace_parent)
        tenant, account, trace = (was if new is None else new for new, was in zip(given, owner, strict=True))
        return Envelope(
            seq=seq,
            prev_hash=ZERO,
            event_id=hashlib.sha256(f"{service.writes}/{seq}".encode()).digest()[:16],
            intent_id=target,
            tenant=tenant,
            account=account,
            cause=cause_of(item),
            control_seq=self.world.control.seq,
            occurred_at=self.world.now_at,
            trace_parent=trace,
            actor=event.actor or Actor(f"deedbook/{service.name}", ActorKind.SYSTEM),
            producer="test",
        )


def replay(service: Service, facts: Iterable[Fact]) -> Any:
    """The state after facts alone, as a rebuild folds them."""
    state = service.initial
    for fact in facts:
        state = service.evolve(state, fact)
    return state


def _key(item: Input) -> bytes:
    match item:
        case Fact():
            return item.envelope.intent_id
        case Command() | Due() | Recover() | Result() | Stopped():
            return item.key
