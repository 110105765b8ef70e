"""The front of intake: an intent over gRPC takes the same path as one from Kafka. It is looked at as intake looks at
every submission, and put on the log in its home lane; whether it is accepted is decided there."""

# ruff: noqa: N802 - the contract names the methods
from __future__ import annotations

from typing import Any, Protocol

from libs.contracts import events
from libs.contracts.proto.deedbook.intake.v1 import intake_pb2 as pb
from libs.contracts.proto.deedbook.intake.v1 import intake_pb2_grpc as rpc
from libs.governance.control import ControlView
from libs.governance.digests import content_digest
from libs.governance.identity import intent_id, submission_id
from libs.governance.limits import IntentLimits
from libs.ledger.codec import CodecError, encode_message
from libs.ledger.partition import lane_of
from libs.runtime.clock import wall_micros
from libs.runtime.logs import trace_id
from libs.runtime.outbound import Outbound
from libs.runtime.requests import read_enum, read_id, read_micros, show_id
from libs.runtime.rpc import AccountDenied, BadRequest, caller, trace_parent
from services.intake.reading import SubmissionRefused, check
from services.intake.refusals import REFUSALS

NAME = "deedbook.intake.v1.IntakeService"
TOPIC = "intake.home"
ORIGIN = "grpc"


class View(Protocol):
    """What is in force, as of now."""

    @property
    def view(self) -> ControlView: ...


class IntakeHandler(rpc.IntakeServiceServicer):
    """Answers once the submission is durable."""

    def __init__(self, outbound: Outbound, lanes: int, tail: View, limits: IntentLimits) -> None:
        self._outbound = outbound
        self._lanes = lanes
        self._tail = tail
        self._limits = limits

    async def Submit(self, request: pb.SubmitRequest, context: Any) -> pb.SubmitResponse:
        who, now_at = caller(), wall_micros()
        intent = read_intent(request.intent)
        arguments = self._check(intent, who, now_at)
        key = intent_id(who.tenant, intent.idempotency_key)
        lane = lane_of(key, self._lanes)
        offset = await self._outbound.send(TOPIC, lane, key, _submission(intent, who, now_at))
        submission = show_id(submission_id(TOPIC, lane, offset))
        return pb.SubmitResponse(
            intent_id=show_id(key),
            topic=TOPIC,
            partition=lane,
            offset=offset,
            submission_id=submission,
            content_digest=content_digest(intent, arguments, who.subject).hex(),
        )

    def _check(self, intent: events.Intent, who: events.Principal, now_at: int) -> str:
        """The canonical arguments; says at once what intake would say later. Raises BadRequest or AccountDenied."""
        try:
            arguments = check(intent, who, now_at, self._limits, self._tail.view)
            if intent.expires_at <= now_at:
                raise SubmissionRefused("EXPIRED", "the intent has expired already")
        except SubmissionRefused as error:
            if error.code == "PERMISSION_DENIED":
                raise AccountDenied from None
            raise BadRequest(f"{error.told}. {REFUSALS[error.code][1]}", error.code) from None
        return arguments


def read_intent(given: pb.Intent) -> events.Intent:
    """The intent in the words of the ledger. Raises BadRequest."""
    cost_class = None
    if given.cost_class != pb.COST_CLASS_UNSPECIFIED:
        cost_class = read_enum(given.cost_class, pb.CostClass, events.CostClass, "intent.cost_class")
    return events.Intent(
        idempotency_key=given.idempotency_key,
        tool=given.tool,
        capability=given.capability,
        arguments=given.arguments,
        expires_at=read_micros(given.expire_time, "intent.expire_time"),
        account=given.account,
        cost_class=cost_class,
        cost_cap_micros=given.cost_cap_micros if given.HasField("cost_cap_micros") else None,
        evidence=tuple(
            events.Evidence(
                kind=read_enum(one.kind, pb.EvidenceKind, events.EvidenceKind, "intent.evidence.kind"),
                type=one.type,
                id=one.id,
            )
            for one in given.evidence
        ),
        snapshot_id=given.snapshot_id,
        data_sources=tuple(
            events.DataSource(name=one.name, as_of_at=read_micros(one.as_of_time, "intent.data_sources.as_of_time"))
            for one in given.data_sources
        ),
        trace_parent=given.trace_parent if trace_id(given.trace_parent) else trace_parent(),
        run_id=given.run_id,
        plan_id=given.plan_id,
        step_id=given.step_id,
        parent_id=given.parent_id,
        retry_of=read_id(given.retry_of, "intent.retry_of") if given.HasField("retry_of") else None,
        edited_from=read_id(given.edited_from, "intent.edited_from") if given.HasField("edited_from") else None,
    )


def _submission(intent: events.Intent, who: events.Principal, now_at: int) -> bytes:
    try:
        return encode_message(
            events.HomeSubmission(
                intent=encode_message(intent),
                principal=who,
                arrived_at=now_at,
                origin_topic=ORIGIN,
                origin_partition=0,
                origin_offset=0,
                forwarded=False,
                trace_parent=intent.trace_parent,
            )
        )
    except CodecError as error:
        raise BadRequest("the intent cannot be written down", error.code) from None
