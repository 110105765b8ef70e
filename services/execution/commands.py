"""What people and late workers say about a deed. Each command gets an event, a refusal too, unless it is a repeat."""

from __future__ import annotations

import msgspec

from libs.contracts.events import (
    ActorKind,
    AnswerStatus,
    Cancel,
    CancelRequested,
    CommandRejected,
    ExecutionResolved,
    LateAnswerRecorded,
    LateResult,
    Resolve,
    ToolAnswer,
)
from libs.governance.commands import UNKNOWN, CancelMark, actor_of, may_see, reject, reject_unknown
from libs.ledger.service import Command, Decision, Event, World
from services.execution import asking
from services.execution.answers import on_answer
from services.execution.state import EARLY_MAX, EARLY_OF_TENANT_MAX, ExecutionState, Phase

_REQUESTED = ("ALREADY_REQUESTED", "it is being cancelled already")
RESOLVING_ROLES = ("resolver", "operator")
COST_MAX = 2**53 - 1  # as of prices and caps: sums of costs must fit the books
Answered = tuple[list[Decision], ExecutionState]


def on_command(command: Command, state: ExecutionState, world: World) -> Answered:
    """The decisions, and the state after them if more may follow from it."""
    body = command.body
    match body:
        case Cancel():
            return _cancel(command, body, state, world)
        case Resolve():
            return _resolve(command, body, state, world), state
        case LateResult():
            return _late(command, body, state, world), state
        case _:
            return [], state


def reject_others(state: ExecutionState) -> list[Event]:
    """The intent is known now, and of the cancellations that waited for it at most one counts."""
    chosen, subject = state.cancelled_by, state.subject
    found = []
    for mark in state.cancels:
        if subject is None or not mark.applies(state.tenant, state.account, subject.actor):
            found.append(reject_early(mark))
        elif mark is not chosen:
            found.append(Event(CommandRejected(mark.command_id, Cancel.__name__, *_REQUESTED)))
    return found


def reject_early(mark: CancelMark) -> Event:
    """A noted cancellation turned out to be about no intent, or about somebody else's; nobody can tell which."""
    rejected = CommandRejected(mark.command_id, Cancel.__name__, UNKNOWN, "there is no such intent")
    return Event(rejected, tenant=mark.tenant, account="", trace_parent="")


# -- Cancel


def _cancel(command: Command, body: Cancel, state: ExecutionState, world: World) -> Answered:
    who = body.principal
    if any(mark.command_id == body.command_id for mark in state.cancels):
        return [], state
    if not state.known:
        return _cancel_early(body, command, state), state
    if not may_see(who, state.tenant, state.account):
        return [reject_unknown(command)], state
    if refusal := _may_not_cancel(state):
        return [reject(command, *refusal)], state
    mark = CancelMark(body.command_id, who.subject, body.reason, state.tenant, state.account, world.now_at)
    noted = CancelRequested(body.command_id, who.subject, body.reason)
    return [Event(noted, actor_of(who))], msgspec.structs.replace(state, cancels=(*state.cancels, mark))


def _cancel_early(body: Cancel, command: Command, state: ExecutionState) -> list[Decision]:
    """It may have overtaken its intent: note it and wait a while. Whether it is the intent's own is seen then, so it
    must not matter who else has guessed the id."""
    who = body.principal
    account = who.accounts[0] if len(who.accounts) == 1 else ""
    theirs = [(mark.by, mark.account) for mark in state.cancels if mark.tenant == who.tenant]
    full = len(theirs) >= EARLY_OF_TENANT_MAX or len(state.cancels) >= EARLY_MAX
    if full or (who.subject, account) in theirs:
        return [reject_unknown(command)]
    return [Event(CancelRequested(body.command_id, who.subject, body.reason), actor_of(who), who.tenant, account, "")]


def _may_not_cancel(state: ExecutionState) -> tuple[str, str] | None:
    if state.ended:
        return "ALREADY_ENDED", "the deed has ended"
    if state.phase is Phase.IN_DOUBT:
        return "IN_DOUBT", "the tool may have acted; only finding out ends a doubt"
    if state.cancelled_by is not None:
        return _REQUESTED
    return None


# -- Resolve


