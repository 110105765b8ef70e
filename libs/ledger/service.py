"""What a service gives the lane: pure functions and one row of facts. The lane gives back exactly-once, ordered,
fenced, chained and recoverable processing; a service sees none of that.

    decide(input, state, world) -> decisions      what happens because of this input
    evolve(state, fact) -> state                  how a fact (own, or of a chained input) changes the state
    waits(state) -> Waiting | None                what the state waits for, and until when
    react(state) -> Effect | None                 the effect that the state asks for (execution only)

A chained input is folded by `evolve` *before* `decide` sees the state, so `decide` asks 'is everything there now?'.
Commands, submissions, results and timers change the state only through the events that `decide` gives (rule 24).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from libs.contracts.events import Actor, Cause, Envelope

IN_TRANSACTION = "written in a Kafka transaction, of which nobody knows here whether it will be committed"


class Fact(msgspec.Struct, frozen=True):
    """An event of a ledger topic as readers see it: `body` is one of the generated event structs."""

    topic: str
    envelope: Envelope
    body: Any
    hash: bytes


class Record(msgspec.Struct, frozen=True):
    """One Kafka record, as fetched. `timestamp_at` is the broker's time in microseconds. `flaw`: why it stands for
    something that cannot be read, with nothing of its content; '' = it is as it was sent."""

    topic: str
    partition: int
    offset: int
    timestamp_at: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()
    flaw: str = ""


class Command(msgspec.Struct, frozen=True):
    """An unchained input after `prepare`: the key it concerns and the service's own typed content."""

    key: bytes
    body: Any
    record: Record
    id: bytes  # command id or submission id: names the cause in the envelope
    patient: bool = False  # nothing follows from it but a refusal: it may wait a moment, to share a round with others
    trace_parent: str = ""  # of the intent, where no state knows it yet


class DueKind(StrEnum):
    """Why a key is looked at again without a record."""

    TIMER = "TIMER"  # its deadline has come
    READY = "READY"  # capacity became free, or the control ledger changed


class Due(msgspec.Struct, frozen=True):
    """A deadline of `waits` has passed, or READY work is looked at again."""

    key: bytes
    kind: DueKind


class Recover(msgspec.Struct, frozen=True):
    """After a claim: this key has a dispatch without a result (rule 19). `started`: the tool may have been called.
    `quiet_until_at`: before this moment an 'absent' is not believed."""

    key: bytes
    attempt: int
    started: bool
    first_started_at: int | None
    quiet_until_at: int


class Result(msgspec.Struct, frozen=True):
    """An effect of this process has ended. `answer` is a `ToolAnswer`."""

    key: bytes
    attempt: int
    answer: Any


class Stopped(msgspec.Struct, frozen=True):
    """The gate stopped a dispatch; the tool was provably not called (rule 18)."""

    key: bytes
    attempt: int
    code: str
    reason: str


Input = Fact | Command | Due | Recover | Result | Stopped


class Event(msgspec.Struct, frozen=True):
    """A decision to be recorded. The lane adds the envelope. `actor` None means the service itself.
    tenant/account/trace_parent None: taken from the causing fact or from the owner fields of the state (`owner`)."""

    body: Any
    actor: Actor | None = None
    tenant: str | None = None
    account: str | None = None
    trace_parent: str | None = None
    key: bytes | None = None  # only where the event concerns another key than its input (a refused repeat)


class Dead(msgspec.Struct, frozen=True):
    """The input goes to `dead.<service>` with its original bytes."""

    code: str
    reason: str


class Forward(msgspec.Struct, frozen=True):
    """The submission belongs to another lane: `value` is published to `topic`/`partition`, at least once (rule 23)."""

    topic: str
    partition: int
    key: bytes
    value: bytes


Decision = Event | Dead | Forward


class WaitKind(StrEnum):
    """What a key waits for. READY: for capacity or a switch. DISPATCHED: for an answer. TIMER: for its deadline."""

    READY = "READY"
    DISPATCHED = "DISPATCHED"
    TIMER = "TIMER"


class Waiting(msgspec.Struct, frozen=True):
    """One row of the index of all that waits. `due_at` None = no deadline of its own (IN_DOUBT: owned by a role)."""

    kind: WaitKind
    attempt: int = 0
    due_at: int | None = None
    why: str = ""  # shown by `deed stuck`: what it waits for, in words
    owner: str = ""  # the role that must act, if a human must


class Effect(msgspec.Struct, frozen=True):
    """One call of a tool. `expires_at`: nothing starts at or after it. `stop_code` set: the gate must not start it
    (cancelled, withdrawn); ends as not sent. `query`: it asks about the call of `tool` with these arguments, and
    changes nothing. `control_seq`: of the view that it was decided under; 0 = whatever is registered now is called."""

    key: bytes
    attempt: int
    tool: str
    server: str
    arguments: str
    effect_class: str
    timeout_ms: int
    expires_at: int
    tenant: str
    account: str
    capability: str
    trace_parent: str = ""
    stop_code: str = ""
    stop_reason: str = ""
    query: bool = False
    control_seq: int = 0


