"""What is the state of X, and why? One intent as the ledger tells it, whatever the order its topics are read in.

The state never goes back: each event has a rank, and the highest rank counts, not the last event. Only the outcome ends
an intent; until it is recorded an intent is where its attempts are, or where it waits (G5).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from libs.contracts.events import ChokePoint, EffectClass, FailureCategory, ObjectRef, Verdict, Vote
from services.status.submissions import Origin, Rejection
from services.status.timeline import Entry

__all__ = [
    "INITIAL",
    "RESERVED",
    "ApprovalView",
    "Ballot",
    "Consent",
    "Doubt",
    "Entry",
    "Finding",
    "IntentView",
    "Origin",
    "Progress",
    "Rejection",
    "Standing",
    "State",
    "Tally",
    "Try",
    "TryStatus",
    "error_category",
    "index",
    "is_ended",
    "is_overdue",
    "waiting",
]

RESERVED = 40  # rank of an intent whose money is set aside


class State(StrEnum):
    """Where an intent is. The names are those of the status API."""

    UNKNOWN = "UNKNOWN"
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


class Standing(msgspec.Struct, frozen=True, array_like=True):
    """Where the intent is, and why. Compared by `rank` alone."""

    rank: tuple[int, int, int] = (0, 0, 0)
    state: State = State.UNKNOWN
    code: str = ""
    reason: str = ""


class Finding(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one validator said."""

    validator: str
    choke_point: ChokePoint
    verdict: Verdict
    code: str
    reason: str
    target: str


class ApprovalView(msgspec.Struct, frozen=True, array_like=True):
    """What people are asked. `display`: the arguments as they may see them."""

    action_digest: bytes
    needed: int
    roles: tuple[str, ...]
    expires_at: int
    display: str


class Ballot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A vote that counted."""

    at: int
    voter: str
    vote: Vote
    reason: str


class Consent(StrEnum):
    """What became of the request for approval."""

    NONE = "NONE"
    GRANTED = "GRANTED"
    DENIED = "DENIED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"
    WITHDRAWN = "WITHDRAWN"


class TryStatus(StrEnum):
    """What is known of one attempt."""

    OPEN = "OPEN"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    NOT_SENT = "NOT_SENT"
    IN_DOUBT = "IN_DOUBT"


class Try(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One attempt. `started_at` and `duration_ms` 0 = not known; `artifact`: where the raw answer is kept."""

    attempt: int
    dispatched_at: int
    server: str
    effect_class: EffectClass
    status: TryStatus = TryStatus.OPEN
    ended_at: int = 0
    started_at: int = 0
    duration_ms: int = 0
    code: str = ""
    category: FailureCategory | None = None
    reason: str = ""
    artifact: str = ""
    response_digest: bytes | None = None


