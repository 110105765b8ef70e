"""What is the state of X, and why? One intent as the ledger tells it, whatever the order its topics are read in.

The state never goes back: each event has a rank, and the highest rank counts, not the last event. What is not ranked
(votes, cancellations asked for, refused commands) is in the timeline only.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from libs.contracts.events import FailureCategory, ObjectRef
from libs.ledger.service import Fact

FIRST_ENTRIES, LAST_ENTRIES = 24, 40  # of a timeline that grows too long, both ends are kept
EARLY_MAX = 8
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


class Entry(msgspec.Struct, frozen=True, array_like=True, order=True):
    """One decision about the intent. The order of fields is the order of a timeline."""

    at: int
    topic: str
    seq: int
    event_id: bytes
    event: str
    actor: str
    tenant: str
    code: str
    reason: str
    control_seq: int


class Standing(msgspec.Struct, frozen=True, array_like=True):
    """Where the intent is, and why. Compared by `rank` alone."""

    rank: tuple[int, int, int] = (0, 0, 0)
    state: State = State.UNKNOWN
    code: str = ""
    reason: str = ""


class ApprovalView(msgspec.Struct, frozen=True, array_like=True):
    """What people are asked."""

    action_digest: bytes
    needed: int
    roles: tuple[str, ...]
    expires_at: int
    display: str


class IntentView(msgspec.Struct, frozen=True, omit_defaults=True):
    """One intent. `version` grows with each fact; `stages` are (name, reached at); `positions` are (topic, seq) up to
    which this is right. `tenant` "" = not accepted yet, so nobody may see it."""

    tenant: str = ""
    account: str = ""
    tool: str = ""
    requester: str = ""
    standing: Standing = Standing()
    accepted_at: int = 0
    updated_at: int = 0
    ended_at: int = 0
    expires_at: int = 0
    version: int = 0
    attempts: int = 0
    retry_at: int = 0
    quiet_until_at: int = 0
    owner_role: str = ""
    reserved_micros: int = 0
    cost_micros: int = 0
    category: FailureCategory | None = None
    object_refs: tuple[ObjectRef, ...] = ()
    approval: ApprovalView | None = None
    approvers: tuple[str, ...] = ()
    parked: tuple[str, ...] = ()
    stages: tuple[tuple[str, int], ...] = ()
    positions: tuple[tuple[str, int], ...] = ()
    entries: tuple[Entry, ...] = ()
    dropped: int = 0
    early: tuple[Entry, ...] = ()


INITIAL = IntentView()


def add_entry(view: IntentView, entry: Entry) -> dict[str, Any]:
    """The fields that every entry changes. Which entries are kept does not depend on the order they come in."""
    entries = list(view.entries)
    insort(entries, entry)
    dropped = view.dropped
    if len(entries) > FIRST_ENTRIES + LAST_ENTRIES:
        del entries[FIRST_ENTRIES]
        dropped += 1
    positions = dict(view.positions)
    positions[entry.topic] = max(entry.seq, positions.get(entry.topic, 0))
    return {
        "entries": tuple(entries),
        "dropped": dropped,
        "positions": tuple(sorted(positions.items())),
        "version": view.version + 1,
        "updated_at": max(view.updated_at, entry.at),
    }


def entry_of(fact: Fact) -> Entry:
    """The fact as a line of the timeline."""
    envelope, body = fact.envelope, fact.body
    return Entry(
        at=envelope.occurred_at,
        topic=fact.topic,
        seq=envelope.seq,
        event_id=envelope.event_id,
        event=type(body).__name__,
        actor=envelope.actor.id,
        tenant=envelope.tenant,
        code=getattr(body, "code", ""),
        reason=getattr(body, "reason", ""),
        control_seq=envelope.control_seq,
    )


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
            return "a person to find out what happened", view.owner_role, 0
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
