"""Do it, once; what happened? Dispatches when everything is there and still right at that very moment, and turns what
comes of it into one ending, or into a doubt that only evidence ends.

`state.py` says what is known, and asks for the call; `facts.py` folds it; `answers.py` judges what came of a call;
`asking.py` asks tools that can be asked; `commands.py` is what people and late workers say.
"""

from __future__ import annotations

from libs.contracts.events import (
    Cancel,
    ExecutionCancelled,
    ExecutionDispatched,
    ExecutionExpired,
    ExecutionRefused,
    IntentAccepted,
    LateResult,
    Resolve,
    ValidatorResult,
)
from libs.governance.choke_points import evaluate, points_at_dispatch
from libs.governance.commands import Unreadable, read_command
from libs.governance.policy import approval_rule
from libs.governance.subject import Subject, action_digest
from libs.governance.validators import Ground, ground_for
from libs.ledger.service import (
    Command,
    Dead,
    Decision,
    Due,
    Event,
    Fact,
    Input,
    Prepared,
    Record,
    Recover,
    Result,
    Stopped,
    World,
)
from services.execution import asking
from services.execution.answers import key_window_end, not_done, on_answer, on_recover, on_stopped
from services.execution.commands import on_command, reject_early, reject_others
from services.execution.facts import HEEDS, evolve
from services.execution.state import COMMAND_WAIT, INITIAL, ExecutionState, Phase, Terms, owner, react, waits

__all__ = ["HEEDS", "INITIAL", "ExecutionState", "decide", "evolve", "owner", "prepare", "react", "waits"]

BY_SYSTEM = "execution"  # who called it off, when a switch did


def decide(item: Input, state: ExecutionState, world: World) -> list[Decision]:
    """Whatever came, the state says what is due."""
    match item:
        case Fact():
            return _on_fact(item, state, world)
        case Due():
            return _on_due(state, world)
        case Command(body=Unreadable() as body):
            return [Dead(body.code, body.reason)]
        case Command():
            return _on_command(item, state, world)
        case Result():
            judge = asking.on_answer if asking.is_question(item.attempt) else on_answer
            return judge(item.answer, item.attempt, state, world)
        case Stopped():
            return (asking.on_stopped if asking.is_question(item.attempt) else on_stopped)(item, state, world)
        case Recover():
            return (asking.on_recover if asking.is_question(item.attempt) else on_recover)(item, state, world)


def prepare(record: Record, world: World) -> Prepared:
    """What concerns the deed itself is ours, and so is what nobody can read."""
    return read_command(record, world, (Cancel, Resolve, LateResult), buries=True)


def _on_fact(fact: Fact, state: ExecutionState, world: World) -> list[Decision]:
    if not isinstance(fact.body, IntentAccepted):
        return _advance(state, world)
    return [*reject_others(state), *_advance(state, world)]


def _on_due(state: ExecutionState, world: World) -> list[Decision]:
    if state.phase is Phase.IN_DOUBT:
        return asking.on_due(state, world)
    if state.known:
        return _advance(state, world)
    return [reject_early(mark) for mark in state.cancels if world.now_at >= mark.noted_at + COMMAND_WAIT]


def _on_command(command: Command, state: ExecutionState, world: World) -> list[Decision]:
    if command.id in state.seen:
        return []
    decided, after = on_command(command, state, world)
    return [*decided, *_advance(after, world)] if after is not state else decided


def _advance(state: ExecutionState, world: World) -> list[Decision]:
    """End what must not start, dispatch what may; otherwise it goes on waiting."""
    if not state.ready:
        return []
    if stop := _stop(state, world):
        return [not_done(stop, state, world)]
    if state.phase is Phase.RETRY and world.now_at < state.retry_at:
        return []
    return _dispatch(state, world)


def _stop(state: ExecutionState, world: World) -> Event | None:
    """What ends a deed that has not started: cancellation, withdrawn consent, expiry, a kill switch."""
    subject, consent = state.subject, state.consent
    assert subject is not None
    if mark := state.cancelled_by:
        return Event(ExecutionCancelled(state.attempt, "CANCELLED", mark.reason, mark.by, False))
    if consent is not None and consent.withdrawn_by:
        code, why, by = "APPROVAL_WITHDRAWN", consent.withdrawn_why, consent.withdrawn_by
        return Event(ExecutionCancelled(state.attempt, code, why, by, False))
    if world.now_at >= subject.expires_at:
        return Event(ExecutionExpired(state.attempt, "it expired before its tool was called", False))
    if consent is not None and world.now_at >= consent.expires_at:
        return Event(ExecutionRefused(state.attempt, "APPROVAL_EXPIRED", "the approval is void by now", False))
    switch = world.control.stopped_by(state.tenant, state.account, subject.tool, subject.capability)
    if switch:
        reason = f"{switch.code}: stopped by {switch.by}: {switch.reason}"
        return Event(ExecutionCancelled(state.attempt, "KILLED", reason, BY_SYSTEM, False))
    return None


