"""What Deedbook answers. Moments are aware datetimes in UTC, money is whole millionths of the currency (`_micros`), and
what is not known is None or empty text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from libs.client.errors import NotSucceeded
from libs.client.intents import Intent
from libs.contracts.events import FailureCategory, Verdict


class State(StrEnum):
    """Where a deed is. The first five are on the way; an end is one only once `Deed.ended` says so."""

    PENDING = "PENDING"
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    READY = "READY"
    RUNNING = "RUNNING"
    IN_DOUBT = "IN_DOUBT"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    BLOCKED = "BLOCKED"
    DENIED = "DENIED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    REFUSED = "REFUSED"


class Consent(StrEnum):
    """What became of a request for approval."""

    GRANTED = "GRANTED"
    DENIED = "DENIED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"
    WITHDRAWN = "WITHDRAWN"


class AttemptStatus(StrEnum):
    """What is known of one call: no answer yet, took effect, had none, never called, nobody knows."""

    OPEN = "OPEN"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    NOT_SENT = "NOT_SENT"
    IN_DOUBT = "IN_DOUBT"


@dataclass(frozen=True)
class Submitted:
    """An intent that is on the log. Whether it is accepted, and what becomes of it, says `Client.wait`."""

    intent_id: str
    """A UUID, for ever: the same tenant and key give the same."""
    submission_id: str
    """A UUID of this one submission: a rejection is recorded under it."""
    topic: str
    partition: int
    offset: int
    intent: Intent
    """What was submitted."""
    sent_at: datetime
    content_digest: str
    """SHA-256 of what was asked for and by whom, 64 hex digits: it tells a repeat from other content under its key."""


@dataclass(frozen=True)
class ObjectRef:
    """An object in an outside system that a deed made or changed."""

    type: str
    id: str


@dataclass(frozen=True)
class Waiting:
    """What a deed waits for. `owner_role`: who must act; empty = no person has to. `due_at` None = for ever."""

    what: str
    owner_role: str
    due_at: datetime | None


@dataclass(frozen=True)
class Ballot:
    """One vote that counted."""

    voter: str
    approve: bool
    reason: str
    voted_at: datetime | None


@dataclass(frozen=True)
class Approval:
    """What people are asked to agree to. `display`: the arguments as they may see them (redacted JSON); a vote must
    name `action_digest` (64 hex digits). `consent` None = still open."""

    action_digest: str
    needed: int
    approvers: tuple[str, ...]
    roles: tuple[str, ...]
    expires_at: datetime | None
    display: str
    consent: Consent | None
    ballots: tuple[Ballot, ...]


@dataclass(frozen=True)
class Stage:
    """A stage of a deed's way, and when it was reached."""

    name: str
    reached_at: datetime | None


@dataclass(frozen=True)
class Position:
    """A place on the ledger."""

    topic: str
    partition: int
    seq: int


@dataclass(frozen=True)
class Entry:
    """One decision about a deed. `event_id` can be cited as evidence of a later intent."""

    position: Position
    event_id: str
    event: str
    decided_at: datetime | None
    actor: str
    code: str
    reason: str
    control_seq: int


@dataclass(frozen=True)
class Finding:
    """What one validator said."""

    validator: str
    choke_point: str
    verdict: Verdict | None
    code: str
    reason: str
    target: str


@dataclass(frozen=True)
class Attempt:
    """One call of the tool. `duration_ms` 0 = not known; `artifact`: where the raw answer is kept."""

    attempt: int
    dispatched_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    server: str
    effect_class: str
    status: AttemptStatus | None
    duration_ms: int
    code: str
    category: FailureCategory | None
    reason: str
    artifact: str
    response_digest: str


@dataclass(frozen=True)
class Doubt:
    """Nobody knows whether an attempt took effect. `applied` None = still nobody does; before `quiet_until` 'it is not
    there' must not be believed."""

    attempt: int
    began_at: datetime | None
    code: str
    reason: str
    quiet_until: datetime | None
    owner_role: str
    applied: bool | None
    resolved_at: datetime | None
    by: str
    evidence: str


@dataclass(frozen=True)
class Progress:
    """How far a long call says it is, 0 to 100 percent."""

    attempt: int
    percent: int
    message: str
    reported_at: datetime | None


@dataclass(frozen=True)
class Money:
    """What became of a deed's money. None = that has not happened."""

    set_aside_micros: int
    settled_micros: int | None
    released_micros: int | None
    corrected_micros: int | None


@dataclass(frozen=True)
class Deed:
    """An intent and what became of it, as the ledger tells it. In lists without timeline, findings and tries."""

    intent_id: str
    key: str
    account: str
    tool: str
    capability: str
    requester: str
    state: State
    overdue: bool
    """Past its expiry and still not ended."""
    version: int
    """Grows with each change."""
    code: str
    """Stable, of why it is where it is; empty on success."""
    reason: str
    remedy: str
    """What to do about `code`, as it stands: of a deed in doubt never to submit it again."""
    category: FailureCategory | None
    created_at: datetime | None
    updated_at: datetime | None
    expires_at: datetime | None
    ended_at: datetime | None
    attempts: int
    """How often the tool was dispatched."""
    price_micros: int
    """The most that it may cost, once it is allowed."""
    reserved_micros: int
    """Held for it now."""
    cost_micros: int
    refs: tuple[ObjectRef, ...]
    waiting: Waiting | None
    approval: Approval | None
    stages: tuple[Stage, ...]
    timeline: tuple[Entry, ...]
    timeline_dropped: int
    """Entries left out in the middle of a very long timeline; the ledger has them."""
    positions: tuple[Position, ...]
    """The ledger positions up to which this is right."""
    trace_parent: str
    findings: tuple[Finding, ...]
    """What each validator said."""
    rechecks: tuple[Finding, ...]
    """What they said at the last look before the call."""
    tries: tuple[Attempt, ...]
    doubt: Doubt | None
    progress: Progress | None
    money: Money | None

    @property
    def ended(self) -> bool:
        """Is its outcome on the ledger? The money may still be settled a moment later."""
        return self.ended_at is not None

    @property
    def waits_for_human(self) -> bool:
        """Does nothing happen before a person acts? If it is to agree, `approval` says to what."""
        return self.waiting is not None and self.waiting.owner_role != ""

    @property
    def summary(self) -> str:
        """What the tool said at its last call, 200 characters at most; empty in lists."""
        return self.tries[-1].reason if self.tries else ""

    def succeeded_or_raise(self) -> Deed:
        """This deed if it was carried out. Raises NotSucceeded, also when it has not ended."""
        if self.state is not State.SUCCEEDED:
            raise NotSucceeded(self)
        return self
