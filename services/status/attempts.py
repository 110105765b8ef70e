"""What became of each attempt. All of it is told by execution alone, in its order."""

from __future__ import annotations

from typing import Any

import msgspec

from libs.contracts.events import (
    ExecutionCancelled,
    ExecutionDispatched,
    ExecutionExpired,
    ExecutionFailed,
    ExecutionInDoubt,
    ExecutionRefused,
    ExecutionResolved,
    ExecutionRetryScheduled,
    ExecutionSucceeded,
    ProgressReported,
)
from libs.ledger.service import Fact
from services.status.view import Doubt, IntentView, Progress, Try, TryStatus

TRIES_MAX = 20
Fields = dict[str, Any]


def dispatched(view: IntentView, fact: Fact, body: ExecutionDispatched) -> Fields:
    """Another attempt has begun."""
    new = Try(body.attempt, fact.envelope.occurred_at, body.server, body.effect_class)
    return {"attempts": body.attempt, "retry_at": 0, "tries": (*view.tries[1 - TRIES_MAX :], new)}


def again(view: IntentView, fact: Fact, body: ExecutionRetryScheduled) -> Fields:
    """The last attempt failed in a way that is worth another, or nobody knows what became of it."""
    status = TryStatus.FAILED if body.call_until_at is None else TryStatus.IN_DOUBT
    tries = _closed(view, fact, body.attempt - 1, status=status, code=body.code, reason=body.reason)
    return {"retry_at": body.retry_at, "tries": tries}


def succeeded(view: IntentView, fact: Fact, body: ExecutionSucceeded) -> Fields:
    """The tool carried it out."""
    tries = _closed(
        view,
        fact,
        body.attempt,
        status=TryStatus.SUCCEEDED,
        started_at=body.started_at,
        duration_ms=body.duration_ms,
        reason=body.summary,
        artifact=body.artifact,
        response_digest=body.response_digest,
    )
    return {"tries": tries}


def failed(view: IntentView, fact: Fact, body: ExecutionFailed) -> Fields:
    """The tool definitely did not."""
    tries = _closed(
        view,
        fact,
        body.attempt,
        status=TryStatus.FAILED,
        duration_ms=body.duration_ms,
        code=body.code,
        category=body.category,
        reason=body.reason,
    )
    return {"category": body.category, "tries": tries}


def stopped(view: IntentView, fact: Fact, body: ExecutionCancelled | ExecutionExpired | ExecutionRefused) -> Fields:
    """Ended without a call; an attempt that was dispatched was provably not sent."""
    if not body.not_sent:
        return {}
    code: str = getattr(body, "code", "EXPIRED")
    tries = _closed(view, fact, body.attempt, status=TryStatus.NOT_SENT, code=code, reason=body.reason)
    return {"tries": tries}


def in_doubt(view: IntentView, fact: Fact, body: ExecutionInDoubt) -> Fields:
    """Nobody knows. That the tool is asked does not change how the doubt began."""
    if view.doubt is not None and view.doubt.attempt == body.attempt:
        return {}
    doubt = Doubt(body.attempt, fact.envelope.occurred_at, body.code, body.reason, body.quiet_until_at, body.owner_role)
    tries = _closed(view, fact, body.attempt, status=TryStatus.IN_DOUBT, code=body.code, reason=body.reason)
    return {"doubt": doubt, "tries": tries}


def resolved(view: IntentView, fact: Fact, body: ExecutionResolved) -> Fields:
    """Somebody does."""
    if view.doubt is None:
        return {}
    doubt = msgspec.structs.replace(
        view.doubt,
        applied=body.applied,
        resolved_at=fact.envelope.occurred_at,
        by=body.by,
        evidence=body.evidence,
    )
    return {"doubt": doubt}


def progressed(view: IntentView, fact: Fact, body: ProgressReported) -> Fields:
    """The latest word of a long call; earlier ones are not kept."""
    return {"progress": Progress(body.attempt, body.percent, body.message, fact.envelope.occurred_at)}


def _closed(view: IntentView, fact: Fact, attempt: int, **known: Any) -> tuple[Try, ...]:
    """The attempts, with what is known now of the last one."""
    if not view.tries or view.tries[-1].attempt != attempt:
        return view.tries
    known["ended_at"] = fact.envelope.occurred_at
    return (*view.tries[:-1], msgspec.structs.replace(view.tries[-1], **known))
