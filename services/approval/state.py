"""What approval knows of a request, and how each fact changes it. Facts of other topics are folded in any order; own
ones come in theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import msgspec

from libs.contracts.events import (
    ApprovalCancelled,
    ApprovalDenied,
    ApprovalExpired,
    ApprovalGranted,
    ApprovalRequested,
    ApprovalVoted,
    ApprovalWithdrawn,
    CancelRequested,
    CommandRejected,
    ExecutionCancelled,
    ExecutionDispatched,
    ExecutionExpired,
    ExecutionFailed,
    ExecutionRefused,
    ExecutionResolved,
    ExecutionSucceeded,
    IntentAllowed,
    Vote,
)
from libs.governance.commands import Marks, is_refusal_alone, noted, remember, without
from libs.ledger.service import Fact, Waiting, WaitKind

OWN = "ledger.approval"
_ENDINGS = (
    ExecutionCancelled | ExecutionExpired | ExecutionFailed | ExecutionRefused | ExecutionResolved | ExecutionSucceeded
)


class Phase(StrEnum):
    """Where a request is."""

    NONE = "NONE"
    REQUESTED = "REQUESTED"
    GRANTED = "GRANTED"
    DENIED = "DENIED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"
    WITHDRAWN = "WITHDRAWN"


class Terms(msgspec.Struct, frozen=True):
    """What people are asked, and who may answer. `deadline_at`: for their answer; `expires_at`: of the intent."""

    action_digest: bytes
    needed: int
    roles: tuple[str, ...]
    requester: str
    deadline_at: int
    expires_at: int


class ApprovalState(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request. `used`: a dispatch named it; `ended`: the deed has ended, nothing can be asked any more."""

    phase: Phase = Phase.NONE
    tenant: str = ""
    account: str = ""
    trace_parent: str = ""
    terms: Terms | None = None
    approvers: tuple[str, ...] = ()
    cancels: Marks = ()
    used: bool = False
    ended: bool = False
    seen: tuple[bytes, ...] = ()


INITIAL = ApprovalState()


def waits(state: ApprovalState) -> Waiting | None:
    """A request waits for people, until its deadline."""
    if state.phase is not Phase.REQUESTED or state.ended or state.terms is None:
        return None
    roles = ", ".join(state.terms.roles)
    return Waiting(WaitKind.TIMER, due_at=state.terms.deadline_at, why="approval by people", owner=roles)


def owner(state: ApprovalState) -> tuple[str, str, str]:
    """Tenant, account and trace of the intent."""
    return state.tenant, state.account, state.trace_parent


def evolve(state: ApprovalState, fact: Fact) -> ApprovalState:
    """The state after a fact. Never raises, never decides."""
    change = _CHANGES.get(type(fact.body))
    if change is None or is_refusal_alone(fact):
        return state
    seen = remember(state.seen, fact.envelope) if fact.topic == OWN else state.seen
    if not state.ended:
        state = change(state, fact, fact.body)
    return state if seen == state.seen else msgspec.structs.replace(state, seen=seen)


def _allowed(state: ApprovalState, fact: Fact, body: IntentAllowed) -> ApprovalState:
    if not body.human_required:
        return state
    envelope = fact.envelope
    terms = Terms(
        action_digest=body.action_digest,
        needed=body.approvals_needed,
        roles=body.approver_roles,
        requester=body.requester,
        deadline_at=min(body.expires_at, body.approval_expires_at or body.expires_at),
        expires_at=body.expires_at,
    )
    return msgspec.structs.replace(
        state,
        tenant=envelope.tenant,
        account=envelope.account,
        trace_parent=envelope.trace_parent,
        terms=terms if _is_open(state) else None,
    )


def _is_open(state: ApprovalState) -> bool:
    return state.phase in (Phase.NONE, Phase.REQUESTED, Phase.GRANTED)


def _moved(phase: Phase) -> Callable[[ApprovalState, Fact, Any], ApprovalState]:
    def change(state: ApprovalState, fact: Fact, body: Any) -> ApprovalState:
        state = msgspec.structs.replace(state, phase=phase)
        if _is_open(state):
            return state
        return msgspec.structs.replace(state, terms=None, approvers=(), cancels=())

    return change


def _granted(state: ApprovalState, fact: Fact, body: ApprovalGranted) -> ApprovalState:
    return msgspec.structs.replace(state, phase=Phase.GRANTED, approvers=body.approvers, cancels=())


def _voted(state: ApprovalState, fact: Fact, body: ApprovalVoted) -> ApprovalState:
    if body.vote is not Vote.APPROVE:
        return state
    return msgspec.structs.replace(state, approvers=(*state.approvers, body.voter))


def _cancel_noted(state: ApprovalState, fact: Fact, body: CancelRequested) -> ApprovalState:
    if state.phase not in (Phase.NONE, Phase.REQUESTED):
        return state
    return msgspec.structs.replace(state, cancels=noted(state.cancels, body, fact.envelope))


def _rejected(state: ApprovalState, fact: Fact, body: CommandRejected) -> ApprovalState:
    """Execution found that a cancellation it had noted was nobody's to give."""
    left = without(state.cancels, body.command_id)
    return state if left is state.cancels else msgspec.structs.replace(state, cancels=left)


def _dispatched(state: ApprovalState, fact: Fact, body: ExecutionDispatched) -> ApprovalState:
    if body.approval_id is None or state.used:
        return state
    return msgspec.structs.replace(state, used=True)


def _ended(state: ApprovalState, fact: Fact, body: Any) -> ApprovalState:
    """Only what a person was asked about is kept: of an attempt, the dispatch before it has said so; without one, it
    must be noted, because our own events may still be to come."""
    if body.attempt > 0 and not state.used:
        return state
    envelope = fact.envelope
    return ApprovalState(
        tenant=envelope.tenant,
        account=envelope.account,
        trace_parent=envelope.trace_parent,
        ended=True,
        seen=state.seen,
    )


_CHANGES: Mapping[type, Callable[[ApprovalState, Fact, Any], ApprovalState]] = {
    IntentAllowed: _allowed,
    ApprovalRequested: _moved(Phase.REQUESTED),
    ApprovalVoted: _voted,
    ApprovalGranted: _granted,
    ApprovalDenied: _moved(Phase.DENIED),
    ApprovalExpired: _moved(Phase.EXPIRED),
    ApprovalCancelled: _moved(Phase.CANCELLED),
    ApprovalWithdrawn: _moved(Phase.WITHDRAWN),
    CancelRequested: _cancel_noted,
    CommandRejected: _rejected,
    ExecutionDispatched: _dispatched,
    **dict.fromkeys(_ENDINGS.__args__, _ended),
}
HEEDS = frozenset(_CHANGES)
