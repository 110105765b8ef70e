"""What every method has around it, through a real gRPC server on loopback: nobody passes without a token, refusals have
one code each, and nothing inside leaks out (A3, G4, T11, T25)."""

# ruff: noqa: N802 - the contract names the methods
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from libs.contracts.events import ActorKind, Principal
from libs.contracts.proto.deedbook.status.v1 import status_pb2 as pb
from libs.contracts.proto.deedbook.status.v1 import status_pb2_grpc
from libs.governance.tokens import Verified
from libs.runtime import rpc
from libs.runtime.grpc_server import GrpcServer
from libs.runtime.logs import trace_id
from libs.runtime.settings import GrpcSettings, StartRefused, load
from libs.runtime.telemetry import Metrics
from libs.testkit.lines import logged

pytestmark = [
    pytest.mark.requirement("A3"),
    pytest.mark.requirement("G4"),
    pytest.mark.requirement("T11"),
    pytest.mark.requirement("T25"),
]

ALICE = Principal("acme", "alice", ActorKind.HUMAN, (), ())
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CALLS = 20
RAISED: dict[str, Exception] = {
    "account": rpc.AccountDenied(),
    "role": rpc.RoleMissing(),
    "missing": rpc.NotFound(),
    "bad": rpc.BadRequest("field is wrong", "FIELD"),
    "busy": rpc.Overloaded(),
    "away": rpc.Away(),
    "bug": RuntimeError("the password is 5b3c7d0a"),
}


class Probe(status_pb2_grpc.StatusServiceServicer):
    """Answers who called, or raises what the request names."""

    async def Get(self, request: pb.GetRequest, context: Any) -> pb.GetResponse:
        if request.intent_id == "slow":
            await asyncio.sleep(30)
        if request.intent_id in RAISED:
            raise RAISED[request.intent_id]
        return pb.GetResponse(intent=pb.Intent(requester=rpc.caller().subject, reason=rpc.trace_parent()))

    async def Watch(self, request: pb.WatchRequest, context: Any) -> AsyncIterator[pb.WatchResponse]:
        yield pb.WatchResponse(intent=pb.Intent(requester=rpc.caller().subject))
        if request.intent_id in RAISED:
            raise RAISED[request.intent_id]


async def authenticate(header: str) -> Verified:
    if header != "Bearer alice":
        raise rpc.Unauthenticated
    return Verified(ALICE, 0, 1)


@pytest.fixture
async def server() -> AsyncIterator[GrpcServer]:
    settings = load(GrpcSettings, grpc_call_timeout_ms=300, grpc_request_bytes_max=2048)
    made = GrpcServer(settings, authenticate, Metrics(CollectorRegistry()))
    made.add("deedbook.status.v1.StatusService", status_pb2_grpc.add_StatusServiceServicer_to_server, Probe())
    await made.start()
    yield made
    await made.stop(0)


@pytest.fixture
async def stub(server: GrpcServer) -> AsyncIterator[status_pb2_grpc.StatusServiceStub]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield status_pb2_grpc.StatusServiceStub(channel)