def _resolve(command: Command, body: Resolve, state: ExecutionState, world: World) -> list[Decision]:
    who = body.principal
    if not state.known or not may_see(who, state.tenant, state.account):
        return [reject_unknown(command)]
    if refusal := _may_not_resolve(body, state, world):
        return [reject(command, *refusal)]
    cost = state.price_micros if body.cost_micros is None else body.cost_micros
    resolved = ExecutionResolved(
        attempt=state.attempt,
        applied=body.applied,
        cost_micros=cost if body.applied else 0,
        by=who.subject,
        evidence=f"{body.evidence} ({body.reason})",
        command_id=body.command_id,
    )
    return [Event(resolved, actor=actor_of(who))]


def _may_not_resolve(body: Resolve, state: ExecutionState, world: World) -> tuple[str, str] | None:
    if not set(RESOLVING_ROLES) & set(body.principal.roles):
        return "ROLE_MISSING", f"needs one of the roles {', '.join(RESOLVING_ROLES)}"
    if not body.reason.strip() or not body.evidence.strip():
        return "REASON_MISSING", "a resolution needs a reason and its evidence"
    if body.cost_micros is not None and not 0 <= body.cost_micros <= COST_MAX:
        return "COST_INVALID", f"a cost is within 0 and {COST_MAX}"
    if state.phase is Phase.RESOLVED:
        return "ALREADY_RESOLVED", "the doubt is over already"
    if state.ended:
        return "ALREADY_ENDED", "the deed has ended"
    if state.phase is not Phase.IN_DOUBT:
        return "NOT_IN_DOUBT", "there is no doubt to resolve"
    if not body.applied and world.now_at < state.quiet_until_at:
        return "QUIET_PERIOD", "what was sent may still arrive; before the quiet period ends, absence proves nothing"
    return None


# -- LateResult


def _late(command: Command, body: LateResult, state: ExecutionState, world: World) -> list[Decision]:
    if body.principal.kind is not ActorKind.SYSTEM or state.attempt == 0:
        return [reject_unknown(command)]
    if asking.is_question(body.attempt):
        over = reject(command, "ALREADY_ENDED", "the question is over")
        return asking.on_answer(body.answer, body.attempt, state, world) or [over]
    actor, answer = actor_of(body.principal), _with_cost(body.answer, state)
    if state.phase is Phase.DISPATCHED and body.attempt == state.attempt:
        return on_answer(body.answer, body.attempt, state, world)
    tells = _tells(body, state)
    late = LateAnswerRecorded(body.attempt, answer, state.ended and tells and _contradicts(body, answer, state))
    decisions: list[Decision] = [Event(late, actor)]
    if state.phase is Phase.IN_DOUBT and tells:
        decisions.append(Event(_resolution(body, answer), actor))
    return decisions


def _tells(body: LateResult, state: ExecutionState) -> bool:
    """Does it say what became of the deed? A success does. Anything else speaks of its own call alone: not of a later
    one, nor of an earlier one that may have been applied."""
    if body.answer.status is AnswerStatus.SUCCEEDED:
        return True
    last = body.attempt == state.attempt
    return last and not state.unsure and body.answer.status is not AnswerStatus.AMBIGUOUS


def _resolution(body: LateResult, answer: ToolAnswer) -> ExecutionResolved:
    applied = answer.status is AnswerStatus.SUCCEEDED
    return ExecutionResolved(
        attempt=body.attempt,
        applied=applied,
        cost_micros=(answer.cost_micros or 0) if applied else 0,
        by=body.principal.subject,
        evidence=f"the tool's own answer, which came late: {answer.summary or answer.reason}",
        command_id=body.command_id,
        object_refs=answer.object_refs,
    )


def _with_cost(answer: ToolAnswer, state: ExecutionState) -> ToolAnswer:
    """A success costs the registry's price if the answer does not say what it cost."""
    if answer.status is not AnswerStatus.SUCCEEDED or (answer.cost_micros is not None and answer.cost_micros >= 0):
        return answer
    return msgspec.structs.replace(answer, cost_micros=state.price_micros)


def _contradicts(body: LateResult, answer: ToolAnswer, state: ExecutionState) -> bool:
    """Does it say other than the ledger did? What another call cost is no contradiction to what the last one said."""
    applied = answer.status is AnswerStatus.SUCCEEDED
    if applied != state.applied:
        return True
    same = body.attempt == state.attempt or state.phase is Phase.RESOLVED
    return applied and same and answer.cost_micros != state.cost_micros
