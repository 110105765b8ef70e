"""A view of an intent in the words of the gRPC contract."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from libs.contracts.proto.deedbook.status.v1 import status_pb2 as pb
from libs.ledger.partition import lane_of
from libs.runtime.requests import show_enum, show_id, show_micros
from services.status.view import Entry, IntentView, error_category, is_overdue, waiting


def show(key: bytes, view: IntentView, now_at: int, lanes: int, timeline: bool = True) -> pb.Intent:
    """The intent as it stands; without its timeline in lists."""
    lane = lane_of(key, lanes)
    return pb.Intent(
        intent_id=show_id(key),
        account=view.account,
        tool=view.tool,
        requester=view.requester,
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
        reserved_micros=view.reserved_micros,
        cost_micros=view.cost_micros,
        object_refs=[pb.ObjectRef(type=ref.type, id=ref.id) for ref in view.object_refs],
        waiting=_waiting(view),
        approval=_approval(view),
        stages=[pb.Stage(name=name, reach_time=_moment(at)) for name, at in view.stages],
        timeline=[_entry(entry, lane) for entry in view.entries] if timeline else (),
        timeline_dropped=view.dropped,
        positions=[pb.Position(topic=topic, partition=lane, seq=seq) for topic, seq in view.positions],
    )


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