class Doubt(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Nobody knows whether an attempt took effect; `applied` None = still nobody does."""

    attempt: int
    at: int
    code: str
    reason: str
    quiet_until_at: int
    owner_role: str
    applied: bool | None = None
    resolved_at: int = 0
    by: str = ""
    evidence: str = ""


class Progress(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How far a long call says it is."""

    attempt: int
    percent: int
    message: str
    at: int


class Tally(msgspec.Struct, frozen=True, array_like=True):
    """Of facts: how many, the last time, (topic, seq) of the last ones, and the timeline."""

    version: int = 0
    updated_at: int = 0
    positions: tuple[tuple[str, int], ...] = ()
    entries: tuple[Entry, ...] = ()
    dropped: int = 0


class IntentView(msgspec.Struct, frozen=True, omit_defaults=True):
    """One intent. `version` counts its facts; `stages` are (name, reached at); `positions` are (topic, seq) up to which
    this is right. `tenant` "" = not accepted yet, so nobody may see it. Facts that name another tenant do not count
    (`counting.py`): `foreign` says how far they were read.

    Money: `price_micros` is the most that it may cost, `set_aside_micros` what was reserved, `reserved_micros` what of
    it is still held; `settled_micros`, `released_micros` and `corrected_micros` are None until they happen;
    `cost_micros` is the outcome's."""

    tenant: str = ""
    account: str = ""
    tool: str = ""
    requester: str = ""
    capability: str = ""
    idempotency_key: str = ""
    trace_parent: str = ""
    standing: Standing = Standing()
    accepted_at: int = 0
    updated_at: int = 0
    ended_at: int = 0
    expires_at: int = 0
    version: int = 0
    closing: bool = False  # decided, though the outcome is not recorded yet
    findings: tuple[Finding, ...] = ()
    rechecks: tuple[Finding, ...] = ()  # of the last look before a call
    approval: ApprovalView | None = None
    approvers: tuple[str, ...] = ()
    ballots: tuple[Ballot, ...] = ()
    consent: Consent = Consent.NONE
    price_micros: int = 0
    set_aside_micros: int = 0
    reserved_micros: int = 0
    settled_micros: int | None = None
    released_micros: int | None = None
    corrected_micros: int | None = None
    attempts: int = 0
    tries: tuple[Try, ...] = ()
    retry_at: int = 0
    category: FailureCategory | None = None
    doubt: Doubt | None = None
    progress: Progress | None = None
    cost_micros: int = 0
    object_refs: tuple[ObjectRef, ...] = ()
    parked: tuple[str, ...] = ()
    stages: tuple[tuple[str, int], ...] = ()
    positions: tuple[tuple[str, int], ...] = ()
    entries: tuple[Entry, ...] = ()
    dropped: int = 0
    foreign: tuple[tuple[str, int], ...] = ()
    early: Mapping[str, Tally] = {}  # by the tenant that each fact names, until it is known whose intent it is
    origin: Origin | None = None
    rejection: Rejection | None = None  # this is no intent, but a submission that was refused


INITIAL = IntentView()


# -- what readers ask


def index(view: IntentView) -> Mapping[str, Any] | None:
    """Columns to list by; None = nobody's yet."""
    if not view.tenant:
        return None
    return {"tenant": view.tenant, "account": view.account, "at": view.accepted_at, "label": view.standing.state.value}


def is_ended(view: IntentView) -> bool:
    """Has its outcome been recorded?"""
    return view.ended_at > 0


def is_overdue(view: IntentView, now_at: int) -> bool:
    """Past its expiry and not ended: shown as such, never as expired before the ledger says so."""
    return bool(view.expires_at) and now_at >= view.expires_at and not is_ended(view)


def waiting(view: IntentView) -> tuple[str, str, int] | None:
    """What it waits for, the role that must act ("" = none), and until when (0 = no end); None = it does not wait."""
    if view.parked:
        return f"a repair of {', '.join(view.parked)}", "operator", 0
    if view.closing and not is_ended(view):
        return "its outcome to be recorded", "", 0
    match view.standing.state:
        case State.PENDING:
            return "validation", "", view.expires_at
        case State.AWAITING_APPROVAL:
            asked = view.approval
            return "approval by people", ", ".join(asked.roles) if asked else "", asked.expires_at if asked else 0
        case State.READY:
            return ("its turn" if view.standing.rank[0] >= RESERVED else "budget"), "", view.expires_at
        case State.RUNNING if view.retry_at:
            return "the next attempt", "", view.retry_at
        case State.RUNNING:
            return "the tool's answer", "", 0
        case State.IN_DOUBT:
            return "a person to find out what happened", view.doubt.owner_role if view.doubt else "", 0
        case _:
            return None


def error_category(view: IntentView) -> FailureCategory | None:
    """Why it failed, by category; None = it did not."""
    match view.standing.state:
        case State.FAILED:
            return view.category or FailureCategory.PERMANENT
        case State.EXPIRED:
            return FailureCategory.TRANSIENT
        case State.BLOCKED | State.DENIED | State.CANCELLED | State.REFUSED:
            return FailureCategory.POLICY
        case _:
            return None