def metadata(*more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return (("authorization", "Bearer alice"), *more)


async def refused(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return error.value


async def test_the_handler_knows_the_caller_and_the_trace(stub: Any) -> None:
    said = await stub.Get(pb.GetRequest(), metadata=metadata(("traceparent", TRACE)), timeout=5)
    assert (said.intent.requester, said.intent.reason) == ("alice", TRACE)


@pytest.mark.parametrize(
    "given",
    [
        (),
        (("authorization", ""),),
        (("authorization", "Bearer bob"),),
        (("x-tenant-id", "acme"),),
        (("authorization", "Bearer alice"), ("authorization", "Bearer bob")),
        (("authorization", "Bearer bob"), ("authorization", "Bearer alice")),
    ],
)
async def test_without_one_believed_token_nothing_is_answered(stub: Any, given: Any) -> None:
    for call in (
        stub.Get(pb.GetRequest(), metadata=given, timeout=5),
        stub.Watch(pb.WatchRequest(), metadata=given, timeout=5).read(),
    ):
        error = await refused(call)
        assert (error.code(), error.details()) == (grpc.StatusCode.UNAUTHENTICATED, "no valid token")


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("account", grpc.StatusCode.PERMISSION_DENIED, "ACCOUNT_DENIED"),
        ("role", grpc.StatusCode.PERMISSION_DENIED, "ROLE_MISSING"),
        ("missing", grpc.StatusCode.NOT_FOUND, "NOT_FOUND"),
        ("bad", grpc.StatusCode.INVALID_ARGUMENT, "FIELD"),
        ("busy", grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"),
        ("away", grpc.StatusCode.UNAVAILABLE, "AWAY"),
        ("bug", grpc.StatusCode.INTERNAL, "INTERNAL"),
    ],
)
async def test_each_refusal_has_its_code_in_unary_and_stream(stub: Any, name: str, status: Any, code: str) -> None:
    unary = await refused(stub.Get(pb.GetRequest(intent_id=name), metadata=metadata(), timeout=5))
    stream = stub.Watch(pb.WatchRequest(intent_id=name), metadata=metadata(), timeout=5)
    assert (await stream.read()).intent.requester == "alice"
    for error in (unary, await refused(stream.read())):
        assert error.code() == status
        trailing: Any = error.trailing_metadata()
        assert dict(trailing)[rpc.CODE_KEY] == code
        assert "5b3c7d0a" not in str(error.details())


async def test_a_call_without_a_deadline_has_ours(stub: Any) -> None:
    error = await refused(stub.Get(pb.GetRequest(intent_id="slow"), metadata=metadata(("traceparent", TRACE))))
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert trace_of(error) == trace_id(TRACE)


@pytest.mark.requirement("K3")
@pytest.mark.parametrize("given", [(), (("traceparent", "nonsense"),), (("traceparent", TRACE),)])
async def test_a_handler_that_raises_leaves_a_line_with_the_trace_id_that_its_caller_is_told(
    stub: Any, given: Any
) -> None:
    with logged() as lines:
        told = {
            trace_of(await refused(stub.Get(pb.GetRequest(intent_id="bug"), metadata=metadata(*given), timeout=5))),
            trace_of(await streamed(stub.Watch(pb.WatchRequest(intent_id="bug"), metadata=metadata(*given)))),
        }
    assert "" not in told
    assert (told == {trace_id(TRACE)}) == (len(told) == 1) == (TRACE in str(given))
    assert [line["event"] for line in lines] == ["a handler raised"] * 2
    assert {line["method"].rpartition("/")[2] for line in lines} == {"Get", "Watch"}
    assert {line["trace_id"] for line in lines} == told


@pytest.mark.requirement("K3")
async def test_a_call_that_came_without_a_trace_has_one_for_what_follows_from_it(stub: Any) -> None:
    said = [await stub.Get(pb.GetRequest(), metadata=metadata(), timeout=5) for _ in range(2)]
    assert len({trace_id(one.intent.reason) for one in said} - {""}) == 2


async def streamed(stream: Any) -> grpc.aio.AioRpcError:
    """How it failed after its first answer."""
    await stream.read()
    return await refused(stream.read())


def trace_of(error: grpc.aio.AioRpcError) -> str:
    """The trace id that the caller is told."""
    trailing: Any = error.trailing_metadata()
    return str(dict(trailing)[rpc.TRACE_KEY])


async def test_too_large_a_request_is_not_read(stub: Any) -> None:
    error = await refused(stub.Get(pb.GetRequest(intent_id="x" * 4096), metadata=metadata(), timeout=5))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_methods_that_do_not_exist_are_unimplemented(stub: Any) -> None:
    error = await refused(stub.List(pb.ListRequest(), metadata=metadata(), timeout=5))
    assert error.code() in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INTERNAL)


