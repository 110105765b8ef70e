"""What came of a call: an answer, none, a stop at the gate, or an owner that was lost.

answer         READ_ONLY                   KEYED                               QUERYABLE (asked), OPAQUE
SUCCEEDED      succeeded                   succeeded                           succeeded
FAILED         transient: next attempt, while there are some (OPAQUE: never); else failed
NOT_SENT       transient: next attempt, while there are some; by policy: refused; else failed
AMBIGUOUS      next attempt, else failed   next attempt in the key's window,   in doubt
owner lost     next attempt, else failed   else in doubt                       in doubt

Once a KEYED call may have been applied, whatever else would end the deed as not done (a failure, cancellation, switch,
expiry, changed tool) puts it in doubt.
"""

from __future__ import annotations

import msgspec

from libs.contracts.events import (
    AnswerStatus,
    EffectClass,
    ExecutionCancelled,
    ExecutionExpired,
    ExecutionFailed,
    ExecutionInDoubt,
    ExecutionRefused,
    ExecutionRetryScheduled,
    ExecutionSucceeded,
    FailureCategory,
    ToolAnswer,
)
from libs.governance.control import Tool
from libs.ledger.service import Decision, Event, Recover, Stopped, World
from services.execution.asking import OWNER_ROLE, ask
from services.execution.state import ExecutionState, Phase

QUIET_MARGIN_MS = 5_000  # after a call's time-out: what is on its way may still arrive at the tool
_MS = 1_000


class Failure(msgspec.Struct, frozen=True):
    """A call that did not succeed. `started_at` None = it was never started."""

    code: str
    category: FailureCategory
    reason: str
    started_at: int | None
    duration_ms: int = 0
    retry_after_ms: int = 0


def on_answer(answer: ToolAnswer, attempt: int, state: ExecutionState, world: World) -> list[Decision]:
    """The call of this attempt has ended. Answers of other attempts change nothing."""
    if state.phase is not Phase.DISPATCHED or attempt != state.attempt:
        return []
    if answer.status is AnswerStatus.SUCCEEDED:
        return [_succeeded(answer, state)]
    sent = answer.status is not AnswerStatus.NOT_SENT
    failure = Failure(
        code=answer.code or "TOOL_FAILED",
        category=answer.category,
        reason=answer.reason,
        started_at=answer.started_at if sent else None,
        duration_ms=answer.duration_ms,
        retry_after_ms=answer.retry_after_ms or 0,
    )
    if answer.status is AnswerStatus.AMBIGUOUS:
        return [_ambiguous(failure, state, world, _quiet_until(answer, state, world))]
    if not sent and answer.category is FailureCategory.POLICY:
        return [not_done(Event(ExecutionRefused(attempt, failure.code, failure.reason, True)), state, world)]
    again = answer.category is FailureCategory.TRANSIENT and not (sent and _effect_class(state) is EffectClass.OPAQUE)
    retry = _retry(failure, state, world, state.call_until_at) if again else None
    return [retry or not_done(_failed(failure, state), state, world)]


def on_recover(item: Recover, state: ExecutionState, world: World) -> list[Decision]:
    """The lane was taken over. A dispatch that was not started is called by the lane as it stands; of one that was
    started nobody knows."""
    if state.phase is not Phase.DISPATCHED or item.attempt != state.attempt or not item.started:
        return []
    reason = "the worker that called the tool was lost before it recorded an answer"
    failure = Failure("OWNER_LOST", FailureCategory.TRANSIENT, reason, item.first_started_at)
    return [_ambiguous(failure, state, world, item.quiet_until_at + _quiet_ms(state, world) * _MS)]


def on_stopped(item: Stopped, state: ExecutionState, world: World) -> list[Decision]:
    """The gate stopped the dispatch: this attempt was provably not sent."""
    if state.phase is not Phase.DISPATCHED or item.attempt != state.attempt:
        return []
    return [not_done(_stopped(item, state), state, world)]


def not_done(ending: Event, state: ExecutionState, world: World) -> Event:
    """This ending, which says that nothing was done; a doubt instead if an earlier attempt may have been applied."""
    if not state.unsure:
        return ending
    body = ending.body
    code = "EXPIRED" if isinstance(body, ExecutionExpired) else body.code
    reason = f"an earlier call may have been applied, and it is not called again: {body.reason}"
    timeout_ms = state.call.timeout_ms if state.call else 0
    return _in_doubt(state, code, reason, world.now_at + (timeout_ms + QUIET_MARGIN_MS) * _MS)


def _stopped(item: Stopped, state: ExecutionState) -> Event:
    if item.code == "EXPIRED":
        return Event(ExecutionExpired(item.attempt, item.reason, True))
    by = "execution"
    if item.code == "CANCELLED" and (mark := state.cancelled_by):
        by = mark.by
    elif item.code == "APPROVAL_WITHDRAWN" and state.consent is not None:
        by = state.consent.withdrawn_by
    return Event(ExecutionCancelled(item.attempt, item.code, item.reason, by, True))


