"""Does a human agree to exactly this? N of M people with a role, never the requester, bound to the action's digest.

    (none) --IntentAllowed, human required--> REQUESTED --enough votes--> GRANTED --> WITHDRAWN
                                                  +--> DENIED | EXPIRED | CANCELLED
    any --the deed has ended--> ended

Approval holds the intent while it waits, so it owns that deadline: silence is a refusal.
"""

from __future__ import annotations

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
    IntentAllowed,
    Vote,
    WithdrawApproval,
)
from libs.governance.commands import actor_of, may_see, read_command, reject, reject_unknown, that_counts
from libs.ledger.service import Command, Decision, Due, Event, Fact, Input, Prepared, Record, World
from services.approval.state import HEEDS, INITIAL, ApprovalState, Phase, Terms, evolve, owner, waits

__all__ = ["HEEDS", "INITIAL", "ApprovalState", "decide", "evolve", "owner", "prepare", "waits"]

OVERRIDING_ROLES = ("operator", "admin")  # may take back what others granted


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
    terms = state.terms
    mark = that_counts(state.cancels, state.tenant, state.account, terms.requester) if terms else None
    if mark is None:
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