class ScopeRow(msgspec.Struct, frozen=True):
    """One stripe of a budget scope (architecture.md, budget). Version 0 = the row does not exist yet."""

    scope: str
    stripe: int
    version: int = 0
    share_micros: int = 0
    pending_micros: int = 0
    posted_micros: int = 0
    frozen: bool = False
    cap_seq: int = 0


class ScopesNeeded(Exception):
    """Raised by `Scopes.own` / `Scopes.all` when rows are not in memory: the lane loads them and decides anew."""

    def __init__(self, scope: str) -> None:
        super().__init__(scope)
        self.scope = scope


class NotYet(Exception):
    """Raised by `prepare` for a record that can be judged in a moment: it and what follows in its topic is offered
    again. Whoever raises it bounds the time."""


Citation = tuple[bytes, bytes]  # the intent that an event is about, and the event's id


class CitedNeeded(Exception):
    """Raised by `decide` when `world.cited` has no answer for these yet: the lane looks them up and decides anew."""

    def __init__(self, citations: Sequence[Citation]) -> None:
        super().__init__(f"{len(citations)} citations")
        self.citations = tuple(citations)


class Scopes(Protocol):
    """The lane's view of the striped budget scopes. Rows change only by `fold` (called by the lane for the
    ScopeLines of own events). `stripe` is the lane's own stripe, `stripes` the number of lanes."""

    stripe: int
    stripes: int

    def own(self, scope: str) -> ScopeRow:
        """This lane's stripe. Raises ScopesNeeded when unknown."""
        ...

    def all(self, scope: str) -> tuple[ScopeRow, ...]:
        """All stripes, in order, existing or with version 0. Raises ScopesNeeded when not fully known."""
        ...


@dataclass(frozen=True)
class World:
    """What a decision needs of the world. `now_at`: database time in microseconds. `control`: ControlView of
    libs/governance/control.py (its `seq` goes into each event). `dispatch_free`: how many effects may still be
    dispatched in this batch, by effect class. `lanes`: number of lanes; `lane`: this one."""

    now_at: int
    control: Any
    lane: int
    lanes: int
    scopes: Any = None
    dispatch_free: Callable[[str], bool] = lambda effect_class: True
    owned: Mapping[str, Any] = field(default_factory=dict)  # things the process owns: key sets, secrets, settings
    # Whose the cited events are: a tenant, "" = there is no such event, None = nobody could be asked.
    cited: Mapping[Citation, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Prepared:
    """What `prepare` makes of a raw record: the command, or None when the record is not for this service."""

    command: Command | None


@dataclass(frozen=True)
class Service:
    """One row of the routing table. `commands` are unchained topics, `reads` chained ones, `writes` the one
    output topic (None: a projection, which only folds and is never asked to decide)."""

    name: str
    writes: str | None
    reads: tuple[str, ...]
    commands: tuple[str, ...]
    initial: Any
    state_type: type
    decide: Callable[[Any, Any, World], Sequence[Decision]]
    evolve: Callable[[Any, Fact], Any]
    waits: Callable[[Any], Waiting | None] | None = None
    react: Callable[[Any], Effect | None] | None = None
    prepare: Callable[[Record, World], Prepared] | None = None
    owner: Callable[[Any], tuple[str, str, str]] = lambda state: ("", "", "")  # tenant, account, trace_parent
    index: Callable[[Any], Mapping[str, Any] | None] | None = None  # status: columns to list by
    lines: Callable[[Fact], Sequence[Any]] | None = None  # budget: the ScopeLines of an own event
    heeds: frozenset[type] | None = None  # the only events of others that can change anything here; None = all
    needs_control: bool = True  # decides only with a fresh view of the control ledger
    state_format: int = 1  # of what it writes; it reads all before (rule 25: written once the floor is raised to it)


def means_something(service: Service, fact: Fact) -> bool:
    """Events that a service does not heed only move its position."""
    return service.heeds is None or type(fact.body) in service.heeds


def key_of(item: Input) -> bytes:
    """The key that an input concerns."""
    return item.envelope.intent_id if isinstance(item, Fact) else item.key


def cause_of(item: Input) -> Cause:
    """The cause that the envelope names: topic and position of the input, and its id."""
    match item:
        case Fact():
            return Cause(topic=item.topic, position=item.envelope.seq, id=item.envelope.event_id)
        case Command():
            return Cause(topic=item.record.topic, position=item.record.offset, id=item.id)
        case Due():
            return Cause(topic=f"timer/{item.kind}", position=0, id=item.key)
        case Recover() | Result() | Stopped():
            return Cause(topic="effect", position=item.attempt, id=item.key)
