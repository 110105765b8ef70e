"""A view of an intent or a submission in the words of the gRPC contract."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from libs.contracts.events import Vote
from libs.contracts.proto.deedbook.status.v1 import status_pb2 as pb
from libs.ledger.partition import lane_of
from libs.runtime.requests import show_enum, show_id, show_micros
from services.status.submissions import Rejection, SubmissionState
from services.status.timeline import Entry
from services.status.view import Doubt, Finding, IntentView, Progress, Try, error_category, is_overdue, waiting


def show(key: bytes, view: IntentView, now_at: int, lanes: int, details: bool = True) -> pb.Intent:
    """The intent as it stands; in lists without its details."""
    lane = lane_of(key, lanes)
    shown = pb.Intent(
        intent_id=show_id(key),
        account=view.account,
        tool=view.tool,
        capability=view.capability,
        requester=view.requester,
        idempotency_key=view.idempotency_key,
        trace_parent=view.trace_parent,
        state=show_enum(view.standing.state, pb.State),
        overdue=is_overdue(view, now_at),
        version=view.version,
        code=view.standing.code,
        reason=view.standing.reason,
        error_category=show_enum(error_category(view), pb.ErrorCategory),
        create_time=_moment(view.accepted_at),
        update_time=_moment(view.updated_at),
        expire_time=_moment(view.expires_at),
        end_time=_moment(view.ended_at),
        attempts=view.attempts,
        price_micros=view.price_micros,
        reserved_micros=view.reserved_micros,
        cost_micros=view.cost_micros,
        object_refs=[pb.ObjectRef(type=ref.type, id=ref.id) for ref in view.object_refs],
        waiting=_waiting(view),
        approval=_approval(view),
        stages=[pb.Stage(name=name, reach_time=_moment(at)) for name, at in view.stages],
        positions=[pb.Position(topic=topic, partition=lane, seq=seq) for topic, seq in view.positions],
        doubt=_doubt(view.doubt),
        progress=_progress(view.progress),
        money=_money(view),
    )
    if details:
        shown.timeline.extend(_entry(entry, lane) for entry in view.entries)
        shown.timeline_dropped = view.dropped
        shown.findings.extend(map(_finding, view.findings))
        shown.rechecks.extend(map(_finding, view.rechecks))
        shown.tries.extend(map(_attempt, view.tries))
    return shown


def show_rejected(key: bytes, found: Rejection) -> pb.Submission:
    """A submission that was refused."""
    return pb.Submission(
        submission_id=show_id(key),
        state=show_enum(SubmissionState.REJECTED, pb.SubmissionState),
        code=found.code,
        error_category=show_enum(found.category, pb.ErrorCategory),
        reason=found.reason,
        remedy=found.remedy,
        idempotency_key=found.idempotency_key,
        decide_time=_moment(found.at),
        event_id=show_id(found.event_id),
    )


def show_submitted(key: bytes, intent_id: bytes, view: IntentView, state: SubmissionState) -> pb.Submission:
    """A submission that is, or may be, the intent of its key."""
    shown = pb.Submission(
        submission_id=show_id(key),
        state=show_enum(state, pb.SubmissionState),
        intent_id=show_id(intent_id),
        idempotency_key=view.idempotency_key,
    )
    if state is not SubmissionState.PENDING and view.origin is not None:
        shown.event_id = show_id(view.origin.event_id)
        shown.decide_time.CopyFrom(show_micros(view.accepted_at))
    return shown


def _moment(micros: int) -> Timestamp | None:
    return show_micros(micros) if micros else None


def _waiting(view: IntentView) -> pb.Waiting | None:
    found = waiting(view)
    if found is None:
        return None
    what, role, due_at = found
    return pb.Waiting(what=what, owner_role=role, due_time=_moment(due_at))


def _approval(view: IntentView) -> pb.ApprovalRequest | None:
    asked = view.approval
    if asked is None:
        return None
    return pb.ApprovalRequest(
        action_digest=asked.action_digest.hex(),
        needed=asked.needed,
        approvers=view.approvers,
        roles=asked.roles,
        expire_time=_moment(asked.expires_at),
        display=asked.display,
        consent=show_enum(view.consent, pb.Consent),
        ballots=[
            pb.Ballot(voter=one.voter, approve=one.vote is Vote.APPROVE, reason=one.reason, vote_time=_moment(one.at))
            for one in view.ballots
        ],
    )


def _finding(one: Finding) -> pb.Finding:
    return pb.Finding(
        validator=one.validator,
        choke_point=one.choke_point.value,
        verdict=show_enum(one.verdict, pb.Verdict),
        code=one.code,
        reason=one.reason,
        target=one.target,
    )


def _attempt(one: Try) -> pb.Attempt:
    return pb.Attempt(
        attempt=one.attempt,
        dispatch_time=_moment(one.dispatched_at),
        server=one.server,
        effect_class=one.effect_class.value,
        status=show_enum(one.status, pb.AttemptStatus),
        end_time=_moment(one.ended_at),
        start_time=_moment(one.started_at),
        duration_ms=one.duration_ms,
        code=one.code,
        error_category=show_enum(one.category, pb.ErrorCategory),
        reason=one.reason,
        artifact=one.artifact,
        response_digest=one.response_digest.hex() if one.response_digest else "",
    )


def _doubt(one: Doubt | None) -> pb.Doubt | None:
    if one is None:
        return None
    return pb.Doubt(
        attempt=one.attempt,
        begin_time=_moment(one.at),
        code=one.code,
        reason=one.reason,
        quiet_until_time=_moment(one.quiet_until_at),
        owner_role=one.owner_role,
        applied=one.applied,
        resolve_time=_moment(one.resolved_at),
        by=one.by,
        evidence=one.evidence,
    )


def _progress(one: Progress | None) -> pb.Progress | None:
    if one is None:
        return None
    return pb.Progress(attempt=one.attempt, percent=one.percent, message=one.message, report_time=_moment(one.at))


def _money(view: IntentView) -> pb.Money | None:
    if not view.set_aside_micros and view.settled_micros is None and view.released_micros is None:
        return None
    return pb.Money(
        set_aside_micros=view.set_aside_micros,
        settled_micros=view.settled_micros,
        released_micros=view.released_micros,
        corrected_micros=view.corrected_micros,
    )


def _entry(entry: Entry, lane: int) -> pb.TimelineEntry:
    return pb.TimelineEntry(
        position=pb.Position(topic=entry.topic, partition=lane, seq=entry.seq),
        event_id=show_id(entry.event_id),
        event=entry.event,
        decide_time=_moment(entry.at),
        actor=entry.actor,
        code=entry.code,
        reason=entry.reason,
        control_seq=entry.control_seq,
    )
