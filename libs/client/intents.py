"""What an agent proposes, and the same in the words of the ledger and of gRPC."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import UUID, uuid4

from libs.client.errors import InvalidRequest
from libs.contracts import events
from libs.contracts.errors import CodecError
from libs.contracts.events import CostClass, EvidenceKind
from libs.contracts.proto.deedbook.intake.v1 import intake_pb2 as pb
from libs.governance.digests import JsonRefused, read_object
from libs.ledger.codec import encode_message
from libs.runtime.requests import show_enum, show_id, show_micros

LIFETIME = timedelta(hours=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SAME = (
    *("idempotency_key", "account", "tool", "capability", "arguments", "cost_cap_micros", "snapshot_id"),
    *("trace_parent", "run_id", "plan_id", "step_id", "parent_id"),
)


@dataclass(frozen=True)
class Evidence:
    """Something that an action rests on: a source or a record by `type` and `id`, or an event of the ledger, which must
    be one of the tenant's own.

    >>> from deedbook import Evidence
    >>> Evidence("ticket", "OPS-17").kind
    <EvidenceKind.SOURCE: 'SOURCE'>
    >>> Evidence.event("64ef0147-1ce7-563a-a038-af28ff516a04", "0f1c5c3e-9d0b-5a4f-8c27-d1e0b4a3962d").kind
    <EvidenceKind.LEDGER_EVENT: 'LEDGER_EVENT'>
    """

    type: str
    id: str
    kind: EvidenceKind = EvidenceKind.SOURCE

    @classmethod
    def event(cls, intent_id: str, event_id: str) -> Self:
        """Cites one entry of another deed's timeline, such as what was read before."""
        return cls(intent_id, event_id, EvidenceKind.LEDGER_EVENT)


@dataclass(frozen=True)
class DataSource:
    """Data that the agent used, with the moment as of which it was right (an aware datetime)."""

    name: str
    as_of: datetime


def _new_key() -> str:
    return uuid4().hex


def _in_an_hour() -> datetime:
    return datetime.now(UTC) + LIFETIME


@dataclass(frozen=True, kw_only=True)
class Intent:
    """One action that an agent asks for. Keep it until its end is known: the same object submitted again is the same
    intent, the same key with anything else in it (expiry and evidence included) is refused as KEY_REUSED.

    >>> from deedbook import Intent
    >>> intent = Intent(tool="git/git_commit", arguments={"message": "Pay invoice 4711"}, key="invoice-4711-paid")
    >>> intent.key
    'invoice-4711-paid'
    """

    tool: str
    """`server/tool`, as the operator registered it."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """What the tool takes: a JSON object; integers within 2^53, no NaN."""
    key: str = field(default_factory=_new_key)
    """Unique per tenant, 1 to 200 bytes: the same key means the same intent. A new one by default."""
    account: str = ""
    """The account that the action is for, among those of the token; empty = none."""
    capability: str = ""
    """What the action is for, as policies and kill switches name it."""
    evidence: tuple[Evidence, ...] = ()
    """What the action rests on."""
    data_sources: tuple[DataSource, ...] = ()
    """The data that was used, with its age."""
    expires_at: datetime = field(default_factory=_in_an_hour)
    """After this moment (aware) nothing is started. In an hour by default, in 31 days at most."""
    cost_cap_micros: int | None = None
    """The most that it may cost; it can only refuse. None = no cap of the agent's own."""
    cost_class: CostClass | None = None
    """What the agent thinks that it costs: advice."""
    snapshot_id: str = ""
    run_id: str = ""
    plan_id: str = ""
    step_id: str = ""
    parent_id: str = ""
    trace_parent: str = ""
    """W3C traceparent, by which whatever is logged about the intent is found; empty = a new trace when it is submitted.
    It is no content: the same intent may come with another one."""
    retry_of: str = ""
    """The id of an intent that definitely failed and that this one tries again (see `Client.retry`)."""
    edited_from: str = ""
    """The id of a denied intent of which this one is the corrected form."""


def to_event(intent: Intent) -> events.Intent:
    """The intent as the ledger has it. Raises InvalidRequest for what intake would refuse as unreadable."""
    return events.Intent(
        idempotency_key=intent.key,
        tool=intent.tool,
        capability=intent.capability,
        arguments=_json(intent.arguments),
        expires_at=micros(intent.expires_at, "expires_at"),
        account=intent.account,
        cost_class=intent.cost_class,
        cost_cap_micros=intent.cost_cap_micros,
        evidence=tuple(events.Evidence(kind=one.kind, type=one.type, id=one.id) for one in intent.evidence),
        snapshot_id=intent.snapshot_id,
        data_sources=tuple(
            events.DataSource(name=one.name, as_of_at=micros(one.as_of, "data_sources.as_of"))
            for one in intent.data_sources
        ),
        trace_parent=intent.trace_parent,
        run_id=intent.run_id,
        plan_id=intent.plan_id,
        step_id=intent.step_id,
        parent_id=intent.parent_id,
        retry_of=_uuid(intent.retry_of, "retry_of"),
        edited_from=_uuid(intent.edited_from, "edited_from"),
    )


def to_record(event: events.Intent) -> bytes:
    """The same as Kafka has it. Raises InvalidRequest for what has no place there."""
    try:
        return encode_message(event)
    except CodecError as error:
        raise InvalidRequest(f"A field has a value that it cannot have: {error}", "FIELD_INVALID") from None


def to_wire(event: events.Intent) -> pb.Intent:
    """The same as gRPC has it. Raises InvalidRequest for what has no place there."""
    try:
        return _to_wire(event)
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"A field has a value that it cannot have: {error}", "FIELD_INVALID") from None


def _to_wire(event: events.Intent) -> pb.Intent:
    wire = pb.Intent(
        **{name: getattr(event, name) for name in _SAME},
        cost_class=show_enum(event.cost_class, pb.CostClass),
        expire_time=show_micros(event.expires_at),
        retry_of=show_id(event.retry_of) if event.retry_of else None,
        edited_from=show_id(event.edited_from) if event.edited_from else None,
    )
    for one in event.evidence:
        wire.evidence.add(kind=show_enum(one.kind, pb.EvidenceKind), type=one.type, id=one.id)
    for source in event.data_sources:
        wire.data_sources.add(name=source.name, as_of_time=show_micros(source.as_of_at))
    return wire


def micros(moment: datetime, name: str) -> int:
    """Microseconds since 1970. Raises InvalidRequest for a moment that does not say its time zone."""
    if moment.utcoffset() is None:
        raise InvalidRequest(f"{name} has no time zone.", "FIELD_INVALID", "Use an aware datetime: datetime.now(UTC).")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _json(arguments: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(dict(arguments), ensure_ascii=False, separators=(",", ":"))
        read_object(text)
    except JsonRefused as error:
        raise InvalidRequest(f"The arguments are no strict JSON: {error}.", error.code) from None
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"The arguments are no JSON: {error}.", "JSON_SYNTAX") from None
    except RecursionError:
        raise InvalidRequest("The arguments are nested too deep.", "JSON_TOO_DEEP") from None
    return text


def _uuid(text: str, name: str) -> bytes | None:
    try:
        return UUID(text).bytes if text else None
    except ValueError:
        raise InvalidRequest(f"{name} is no UUID.", "FIELD_INVALID") from None
