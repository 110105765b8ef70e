"""From an answer of the status service to a `Deed`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.timestamp_pb2 import Timestamp

from libs.client import results
from libs.contracts.events import FailureCategory, Verdict
from libs.contracts.proto.deedbook.status.v1 import status_pb2 as pb
from libs.governance.remedies import remedy_after, remedy_in_doubt

E = TypeVar("E", bound=StrEnum)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_deed(wire: pb.Intent) -> results.Deed:
    """The deed of an answer. A state that this release does not know reads as PENDING: it is on its way."""
    return results.Deed(
        intent_id=wire.intent_id,
        key=wire.idempotency_key,
        account=wire.account,
        tool=wire.tool,
        capability=wire.capability,
        requester=wire.requester,
        state=_enum(wire.state, pb.State, results.State) or results.State.PENDING,
        overdue=wire.overdue,
        version=wire.version,
        code=wire.code,
        reason=wire.reason,
        remedy=_remedy(wire),
        category=_enum(wire.error_category, pb.ErrorCategory, FailureCategory),
        created_at=moment(wire, "create_time"),
        updated_at=moment(wire, "update_time"),
        expires_at=moment(wire, "expire_time"),
        ended_at=moment(wire, "end_time"),
        attempts=wire.attempts,
        price_micros=wire.price_micros,
        reserved_micros=wire.reserved_micros,
        cost_micros=wire.cost_micros,
        refs=tuple(results.ObjectRef(one.type, one.id) for one in wire.object_refs),
        waiting=_waiting(wire.waiting) if wire.HasField("waiting") else None,
        approval=_approval(wire.approval) if wire.HasField("approval") else None,
        stages=tuple(results.Stage(one.name, moment(one, "reach_time")) for one in wire.stages),
        timeline=tuple(map(_entry, wire.timeline)),
        timeline_dropped=wire.timeline_dropped,
        positions=tuple(map(_position, wire.positions)),
        trace_parent=wire.trace_parent,
        findings=tuple(map(_finding, wire.findings)),
        rechecks=tuple(map(_finding, wire.rechecks)),
        tries=tuple(map(_attempt, wire.tries)),
        doubt=_doubt(wire.doubt) if wire.HasField("doubt") else None,
        progress=_progress(wire.progress) if wire.HasField("progress") else None,
        money=_money(wire.money) if wire.HasField("money") else None,
    )


def _remedy(wire: pb.Intent) -> str:
    """What its caller can do. As long as it goes on by itself there is nothing: it may be about to happen."""
    if wire.state == pb.STATE_IN_DOUBT:
        return remedy_in_doubt(wire.code)
    return remedy_after(wire.code) if wire.code and wire.HasField("end_time") else ""


def moment(message: Any, name: str) -> datetime | None:
    """The moment in a field, to the microsecond; None = unset."""
    if not message.HasField(name):
        return None
    at: Timestamp = getattr(message, name)
    return _EPOCH + timedelta(seconds=at.seconds, microseconds=at.nanos // 1000)


def _waiting(wire: pb.Waiting) -> results.Waiting:
    return results.Waiting(wire.what, wire.owner_role, moment(wire, "due_time"))


def _approval(wire: pb.ApprovalRequest) -> results.Approval:
    return results.Approval(
        action_digest=wire.action_digest,
        needed=wire.needed,
        approvers=tuple(wire.approvers),
        roles=tuple(wire.roles),
        expires_at=moment(wire, "expire_time"),
        display=wire.display,
        consent=_enum(wire.consent, pb.Consent, results.Consent),
        ballots=tuple(
            results.Ballot(one.voter, one.approve, one.reason, moment(one, "vote_time")) for one in wire.ballots
        ),
    )


def _entry(wire: pb.TimelineEntry) -> results.Entry:
    return results.Entry(
        position=_position(wire.position),
        event_id=wire.event_id,
        event=wire.event,
        decided_at=moment(wire, "decide_time"),
        actor=wire.actor,
        code=wire.code,
        reason=wire.reason,
        control_seq=wire.control_seq,
    )


def _position(wire: pb.Position) -> results.Position:
    return results.Position(wire.topic, wire.partition, wire.seq)


def _finding(wire: pb.Finding) -> results.Finding:
    return results.Finding(
        validator=wire.validator,
        choke_point=wire.choke_point,
        verdict=_enum(wire.verdict, pb.Verdict, Verdict),
        code=wire.code,
        reason=wire.reason,
        target=wire.target,
    )


def _attempt(wire: pb.Attempt) -> results.Attempt:
    return results.Attempt(
        attempt=wire.attempt,
        dispatched_at=moment(wire, "dispatch_time"),
        started_at=moment(wire, "start_time"),
        ended_at=moment(wire, "end_time"),
        server=wire.server,
        effect_class=wire.effect_class,
        status=_enum(wire.status, pb.AttemptStatus, results.AttemptStatus),
        duration_ms=wire.duration_ms,
        code=wire.code,
        category=_enum(wire.error_category, pb.ErrorCategory, FailureCategory),
        reason=wire.reason,
        artifact=wire.artifact,
        response_digest=wire.response_digest,
    )


def _doubt(wire: pb.Doubt) -> results.Doubt:
    return results.Doubt(
        attempt=wire.attempt,
        began_at=moment(wire, "begin_time"),
        code=wire.code,
        reason=wire.reason,
        quiet_until=moment(wire, "quiet_until_time"),
        owner_role=wire.owner_role,
        applied=wire.applied if wire.HasField("applied") else None,
        resolved_at=moment(wire, "resolve_time"),
        by=wire.by,
        evidence=wire.evidence,
    )


def _progress(wire: pb.Progress) -> results.Progress:
    return results.Progress(wire.attempt, wire.percent, wire.message, moment(wire, "report_time"))


def _money(wire: pb.Money) -> results.Money:
    return results.Money(
        set_aside_micros=wire.set_aside_micros,
        settled_micros=wire.settled_micros if wire.HasField("settled_micros") else None,
        released_micros=wire.released_micros if wire.HasField("released_micros") else None,
        corrected_micros=wire.corrected_micros if wire.HasField("corrected_micros") else None,
    )


def _enum(value: int, wire: EnumTypeWrapper, kind: type[E]) -> E | None:
    """The member that a number stands for; None for 'unspecified' and for one that this release does not know."""
    prefix = wire.keys()[0].removesuffix("UNSPECIFIED")
    name = wire.Name(value).removeprefix(prefix) if value in wire.values() else ""
    return kind(name) if name in kind.__members__ else None