def _dispatch(state: ExecutionState, world: World) -> list[Decision]:
    subject, terms = state.subject, state.terms
    assert subject is not None
    assert terms is not None
    assert state.reservation_id is not None
    ground = ground_for(world.control, state.tenant, subject.tool, world.now_at)
    if ground.tool is not None and not world.dispatch_free(ground.tool.entry.effect_class):
        return []
    attempt = state.attempt + 1
    points = points_at_dispatch(terms.effect, terms.cost_class)
    evaluation = evaluate(points, subject, ground)
    refusal = _differs(state, subject, terms, ground) or _consent_missing(terms, ground)
    if refusal is None and (blocking := evaluation.blocking):
        refusal = blocking.code, blocking.reason
    if refusal := refusal or _window_over(state, ground, world):
        return [not_done(_refuse(state, *refusal, evaluation.results), state, world)]
    assert ground.tool is not None
    assert ground.snapshot is not None
    entry, consent = ground.tool.entry, state.consent
    dispatched = ExecutionDispatched(
        attempt=attempt,
        tool=subject.tool,
        tool_hash=entry.definition_hash,
        server=entry.server,
        action_digest=terms.action_digest,
        effect_class=entry.effect_class,
        timeout_ms=entry.timeout_ms,
        reservation_id=state.reservation_id,
        policy_hash=ground.snapshot.hash,
        rechecks=evaluation.results,
        approval_id=consent.id if consent else None,
    )
    return [Event(dispatched)]


def _differs(state: ExecutionState, subject: Subject, terms: Terms, ground: Ground) -> tuple[str, str] | None:
    """Is what would run still what was validated, approved and paid for?"""
    if ground.tool is None:
        return "TOOL_UNKNOWN", "the tool is no longer registered"
    entry = ground.tool.entry
    if entry.definition_hash != terms.tool_hash:
        return "TOOL_CHANGED", "the tool's definition is another one than was validated"
    if (entry.effect, entry.cost_class) != (terms.effect, terms.cost_class):
        return "TOOL_CHANGED", "the registry counts the tool otherwise than when it was validated"
    if entry.price_micros > terms.price_micros:
        return "PRICE_CHANGED", "the tool may cost more than was set aside"
    digest = action_digest(subject, entry.definition_hash, terms.target, terms.policy_hash)
    agreed = digest if state.consent is None else state.consent.action_digest
    if digest != terms.action_digest or digest != agreed:
        return "DIGEST_MISMATCH", "the action is another one than was validated and approved"
    return None


def _consent_missing(terms: Terms, ground: Ground) -> tuple[str, str] | None:
    """Does a policy that was published since want people who were not asked? What was agreed to under another one
    counts as far as it is enough: so many people, each with a role that may agree now."""
    snapshot, tool = ground.snapshot, ground.tool
    if snapshot is None or snapshot.policy is None or tool is None or snapshot.hash == terms.policy_hash:
        return None
    entry = tool.entry
    rule = approval_rule(snapshot.policy, tool.id, entry.cost_class, entry.effect)
    if rule is None or (terms.approvals_needed >= rule.needed and set(terms.approver_roles) <= set(rule.roles)):
        return None
    who = f"{rule.needed} of {', '.join(rule.roles)}"
    return "APPROVAL_CHANGED", f"the policy in force wants the agreement of {who}, who were not asked"


def _window_over(state: ExecutionState, ground: Ground, world: World) -> tuple[str, str] | None:
    """May an earlier call have been applied, and does the tool not honour its key any more?"""
    if not state.unsure:
        return None
    assert ground.tool is not None
    first_at, until_at = state.first_started_at, None
    if first_at is not None:
        until_at = key_window_end(ground.tool, state, first_at)
    if until_at is None or world.now_at >= min(until_at, state.call_until_at or 0):
        return "KEY_WINDOW_OVER", "the time in which the tool honours the key of the first call is over or not known"
    return None


def _refuse(state: ExecutionState, code: str, reason: str, results: tuple[ValidatorResult, ...]) -> Event:
    return Event(ExecutionRefused(state.attempt, code, reason, False, results))
