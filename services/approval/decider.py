"""Does a human agree to exactly this? N of M people with a role, never the requester, bound to the action's digest.

    (none) --IntentAllowed, human required--> REQUESTED --enough votes--> GRANTED --> WITHDRAWN
                                                  +--> DENIED | EXPIRED | CANCELLED
    any --the deed has ended--> ended

Approval holds the intent while it waits, so it owns that deadline: silence is a refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import msgspec

from libs.contracts.events import (
    ActorKind,
    ApprovalCancelled,
    ApprovalDenied,
    ApprovalExpired,
    ApprovalGranted,
    ApprovalRequested,
    ApprovalVote,
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
    WithdrawApproval,
)
from libs.governance.commands import CancelMark, actor_of, may_see, read_command, reject, reject_unknown, remember
from libs.ledger.service import (
    Command,
    Decision,
    Due,
    Event,
    Fact,
    Input,
    Prepared,
    Record,
    Waiting,
    WaitKind,
    World,
)

OVERRIDING_ROLES = ("operator", "admin")  # may take back what others granted
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
    cancel: CancelMark | None = None
    used: bool = False
    ended: bool = False
    seen: tuple[bytes, ...] = ()


INITIAL = ApprovalState()


# -- decisions


def decide(item: Input, state: ApprovalState, world: World) -> list[Decision]:
    """Asks when validation wants it; then answers votes, withdrawals, cancellations and the deadline."""
    match item:
        case Fact(body=IntentAllowed() as body) if body.human_required and state.phase is Phase.NONE and state.terms:
            return _request(body, state, state.terms, world.now_at)
        case Fact(body=CancelRequested()) if state.phase is Phase.REQUESTED:
            return _cancelled(state)
        case Due() if _is_late(state, world.now_at):
            return [_expired()]
        case Command(body=ApprovalVote() | WithdrawApproval()) if item.id not in state.seen:
            return _answer(item, state, world.now_at)
        case _:
            return []


def waits(state: ApprovalState) -> Waiting | None:
    """A request waits for people, until its deadline."""
    if state.phase is not Phase.REQUESTED or state.ended or state.terms is None:
        return None
    roles = ", ".join(state.terms.roles)
    return Waiting(WaitKind.TIMER, due_at=state.terms.deadline_at, why="approval by people", owner=roles)


def owner(state: ApprovalState) -> tuple[str, str, str]:
    """Tenant, account and trace of the intent."""
    return state.tenant, state.account, state.trace_parent


def prepare(record: Record, world: World) -> Prepared:
    """Votes and withdrawals are ours."""
    return read_command(record, world, (ApprovalVote, WithdrawApproval))


def _request(body: IntentAllowed, state: ApprovalState, terms: Terms, now_at: int) -> list[Decision]:
    asked = ApprovalRequested(
        action_digest=terms.action_digest,
        needed=terms.needed,
        roles=terms.roles,
        expires_at=terms.deadline_at,
        display=body.display,
        tool=body.tool,
        requester=terms.requester,
    )
    if terms.needed < 1 or not terms.roles:
        return [Event(asked), Event(ApprovalDenied("NO_APPROVERS", "the policy names nobody who may approve", ""))]
    if now_at >= terms.deadline_at:
        return [Event(asked), _expired()]
    return [Event(asked), *_cancelled(state)]


def _cancelled(state: ApprovalState) -> list[Decision]:
    mark, terms = state.cancel, state.terms
    if mark is None or terms is None or not mark.applies(state.tenant, state.account, terms.requester):
        return []
    return [Event(ApprovalCancelled(mark.by, mark.reason, mark.command_id))]


def _expired() -> Event:
    return Event(ApprovalExpired("nobody decided in time"))


def _is_late(state: ApprovalState, now_at: int) -> bool:
    asked = state.phase is Phase.REQUESTED and not state.ended
    return asked and state.terms is not None and now_at >= state.terms.deadline_at


def _answer(command: Command, state: ApprovalState, now_at: int) -> list[Decision]:
    body: ApprovalVote | WithdrawApproval = command.body
    known = state.phase is not Phase.NONE or state.ended
    if not known or not may_see(body.principal, state.tenant, state.account):
        return [reject_unknown(command)]
    if state.ended:
        return [reject(command, "ALREADY_ENDED", "the deed has ended")]
    if isinstance(body, WithdrawApproval):
        return [_withdraw(command, body, state)]
    if _is_late(state, now_at):
        return [_expired(), reject(command, "ALREADY_DECIDED", "the time to decide is over")]
    return _vote(command, body, state)


def _withdraw(command: Command, body: WithdrawApproval, state: ApprovalState) -> Event:
    who = body.principal
    if state.phase is not Phase.GRANTED:
        return reject(command, "NOT_GRANTED", f"there is no grant to take back: {state.phase}")
    if who.subject not in state.approvers and not set(OVERRIDING_ROLES) & set(who.roles):
        return reject(command, "ROLE_MISSING", "only those who approved, and operators, may take it back")
    return Event(ApprovalWithdrawn(body.command_id, who.subject, body.reason), actor=actor_of(who))


def _vote(command: Command, body: ApprovalVote, state: ApprovalState) -> list[Decision]:
    terms, who = state.terms, body.principal
    if state.phase is not Phase.REQUESTED or terms is None:
        return [reject(command, "ALREADY_DECIDED", f"the request is {state.phase}")]
    if refusal := _may_not_vote(body, state, terms):
        return [reject(command, *refusal)]
    actor = actor_of(who)
    voted = Event(ApprovalVoted(body.command_id, who.subject, body.vote, body.reason), actor=actor)
    if body.vote is not Vote.APPROVE:
        return [voted, Event(ApprovalDenied("DENIED", body.reason, who.subject), actor=actor)]
    approvers = (*state.approvers, who.subject)
    if len(approvers) < terms.needed:
        return [voted]
    return [voted, Event(ApprovalGranted(terms.action_digest, approvers, terms.expires_at), actor=actor)]


def _may_not_vote(body: ApprovalVote, state: ApprovalState, terms: Terms) -> tuple[str, str] | None:
    who = body.principal
    if who.subject == terms.requester:
        return "SELF_APPROVAL", "nobody decides on their own request"
    if who.kind is not ActorKind.HUMAN:
        return "NOT_HUMAN", "only a person can consent"
    if not set(terms.roles) & set(who.roles):
        return "ROLE_MISSING", f"needs one of the roles {', '.join(terms.roles)}"
    if body.action_digest != terms.action_digest:
        return "DIGEST_MISMATCH", "the vote is about another action than the one requested"
    if body.vote is Vote.APPROVE and who.subject in state.approvers:
        return "ALREADY_VOTED", "this person has approved already"
    return None


# -- state


def evolve(state: ApprovalState, fact: Fact) -> ApprovalState:
    """Facts of other topics are folded in any order; own ones come in theirs."""
    change = _CHANGES.get(type(fact.body))
    if change is None:
        return state
    seen = remember(state.seen, fact.envelope)
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
        return msgspec.structs.replace(state, terms=None, approvers=(), cancel=None)

    return change


def _granted(state: ApprovalState, fact: Fact, body: ApprovalGranted) -> ApprovalState:
    return msgspec.structs.replace(state, phase=Phase.GRANTED, approvers=body.approvers, cancel=None)


def _voted(state: ApprovalState, fact: Fact, body: ApprovalVoted) -> ApprovalState:
    if body.vote is not Vote.APPROVE:
        return state
    return msgspec.structs.replace(state, approvers=(*state.approvers, body.voter))


def _cancel_noted(state: ApprovalState, fact: Fact, body: CancelRequested) -> ApprovalState:
    if state.phase not in (Phase.NONE, Phase.REQUESTED):
        return state
    envelope = fact.envelope
    mark = CancelMark(body.command_id, body.by, body.reason, envelope.tenant, envelope.account, envelope.occurred_at)
    return msgspec.structs.replace(state, cancel=mark)


def _rejected(state: ApprovalState, fact: Fact, body: CommandRejected) -> ApprovalState:
    """Execution found that a cancellation it had noted was nobody's to give."""
    if state.cancel is None or state.cancel.command_id != body.command_id:
        return state
    return msgspec.structs.replace(state, cancel=None)


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