async def test_health_is_open_to_all_and_per_service(server: GrpcServer) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", "deedbook.status.v1.StatusService"):
            said = await health.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
            assert said.status == health_pb2.HealthCheckResponse.SERVING
        await server.serving(False)
        said = await health.Check(health_pb2.HealthCheckRequest(), timeout=5)
        assert said.status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_watching_health_takes_no_place_from_those_who_have_a_token() -> None:
    async with crowded() as (health, stub):
        for _ in range(2 * CALLS):
            error = await refused(health.Watch(health_pb2.HealthCheckRequest(), timeout=5).read())
            assert error.code() == grpc.StatusCode.UNIMPLEMENTED
        said = await stub.Get(pb.GetRequest(), metadata=metadata(), timeout=5)
        assert said.intent.requester == "alice"


@pytest.mark.parametrize(
    ("method", "held"), [("/grpc.health.v1.Health/Check", 16), ("/deedbook.status.v1.StatusService/Get", 0)]
)
async def test_calls_that_never_say_what_they_want_leave_room_for_others(method: str, held: int) -> None:
    """Without a token: refused before the request is waited for; where none is needed, a few at once."""
    settings = load(GrpcSettings, grpc_call_timeout_ms=60_000, grpc_calls_max=CALLS)
    async with crowded(settings) as (health, stub):
        silent: Any = health.channel.stream_unary(method, None, None)
        calls = [silent(timeout=20) for _ in range(2 * CALLS)]
        refusals = asyncio.Semaphore(0)
        for call in calls:
            call.add_done_callback(lambda _: refusals.release())
        for _ in range(len(calls) - held):
            await asyncio.wait_for(refusals.acquire(), 5)
        said = await stub.Get(pb.GetRequest(), metadata=metadata(), timeout=5)
        assert said.intent.requester == "alice"
        for call in calls:
            call.cancel()
        for _ in range(400):  # the server hears of the cancelled ones by and by
            if (said := await _checked(health)) is not None:
                break
            await asyncio.sleep(0.05)
        assert said is not None
        assert said.status == health_pb2.HealthCheckResponse.SERVING


async def _checked(health: Any) -> Any:
    """What the health service says; None while it has no room."""
    try:
        return await health.Check(health_pb2.HealthCheckRequest(), timeout=5)
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        return None


async def test_who_has_a_token_and_says_nothing_is_not_waited_for_long(server: GrpcServer) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        silent: Any = channel.stream_unary("/deedbook.status.v1.StatusService/Get", None, None)
        error = await refused(silent(metadata=metadata(), timeout=10))
        assert (error.code(), error.details()) == (grpc.StatusCode.DEADLINE_EXCEEDED, "no answer in time; try again")
        unreadable: Any = channel.unary_unary("/deedbook.status.v1.StatusService/Get", None, None)
        error = await refused(unreadable(b"\xff\xff", metadata=metadata(), timeout=5))
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT


@dataclass
class Health:
    """Its stub, and the channel for calls that no stub would make."""

    channel: grpc.aio.Channel
    Check: Any
    Watch: Any


@asynccontextmanager
async def crowded(settings: GrpcSettings | None = None) -> AsyncIterator[tuple[Health, Any]]:
    """A server with few places, and two clients of it: one without a token."""
    made = GrpcServer(settings or load(GrpcSettings, grpc_calls_max=CALLS), authenticate, Metrics(CollectorRegistry()))
    made.add("deedbook.status.v1.StatusService", status_pb2_grpc.add_StatusServiceServicer_to_server, Probe())
    await made.start()
    own = [("grpc.use_local_subchannel_pool", 1)]
    try:
        async with (
            grpc.aio.insecure_channel(f"127.0.0.1:{made.port}", own) as one,
            grpc.aio.insecure_channel(f"127.0.0.1:{made.port}", own) as two,
        ):
            health = health_pb2_grpc.HealthStub(one)
            yield Health(one, health.Check, health.Watch), status_pb2_grpc.StatusServiceStub(two)
    finally:
        await made.stop(0)


async def test_a_port_that_is_taken_is_named(server: GrpcServer) -> None:
    settings = load(GrpcSettings, grpc_port=server.port)
    with pytest.raises(StartRefused, match="DEED_GRPC_PORT"):
        await GrpcServer(settings, authenticate, Metrics(CollectorRegistry())).start()
