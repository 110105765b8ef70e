"""How each fact changes the view of its intent. Every change is of a kind that does not mind the order in which topics
are read: a count, a maximum, or a field that one topic alone writes, in its order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from libs.contracts.events import (
    ApprovalCancelled,
    ApprovalDenied,
    ApprovalExpired,
    ApprovalGranted,
    ApprovalRequested,
    ApprovalVoted,
    ApprovalWithdrawn,
    BudgetCorrected,
    BudgetDenied,
    BudgetReleased,
    BudgetReserved,
    BudgetSettled,
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
    KeyParked,
    KeyUnparked,
    OutcomeAmended,
    OutcomeRecorded,
    ProgressReported,
    SubmissionRejected,
    ValidatorResult,
    Vote,
)
from libs.governance.commands import is_refusal_alone
from libs.ledger.service import Fact, Input, World
from services.status import attempts
from services.status.counting import counted, is_new
from services.status.submissions import Origin, rejection
from services.status.timeline import STAGES, reached
from services.status.view import (
    RESERVED,
    ApprovalView,
    Ballot,
    Consent,
    Finding,
    IntentView,
    Standing,
    State,
)

BALLOTS_MAX = 64
Fields = dict[str, Any]

# Events after which only the outcome is missing.
_ENDINGS: Final = frozenset(
    {
        IntentBlocked, ApprovalDenied, ApprovalExpired, ApprovalCancelled, BudgetDenied, ExecutionSucceeded,
        ExecutionFailed, ExecutionRefused, ExecutionCancelled, ExecutionExpired, ExecutionResolved,
    }
)  # fmt: skip


def decide(item: Input, state: IntentView, world: World) -> list[Any]:
    """Status writes nothing."""
    return []


def evolve(view: IntentView, fact: Fact) -> IntentView:
    """The view after one more fact. One that was folded already, or is about no intent, leaves no trace."""
    body, envelope, kind = fact.body, fact.envelope, type(fact.body)
    if kind is SubmissionRejected:
        return _submission_rejected(view, fact, body)
    if not is_new(view, fact.topic, envelope.seq):
        return view
    if kind is CommandRejected and is_refusal_alone(fact):
        return view
    at = envelope.occurred_at
    fields: Fields = {}
    if kind in STAGES:
        fields["stages"] = reached(view.stages, STAGES[kind], at)
    if kind in _ENDINGS:
        fields["closing"] = True
    change = _CHANGES.get(kind)
    if change:
        fields |= change(view, fact, body)
    rank = _STANDINGS.get(kind)
    if rank:
        standing = rank(body)
        if standing.rank > view.standing.rank:
            fields["standing"] = standing
    fields |= counted(view, fact, fields.get("tenant") or view.tenant)
    return msgspec.structs.replace(view, **fields)


# -- intake, validation


def _submission_rejected(view: IntentView, fact: Fact, body: SubmissionRejected) -> IntentView:
    """It counts for no intent: neither for that of its key nor as a fact of this view."""
    if view.rejection is not None or fact.topic != "ledger.intake":
        return view
    found = rejection(fact, body)
    return view if found is None else msgspec.structs.replace(view, rejection=found)


def _accepted(view: IntentView, fact: Fact, body: IntentAccepted) -> Fields:
    envelope = fact.envelope
    if view.tenant:
        return {}
    return {
        "tenant": envelope.tenant,
        "account": envelope.account,
        "tool": body.tool,
        "requester": body.principal.subject,
        "capability": body.capability,
        "idempotency_key": body.idempotency_key,
        "trace_parent": envelope.trace_parent,
        "accepted_at": envelope.occurred_at,
        "expires_at": body.expires_at,
        "origin": Origin(envelope.cause.id, body.content_digest, envelope.event_id),
    }


def _allowed(view: IntentView, fact: Fact, body: IntentAllowed) -> Fields:
    return {"findings": _findings(body.results), "price_micros": body.price_micros}


def _blocked(view: IntentView, fact: Fact, body: IntentBlocked) -> Fields:
    return {"findings": _findings(body.results)}


def _rechecked(body: ExecutionDispatched | ExecutionRefused) -> Fields:
    return {"rechecks": _findings(body.rechecks)} if body.rechecks else {}


def _findings(results: tuple[ValidatorResult, ...]) -> tuple[Finding, ...]:
    return tuple([Finding(r.validator, r.choke_point, r.verdict, r.code, r.reason, r.target) for r in results])


# -- approval


def _requested(view: IntentView, fact: Fact, body: ApprovalRequested) -> Fields:
    return {"approval": ApprovalView(body.action_digest, body.needed, body.roles, body.expires_at, body.display)}


def _voted(view: IntentView, fact: Fact, body: ApprovalVoted) -> Fields:
    ballot = Ballot(fact.envelope.occurred_at, body.voter, body.vote, body.reason)
    fields: Fields = {"ballots": (*view.ballots[1 - BALLOTS_MAX :], ballot)}
    if body.vote is Vote.APPROVE and body.voter not in view.approvers:
        fields["approvers"] = (*view.approvers[1 - BALLOTS_MAX :], body.voter)
    return fields


def _consent(consent: Consent) -> Callable[[IntentView, Fact, Any], Fields]:
    return lambda view, fact, body: {"consent": consent}


# -- budget


def _reserved(view: IntentView, fact: Fact, body: BudgetReserved) -> Fields:
    return {"set_aside_micros": body.amount_micros, "reserved_micros": body.amount_micros}


def _settled(view: IntentView, fact: Fact, body: BudgetSettled) -> Fields:
    return {"reserved_micros": 0, "settled_micros": body.actual_micros}


def _released(view: IntentView, fact: Fact, body: BudgetReleased) -> Fields:
    return {"reserved_micros": 0, "released_micros": body.amount_micros}


def _corrected(view: IntentView, fact: Fact, body: BudgetCorrected) -> Fields:
    return {"corrected_micros": body.to_micros}


# -- execution: `attempts.py` tells what became of each attempt


def _dispatched(view: IntentView, fact: Fact, body: ExecutionDispatched) -> Fields:
    return attempts.dispatched(view, fact, body) | _rechecked(body)


def _refused(view: IntentView, fact: Fact, body: ExecutionRefused) -> Fields:
    return attempts.stopped(view, fact, body) | _rechecked(body)


# -- outcome


def _ended(view: IntentView, fact: Fact, body: OutcomeRecorded) -> Fields:
    return {"cost_micros": body.cost_micros, "object_refs": body.object_refs, "ended_at": fact.envelope.occurred_at}


def _amended(view: IntentView, fact: Fact, body: OutcomeAmended) -> Fields:
    standing = Standing((91, fact.envelope.seq, 0), State(body.status.value), "AMENDED", body.reason)
    return {"cost_micros": body.cost_micros, "object_refs": body.object_refs, "standing": standing}


# -- any service


def _parked(view: IntentView, fact: Fact, body: KeyParked) -> Fields:
    return {"parked": tuple(sorted({*view.parked, _writer(fact)}))}


def _unparked(view: IntentView, fact: Fact, body: KeyUnparked) -> Fields:
    return {"parked": tuple(name for name in view.parked if name != _writer(fact))}


def _writer(fact: Fact) -> str:
    return fact.topic.removeprefix("ledger.")


_CHANGES: Final[Mapping[type, Callable[[IntentView, Fact, Any], Fields]]] = {
    IntentAccepted: _accepted,
    IntentAllowed: _allowed,
    IntentBlocked: _blocked,
    ApprovalRequested: _requested,
    ApprovalVoted: _voted,
    ApprovalGranted: _consent(Consent.GRANTED),
    ApprovalDenied: _consent(Consent.DENIED),
    ApprovalExpired: _consent(Consent.EXPIRED),
    ApprovalCancelled: _consent(Consent.CANCELLED),
    ApprovalWithdrawn: _consent(Consent.WITHDRAWN),
    BudgetReserved: _reserved,
    BudgetSettled: _settled,
    BudgetReleased: _released,
    BudgetCorrected: _corrected,
    ExecutionDispatched: _dispatched,
    ExecutionRefused: _refused,
    ExecutionCancelled: attempts.stopped,
    ExecutionExpired: attempts.stopped,
    ExecutionRetryScheduled: attempts.again,
    ExecutionSucceeded: attempts.succeeded,
    ExecutionFailed: attempts.failed,
    ExecutionInDoubt: attempts.in_doubt,
    ExecutionResolved: attempts.resolved,
    ProgressReported: attempts.progressed,
    OutcomeRecorded: _ended,
    OutcomeAmended: _amended,
    KeyParked: _parked,
    KeyUnparked: _unparked,
}

_PENDING, _READY, _GRANTED = (
    Standing((10, 0, 0), State.PENDING), Standing((20, 0, 0), State.READY), Standing((30, 0, 0), State.READY)
)  # fmt: skip
_ASKING, _PAID = Standing((20, 0, 0), State.AWAITING_APPROVAL), Standing((RESERVED, 0, 0), State.READY)

# Rank and state of an event: later stages outrank earlier ones, then the attempt counts. Amendments see `_amended`.
_STANDINGS: Final[Mapping[type, Callable[[Any], Standing]]] = {
    IntentAccepted: lambda b: _PENDING,
    IntentAllowed: lambda b: _ASKING if b.human_required else _READY,
    ApprovalGranted: lambda b: _GRANTED,
    BudgetReserved: lambda b: _PAID,
    ExecutionRetryScheduled: lambda b: Standing((50, b.attempt, 0), State.RUNNING, b.code, b.reason),
    ExecutionDispatched: lambda b: Standing((50, b.attempt, 1), State.RUNNING),
    ExecutionInDoubt: lambda b: Standing((60, b.attempt, 0), State.IN_DOUBT, b.code, b.reason),
    OutcomeRecorded: lambda b: Standing((90, 0, 0), State(b.status.value), b.code, b.reason),
}
