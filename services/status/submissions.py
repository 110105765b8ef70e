"""What became of a submission. One that became an intent is told of by the intent's own view; one that was rejected has
a view of its own under its own id, which nobody can list and nobody takes for an intent: it has no tenant."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from libs.contracts.events import FailureCategory, SubmissionRejected
from libs.ledger.service import Fact


class SubmissionState(StrEnum):
    """What is known of a submission. The names are those of the status API."""

    PENDING = "PENDING"
    ACCEPTED = "ACCEPTED"
    REPEATED = "REPEATED"
    REJECTED = "REJECTED"


class Origin(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The submission that became the intent: its id, the digest of its content, and the event that says so."""

    submission_id: bytes
    content_digest: bytes
    event_id: bytes


class Rejection(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A submission that was refused, and the tenant that may hear of it."""

    tenant: str
    at: int
    event_id: bytes
    code: str
    category: FailureCategory
    reason: str
    remedy: str
    idempotency_key: str


def rejection(fact: Fact, body: SubmissionRejected) -> Rejection | None:
    """What its tenant may be told; None for a submission that is nobody's."""
    envelope = fact.envelope
    if not envelope.tenant or body.submission_id != envelope.intent_id:
        return None
    return Rejection(
        tenant=envelope.tenant,
        at=envelope.occurred_at,
        event_id=envelope.event_id,
        code=body.code,
        category=body.category,
        reason=body.reason,
        remedy=body.remedy,
        idempotency_key=body.idempotency_key,
    )


def standing(origin: Origin | None, submission_id: bytes, content_digest: bytes | None) -> SubmissionState:
    """What a submission is to the intent of its key, as long as nothing says that it was rejected."""
    if origin is not None and origin.submission_id == submission_id:
        return SubmissionState.ACCEPTED
    if origin is not None and origin.content_digest == content_digest:
        return SubmissionState.REPEATED
    return SubmissionState.PENDING