def _succeeded(answer: ToolAnswer, state: ExecutionState) -> Event:
    """The actual cost is the registry's price, unless the registry names the answer's field and it holds a sane one."""
    cost = answer.cost_micros if answer.cost_micros is not None and answer.cost_micros >= 0 else state.price_micros
    return Event(
        ExecutionSucceeded(
            attempt=state.attempt,
            cost_micros=cost,
            object_refs=answer.object_refs,
            response_bytes=answer.response_bytes,
            summary=answer.summary,
            started_at=answer.started_at,
            duration_ms=answer.duration_ms,
            response_digest=answer.response_digest,
            artifact=answer.artifact,
            tokens=answer.tokens,
        )
    )


def _ambiguous(failure: Failure, state: ExecutionState, world: World, quiet_until_at: int) -> Event:
    match _effect_class(state):
        case EffectClass.READ_ONLY:
            return _retry(failure, state, world) or _failed(failure, state)
        case EffectClass.KEYED:
            until_at = _key_until(failure, state, world)
            again = _retry(failure, state, world, until_at) if until_at is not None else None
            return again or _in_doubt(state, failure.code, failure.reason, quiet_until_at)
        case EffectClass.QUERYABLE:
            return ask(state, quiet_until_at, failure.code, failure.reason)
        case _:
            return _in_doubt(state, failure.code, failure.reason, quiet_until_at)


def _in_doubt(state: ExecutionState, code: str, reason: str, quiet_until_at: int) -> Event:
    return Event(ExecutionInDoubt(state.attempt, code, reason, quiet_until_at, OWNER_ROLE))


def _key_until(failure: Failure, state: ExecutionState, world: World) -> int | None:
    """Until when another call with the same key may start; None = not at all."""
    tool = _tool(state, world)
    first_at = state.first_started_at if state.first_started_at is not None else failure.started_at
    if tool is None or first_at is None:
        return None
    found = key_window_end(tool, state, first_at)
    if found is None or state.call_until_at is None:
        return found
    return min(found, state.call_until_at)


def key_window_end(tool: Tool, state: ExecutionState, first_at: int) -> int | None:
    """The window counts from the first start, and a call must also arrive within it: so its time-out is left over.
    None = nothing may be called again: the registry names no window, or says something else of the tool than when the
    first call was made, so that the key might be put in another place."""
    entry = tool.entry
    unchanged = state.call is not None and tool.seq <= state.call.control_seq
    if entry.effect_class is not EffectClass.KEYED or not unchanged or entry.key_window_ms <= entry.timeout_ms:
        return None
    return first_at + (entry.key_window_ms - entry.timeout_ms) * _MS


def _retry(failure: Failure, state: ExecutionState, world: World, call_until_at: int | None = None) -> Event | None:
    """Another attempt, if the registry grants one, nothing stopped the deed, and it may still start in time."""
    tool = _tool(state, world)
    withdrawn = state.consent is not None and state.consent.withdrawn_by
    if tool is None or state.attempt >= tool.entry.attempts_max or state.cancelled_by or withdrawn:
        return None
    retry_at = world.now_at + max(_backoff_ms(tool, state), failure.retry_after_ms) * _MS
    if retry_at >= (state.deadline_at if call_until_at is None else min(state.deadline_at, call_until_at)):
        return None
    first = state.first_started_at if state.first_started_at is not None else failure.started_at
    reason, attempt = failure.reason, state.attempt + 1
    return Event(ExecutionRetryScheduled(attempt, retry_at, failure.code, reason, first, call_until_at))


def _backoff_ms(tool: Tool, state: ExecutionState) -> int:
    """Doubling, capped, and spread by up to a quarter either way; the spread is the intent's own, so that nothing here
    is random."""
    entry, subject = tool.entry, state.subject
    wait = min(entry.backoff_ms << min(state.attempt - 1, 20), entry.backoff_max_ms)
    spread = subject.intent_id[state.attempt % 16] if subject else 128
    return wait * (192 + spread // 2) // 256


def _failed(failure: Failure, state: ExecutionState) -> Event:
    return Event(ExecutionFailed(state.attempt, failure.code, failure.category, failure.reason, failure.duration_ms))


def _quiet_until(answer: ToolAnswer, state: ExecutionState, world: World) -> int:
    timeout_ms = state.call.timeout_ms if state.call else 0
    quiet_ms = QUIET_MARGIN_MS + _quiet_ms(state, world)
    return max(world.now_at, answer.started_at + timeout_ms * _MS) + quiet_ms * _MS


def _quiet_ms(state: ExecutionState, world: World) -> int:
    """How long the tool may take until what it did is seen by whoever asks."""
    tool = _tool(state, world)
    return tool.entry.quiet_ms if tool else 0


def _tool(state: ExecutionState, world: World) -> Tool | None:
    return world.control.tools.get(state.subject.tool) if state.subject else None


def _effect_class(state: ExecutionState) -> EffectClass:
    """The class that the dispatch was made under."""
    return state.call.effect_class if state.call else EffectClass.OPAQUE
