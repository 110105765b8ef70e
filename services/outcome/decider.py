"""What is the one final record? Exactly one OutcomeRecorded per accepted intent, in whatever order it is told.

It does not wait for the money (flow.md, decision 20). Should a late answer contradict it, it is amended, never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from libs.contracts.events import (
    AnswerStatus,
    ApprovalCancelled,
    ApprovalDenied,
    ApprovalExpired,
    BudgetDenied,
    ExecutionCancelled,
    ExecutionExpired,
    ExecutionFailed,
    ExecutionRefused,
    ExecutionResolved,
    ExecutionSucceeded,
    IntentAccepted,
    IntentBlocked,
    LateAnswerRecorded,
    ObjectRef,
    OutcomeAmended,
    OutcomeRecorded,
    OutcomeStatus,
)
from libs.ledger.service import Decision, Event, Fact, Input, World


class Ending(msgspec.Struct, frozen=True, omit_defaults=True):
    """What ended the intent. `id`: of the event that said so."""

    status: OutcomeStatus
    id: bytes
    code: str = ""
    reason: str = ""
    cost_micros: int = 0
    attempts: int = 0
    object_refs: tuple[ObjectRef, ...] = ()


class OutcomeState(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known until the outcome is recorded; afterwards only that it is."""

    tool: str = ""
    ending: Ending | None = None
    late: Ending | None = None
    recorded: bool = False


INITIAL = OutcomeState()
_RECORDED = OutcomeState(recorded=True)


def decide(item: Input, state: OutcomeState, world: World) -> list[Decision]:
    """Record once the intent is known and has ended; amend when a late answer says otherwise."""
    if not isinstance(item, Fact):
        return []
    if state.recorded:
        late = late_of(item)
        return [_amend(late)] if late else []
    if not state.tool or state.ending is None:
        return []
    ending = state.ending
    recorded = OutcomeRecorded(
        status=ending.status,
        code=ending.code,
        reason=ending.reason,
        cost_micros=ending.cost_micros,
        attempts=ending.attempts,
        decided_by=ending.id,
        tool=state.tool,
        object_refs=ending.object_refs,
    )
    return [Event(recorded), *([_amend(state.late)] if state.late else [])]


def evolve(state: OutcomeState, fact: Fact) -> OutcomeState:
    """Endings are written once; when the outcome stands, nothing else is needed."""
    body = fact.body
    if state.recorded:
        return state
    if isinstance(body, OutcomeRecorded):
        return _RECORDED
    if isinstance(body, IntentAccepted):
        return msgspec.structs.replace(state, tool=body.tool)
    if late := late_of(fact):
        return msgspec.structs.replace(state, late=late)
    if ending := ending_of(fact):
        return msgspec.structs.replace(state, ending=ending)
    return state


def ending_of(fact: Fact) -> Ending | None:
    """How the intent ended, if this fact ended it."""
    make = _ENDINGS.get(type(fact.body))
    return make(fact.body, fact.envelope.event_id) if make else None


def late_of(fact: Fact) -> Ending | None:
    """How it really ended, if this fact is an answer that contradicts."""
    body = fact.body
    if not isinstance(body, LateAnswerRecorded) or not body.contradicts:
        return None
    answer, identity = body.answer, fact.envelope.event_id
    if answer.status is AnswerStatus.SUCCEEDED:
        reason = "the tool had carried it out, as its late answer says"
        cost = answer.cost_micros or 0
        return Ending(OutcomeStatus.SUCCEEDED, identity, "", reason, cost, body.attempt, answer.object_refs)
    reason = f"the tool had not carried it out, as its late answer says: {answer.reason}"
    return Ending(OutcomeStatus.FAILED, identity, answer.code, reason, 0, body.attempt)


def _amend(late: Ending) -> Event:
    return Event(OutcomeAmended(late.status, late.reason, late.id, late.cost_micros, late.object_refs))


def _resolved(body: ExecutionResolved, identity: bytes) -> Ending:
    if body.applied:
        refs = body.object_refs
        return Ending(OutcomeStatus.SUCCEEDED, identity, "", body.evidence, body.cost_micros, body.attempt, refs)
    return Ending(OutcomeStatus.FAILED, identity, "NOT_APPLIED", body.evidence, 0, body.attempt)


_S = OutcomeStatus
_ENDINGS: Mapping[type, Callable[[Any, bytes], Ending]] = {
    IntentBlocked: lambda b, i: Ending(_S.BLOCKED, i, b.code, b.reason),
    ApprovalDenied: lambda b, i: Ending(_S.DENIED, i, b.code, b.reason),
    ApprovalExpired: lambda b, i: Ending(_S.EXPIRED, i, "APPROVAL_EXPIRED", b.reason),
    ApprovalCancelled: lambda b, i: Ending(_S.CANCELLED, i, "CANCELLED", b.reason),
    BudgetDenied: lambda b, i: Ending(_S.DENIED, i, b.code, b.reason),
    ExecutionSucceeded: lambda b, i: Ending(_S.SUCCEEDED, i, "", "", b.cost_micros, b.attempt, b.object_refs),
    ExecutionFailed: lambda b, i: Ending(_S.FAILED, i, b.code, b.reason, 0, b.attempt),
    ExecutionRefused: lambda b, i: Ending(_S.REFUSED, i, b.code, b.reason, 0, b.attempt),
    ExecutionCancelled: lambda b, i: Ending(_S.CANCELLED, i, b.code, b.reason, 0, b.attempt),
    ExecutionExpired: lambda b, i: Ending(_S.EXPIRED, i, "EXPIRED", b.reason, 0, b.attempt),
    ExecutionResolved: _resolved,
}
HEEDS = frozenset({IntentAccepted, LateAnswerRecorded, *_ENDINGS})
