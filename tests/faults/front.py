"""What a client sees and does: the gRPC ports of a running system, with a token of the local issuer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from libs.contracts.events import Intent
from libs.contracts.proto.deedbook.intake.v1 import intake_pb2, intake_pb2_grpc
from libs.contracts.proto.deedbook.status.v1 import status_pb2, status_pb2_grpc
from libs.runtime.requests import show_enum, show_id, show_micros
from libs.testkit import seeding
from libs.testkit.system import System

CALL_S = 10.0
T = TypeVar("T")


@dataclass
class Front:
    """One caller at both ports. Every call raises AioRpcError as the client library does."""

    gateway: grpc.aio.Channel
    intake: intake_pb2_grpc.IntakeServiceStub
    status: status_pb2_grpc.StatusServiceStub
    metadata: tuple[tuple[str, str], ...]

    async def submit(self, one: Intent) -> intake_pb2.SubmitResponse:
        """Submit what an agent would publish."""
        return await self.send(in_words_of_grpc(one))

    async def send(self, intent: intake_pb2.Intent) -> intake_pb2.SubmitResponse:
        """Submit anything at all."""
        request = intake_pb2.SubmitRequest(intent=intent)
        answer: Any = await self.intake.Submit(request, metadata=self.metadata, timeout=CALL_S)
        assert isinstance(answer, intake_pb2.SubmitResponse)
        return answer

    async def get(self, key: bytes) -> status_pb2.Intent:
        """One intent as status tells it."""
        request = status_pb2.GetRequest(intent_id=show_id(key))
        answer: Any = await self.status.Get(request, metadata=self.metadata, timeout=CALL_S)
        intent: status_pb2.Intent = answer.intent
        return intent

    async def find(self, key: bytes) -> status_pb2.Intent | None:
        """The same; None as long as nothing is known of it."""
        return await _if_found(self.get(key))

    async def submission(self, submission_id: str, **given: str) -> status_pb2.Submission | None:
        """One submission; None as long as nothing is known of it."""
        request = status_pb2.GetSubmissionRequest(submission_id=submission_id, **given)
        call: Any = self.status.GetSubmission(request, metadata=self.metadata, timeout=CALL_S)
        answer = await _if_found(call)
        found: status_pb2.Submission | None = answer.submission if answer is not None else None
        return found


async def _if_found(call: Awaitable[T]) -> T | None:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
        return None


@asynccontextmanager
async def front(system: System, tenant: str = seeding.TENANT, token: str = "") -> AsyncIterator[Front]:
    """Connected to both ports as an agent of a tenant, or with any token. The gateway is started when it is wanted
    for the first time: most tests put their records on the log themselves."""
    if "gateway" not in system.running:
        system.spawn(next(row for row in system.plan.rows if row.name == "gateway"))
        await system.ready()
    ports = json.loads(system.folder.ports.read_text())
    places = [f"127.0.0.1:{ports[f'{name}-grpc']}" for name in ("gateway", "status")]
    metadata = (("authorization", f"Bearer {token or system.token(tenant=tenant)}"),)
    async with grpc.aio.insecure_channel(places[0]) as gateway, grpc.aio.insecure_channel(places[1]) as status:
        yield Front(
            gateway, intake_pb2_grpc.IntakeServiceStub(gateway), status_pb2_grpc.StatusServiceStub(status), metadata
        )


def in_words_of_grpc(one: Intent) -> intake_pb2.Intent:
    """The same intent in the words of the other contract, as far as tests say something."""
    return intake_pb2.Intent(
        cost_cap_micros=one.cost_cap_micros,
        run_id=one.run_id,
        evidence=[
            intake_pb2.Evidence(kind=show_enum(item.kind, intake_pb2.EvidenceKind), type=item.type, id=item.id)
            for item in one.evidence
        ],
        idempotency_key=one.idempotency_key,
        account=one.account,
        tool=one.tool,
        capability=one.capability,
        arguments=one.arguments,
        expire_time=Timestamp() if one.expires_at <= 0 else show_micros(one.expires_at),
        data_sources=[
            intake_pb2.DataSource(name=source.name, as_of_time=show_micros(source.as_of_at))
            for source in one.data_sources
        ],
    )
