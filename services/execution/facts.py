"""How each fact changes what execution knows. Facts of other topics are written once and folded in any order; own ones
come in theirs. When a deed has ended, only what a late answer or a command needs is kept.
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
    ApprovalGranted,
    ApprovalWithdrawn,
    BudgetDenied,
    BudgetReserved,
    CancelRequested,
    CommandRejected,
    ExecutionCancelled,
    ExecutionDispatched,
    ExecutionExpired,
    ExecutionFailed,
    ExecutionInDoubt,
    ExecutionRefused,
    ExecutionResolved,
    ExecutionRetryScheduled,
    ExecutionSucceeded,
    IntentAccepted,
    IntentAllowed,
    IntentBlocked,
    LateAnswerRecorded,
)
from libs.governance.commands import is_refusal_alone, noted, remember, without
from libs.governance.subject import subject_of
from libs.ledger.service import Fact
from services.execution.state import Call, Consent, ExecutionState, Phase, Terms

OWN = "ledger.execution"


def evolve(state: ExecutionState, fact: Fact) -> ExecutionState:
    """The state after a fact. Never raises, never decides."""
    change = _CHANGES.get(type(fact.body))
    if change is None or is_refusal_alone(fact):
        return state
    seen = remember(state.seen, fact.envelope) if fact.topic == OWN else state.seen
    state = change(state, fact, fact.body)
    return state if seen == state.seen else msgspec.structs.replace(state, seen=seen)


def _accepted(state: ExecutionState, fact: Fact, body: IntentAccepted) -> ExecutionState:
    envelope = fact.envelope
    return msgspec.structs.replace(
        state,
        tenant=envelope.tenant,
        account=envelope.account,
        trace_parent=envelope.trace_parent,
        subject=subject_of(fact) if state.open or state.query else None,
    )


def _allowed(state: ExecutionState, fact: Fact, body: IntentAllowed) -> ExecutionState:
    terms = Terms(
        action_digest=body.action_digest,
        tool_hash=body.tool_hash,
        target=body.target,
        policy_hash=body.policy_hash,
        price_micros=body.price_micros,
        cost_class=body.cost_class,
        effect=body.effect,
        human_required=body.human_required,
        approvals_needed=body.approvals_needed,
        approver_roles=body.approver_roles,
    )
    return msgspec.structs.replace(state, terms=terms if state.open else None, price_micros=body.price_micros)


def _granted(state: ExecutionState, fact: Fact, body: ApprovalGranted) -> ExecutionState:
    if not state.open:
        return state
    consent = Consent(fact.envelope.event_id, body.action_digest, body.expires_at)
    return msgspec.structs.replace(state, consent=consent)


def _withdrawn(state: ExecutionState, fact: Fact, body: ApprovalWithdrawn) -> ExecutionState:
    if not state.open or state.consent is None:
        return state
    consent = msgspec.structs.replace(state.consent, withdrawn_by=body.by, withdrawn_why=body.reason)
    return msgspec.structs.replace(state, consent=consent)


def _reserved(state: ExecutionState, fact: Fact, body: BudgetReserved) -> ExecutionState:
    if not state.open:
        return state
    return msgspec.structs.replace(state, reservation_id=fact.envelope.event_id)


def _closed_elsewhere(state: ExecutionState, fact: Fact, body: Any) -> ExecutionState:
    return _shrunk(state, Phase.CLOSED) if state.open else state


def _cancel_noted(state: ExecutionState, fact: Fact, body: CancelRequested) -> ExecutionState:
    if not state.open:
        return state
    return msgspec.structs.replace(state, cancels=noted(state.cancels, body, fact.envelope))


def _rejected(state: ExecutionState, fact: Fact, body: CommandRejected) -> ExecutionState:
    """Own refusals. One of a cancellation that had been noted takes it back."""
    left = without(state.cancels, body.command_id) if fact.topic == OWN else state.cancels
    return state if left is state.cancels else msgspec.structs.replace(state, cancels=left)


def _dispatched(state: ExecutionState, fact: Fact, body: ExecutionDispatched) -> ExecutionState:
    seq = fact.envelope.control_seq
    call = Call(body.server, body.effect_class, body.timeout_ms, state.call.control_seq if state.call else seq, seq)
    return msgspec.structs.replace(state, phase=Phase.DISPATCHED, attempt=body.attempt, call=call)


def _retry(state: ExecutionState, fact: Fact, body: ExecutionRetryScheduled) -> ExecutionState:
    return msgspec.structs.replace(
        state,
        phase=Phase.RETRY,
        attempt=body.attempt - 1,
        retry_at=body.retry_at,
        first_started_at=body.first_started_at,
        call_until_at=body.call_until_at,
    )


def _in_doubt(state: ExecutionState, fact: Fact, body: ExecutionInDoubt) -> ExecutionState:
    doubtful = msgspec.structs.replace(_shrunk(state, Phase.IN_DOUBT), quiet_until_at=body.quiet_until_at)
    if body.query == 0:
        return doubtful
    return msgspec.structs.replace(
        doubtful,
        subject=state.subject,
        call=state.call,
        query=body.query,
        ask_at=body.ask_at,
        asked_at=fact.envelope.occurred_at if body.ask_at is None else state.asked_at,
    )


def _resolved(state: ExecutionState, fact: Fact, body: ExecutionResolved) -> ExecutionState:
    return _shrunk(state, Phase.RESOLVED, body.applied, body.cost_micros)


def _succeeded(state: ExecutionState, fact: Fact, body: ExecutionSucceeded) -> ExecutionState:
    return _shrunk(state, Phase.ENDED, True, body.cost_micros)


def _not_done(state: ExecutionState, fact: Fact, body: Any) -> ExecutionState:
    return _shrunk(state, Phase.ENDED)


def _late(state: ExecutionState, fact: Fact, body: LateAnswerRecorded) -> ExecutionState:
    if not body.contradicts:
        return state
    done, cost = body.answer.status is AnswerStatus.SUCCEEDED, body.answer.cost_micros
    return msgspec.structs.replace(state, applied=done, cost_micros=cost or 0)


def _shrunk(state: ExecutionState, phase: Phase, applied: bool = False, cost_micros: int = 0) -> ExecutionState:
    """What is kept for ever: whose it was, how it ended, and what a late answer is held against: of which call it is,
    and whether an earlier one may have been applied (`call_until_at`)."""
    return ExecutionState(
        phase=phase,
        tenant=state.tenant,
        account=state.account,
        trace_parent=state.trace_parent,
        attempt=state.attempt,
        call_until_at=state.call_until_at,
        price_micros=state.price_micros,
        applied=applied,
        cost_micros=cost_micros,
        seen=state.seen,
    )


_CHANGES: Mapping[type, Callable[[ExecutionState, Fact, Any], ExecutionState]] = {
    IntentAccepted: _accepted,
    IntentAllowed: _allowed,
    IntentBlocked: _closed_elsewhere,
    ApprovalGranted: _granted,
    ApprovalWithdrawn: _withdrawn,
    ApprovalDenied: _closed_elsewhere,
    ApprovalExpired: _closed_elsewhere,
    ApprovalCancelled: _closed_elsewhere,
    BudgetReserved: _reserved,
    BudgetDenied: _closed_elsewhere,
    CancelRequested: _cancel_noted,
    CommandRejected: _rejected,
    ExecutionDispatched: _dispatched,
    ExecutionRetryScheduled: _retry,
    ExecutionInDoubt: _in_doubt,
    ExecutionResolved: _resolved,
    ExecutionSucceeded: _succeeded,
    ExecutionFailed: _not_done,
    ExecutionCancelled: _not_done,
    ExecutionExpired: _not_done,
    ExecutionRefused: _not_done,
    LateAnswerRecorded: _late,
}
HEEDS = frozenset(_CHANGES)
