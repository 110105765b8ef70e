"""What every gRPC method of ours has around it: a verified caller, a deadline, a trace id on each line, a count, and
one place where refusals become status codes. Handlers raise refusals; they never see a token.

    Refusal
    ├── Unauthenticated    UNAUTHENTICATED     no token that we believe, or none that names a tenant
    ├── AccountDenied      PERMISSION_DENIED   an account named in the request is outside the token's
    ├── RoleMissing        PERMISSION_DENIED   the method needs a role that the token does not have
    ├── NotFound           NOT_FOUND           not there, or not the caller's: the same words for both
    ├── BadRequest         INVALID_ARGUMENT    the request can never work; `code` and the text say why
    ├── Overloaded         RESOURCE_EXHAUSTED  too much at once: try later
    └── Away               UNAVAILABLE         something that is needed does not answer: try again
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from contextvars import ContextVar
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from libs.contracts.events import FailureCategory, Principal
from libs.governance.tokens import AuthRefused, Verified
from libs.runtime.logs import logger, trace_id, traceable, traced
from libs.runtime.telemetry import Metrics

CODE_KEY = "deedbook-code"
CATEGORY_KEY = "deedbook-category"
TRACE_KEY = "deedbook-trace"  # the trace id by which the lines of a refused call are found
OPEN_PREFIX = "/grpc.health.v1.Health/"
OPEN_CALLS_MAX = 16  # calls at once of those who need no token; they must leave room for those who have one


class Refusal(Exception):
    """Ends a call. `code` is stable; the text is for people and says nothing that the caller may not know."""

    status = grpc.StatusCode.INTERNAL
    category = FailureCategory.PERMANENT
    code = "INTERNAL"
    text = "internal error"

    def __init__(self, text: str = "", code: str = "") -> None:
        self.text = text or type(self).text
        self.code = code or type(self).code
        super().__init__(self.text)


class Unauthenticated(Refusal):
    status = grpc.StatusCode.UNAUTHENTICATED
    category = FailureCategory.POLICY
    code = "UNAUTHENTICATED"
    text = "no valid token"


class AccountDenied(Refusal):
    status = grpc.StatusCode.PERMISSION_DENIED
    category = FailureCategory.POLICY
    code = "ACCOUNT_DENIED"
    text = "the token does not cover this account"


class RoleMissing(Refusal):
    status = grpc.StatusCode.PERMISSION_DENIED
    category = FailureCategory.POLICY
    code = "ROLE_MISSING"
    text = "the token does not have the role that this needs"


class NotFound(Refusal):
    status = grpc.StatusCode.NOT_FOUND
    code = "NOT_FOUND"
    text = "not found"


class BadRequest(Refusal):
    status = grpc.StatusCode.INVALID_ARGUMENT
    code = "BAD_REQUEST"
    text = "the request is not well-formed"


class Overloaded(Refusal):
    status = grpc.StatusCode.RESOURCE_EXHAUSTED
    category = FailureCategory.TRANSIENT
    code = "OVERLOADED"
    text = "too many requests at once; try again later"


class Away(Refusal):
    status = grpc.StatusCode.UNAVAILABLE
    category = FailureCategory.TRANSIENT
    code = "AWAY"
    text = "a part that this needs does not answer; try again"


_CALLER: ContextVar[Principal] = ContextVar("caller")
_TRACE: ContextVar[str] = ContextVar("trace_parent", default="")

Authenticate = Callable[[str], Awaitable[Verified]]  # what `authorization` says is worth, or Unauthenticated


def caller() -> Principal:
    """The verified caller of the method that is running. Outside of a guarded method this is an error."""
    return _CALLER.get()


def trace_parent() -> str:
    """The W3C traceparent of the call: the one that came with it, or a new one. '' outside of a call."""
    return _TRACE.get()


def enter(principal: Principal, trace: str = "") -> None:
    """From here on, the task that runs acts for this caller. Called by the guard, and by tests of handlers."""
    _CALLER.set(principal)
    _TRACE.set(trace)


class Guard(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Wraps every method, so that no handler can forget to authenticate. A call takes one of the server's places from
    its first byte on, so nobody's request is waited for before the caller is known, and nobody's for long: to the
    server every method looks like one that reads a stream. Open to all is the health service's `Check`, a few at once;
    its `Watch`, which would hold a place for ever, is UNIMPLEMENTED, which its clients take for an answer."""

    def __init__(self, authenticate: Authenticate, metrics: Metrics, call_timeout_s: float) -> None:
        self._authenticate = authenticate
        self._metrics = metrics
        self._call_timeout_s = call_timeout_s
        self._open_calls = 0
        self._log = logger(__name__)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any]]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        handler: Any = await continuation(handler_call_details)
        method = str(handler_call_details.method)
        is_open = method.startswith(OPEN_PREFIX)
        if handler is None or (is_open and handler.response_streaming):
            return None  # type: ignore[return-value]  # UNIMPLEMENTED
        wire = (_with_bytes(handler.request_deserializer), handler.response_serializer)
        made: Any
        if handler.response_streaming:
            made = grpc.stream_stream_rpc_method_handler(self._stream(method, handler.unary_stream), *wire)
        elif is_open:
            made = grpc.stream_unary_rpc_method_handler(self._open(handler.unary_unary), *wire)
        else:
            made = grpc.stream_unary_rpc_method_handler(self._unary(method, handler.unary_unary), *wire)
        return made  # type: ignore[no-any-return]

    def _open(self, inner: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
        async def call(requests: Any, context: Any) -> Any:
            if self._open_calls >= OPEN_CALLS_MAX:
                await context.abort(Overloaded.status, Overloaded.text)
            self._open_calls += 1
            try:
                async with asyncio.timeout(self._call_timeout_s):
                    _, request = await _one(requests)
            except (TimeoutError, BadRequest):
                await context.abort(BadRequest.status, BadRequest.text)
            finally:
                self._open_calls -= 1
            return await inner(request, context)

        return call

    def _unary(self, method: str, inner: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
        async def call(requests: Any, context: Any) -> Any:
            began = time.perf_counter()
            trace = _traceparent(context)
            with traced(trace, method=method):
                try:
                    verified = await self._authenticated(context)
                    async with asyncio.timeout(self._call_timeout_s):
                        request = await self._enter(verified, trace, requests)
                        answer = await inner(request, context)
                except BaseException as error:
                    await self._refuse(method, context, trace, error)
                    raise
            self._count(method, grpc.StatusCode.OK)
            self._metrics.call_seconds.labels(method).observe(time.perf_counter() - began)
            return answer

        return call

    def _stream(self, method: str, inner: Callable[[Any, Any], AsyncGenerator[Any, None]]) -> Callable[[Any, Any], Any]:
        async def call(requests: Any, context: Any) -> AsyncIterator[Any]:
            trace = _traceparent(context)
            with traced(trace, method=method):
                try:
                    verified = await self._authenticated(context)
                    async with asyncio.timeout(self._call_timeout_s):
                        request = await self._enter(verified, trace, requests)
                    async with aclosing(inner(request, context)) as answers:
                        async for answer in answers:
                            yield answer
                except BaseException as error:
                    await self._refuse(method, context, trace, error)
                    raise
            self._count(method, grpc.StatusCode.OK)

        return call

    async def _authenticated(self, context: Any) -> Verified:
        """What the call's token is worth."""
        said = _said(context, "authorization")
        if len(said) > 1:
            raise Unauthenticated
        try:
            return await self._authenticate(said[0] if said else "")
        except Unauthenticated:
            self._metrics.permission_checks.labels("unauthenticated").inc()
            raise

    async def _enter(self, verified: Verified, trace: str, requests: Any) -> Any:
        """The request. From here on, this call's task acts for its sender."""
        raw, request = await _one(requests)
        try:
            principal = verified.speaks_for(request.DESCRIPTOR.full_name, raw)
        except AuthRefused as error:
            self._metrics.permission_checks.labels("unauthenticated").inc()
            self._log.info("a caller was not authenticated", reason=error.reason)
            raise Unauthenticated from None
        enter(principal, trace)
        return request

    async def _refuse(self, method: str, context: Any, trace: str, error: BaseException) -> None:
        """End the call with the code of a refusal. Comes back only for what must go on as it is."""
        about: tuple[tuple[str, str], ...] = ((TRACE_KEY, trace_id(trace)),)
        if isinstance(error, (asyncio.CancelledError, GeneratorExit)):
            self._count(method, grpc.StatusCode.CANCELLED)
            return
        if isinstance(error, TimeoutError):
            self._count(method, grpc.StatusCode.DEADLINE_EXCEEDED)
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "no answer in time; try again", about)
        if not isinstance(error, Refusal):
            if not isinstance(error, Exception):
                return
            self._log.error("a handler raised", exc_info=error)
            error = Refusal()
        if isinstance(error, (AccountDenied, RoleMissing)):
            self._metrics.permission_checks.labels("denied").inc()
        self._count(method, error.status)
        said = ((CODE_KEY, error.code), (CATEGORY_KEY, str(error.category)))
        await context.abort(error.status, error.text, (*said, *about))

    def _count(self, method: str, status: grpc.StatusCode) -> None:
        self._metrics.calls.labels(method, status.name).inc()


def _said(context: Any, wanted: str) -> list[str]:
    """What the caller's metadata says under this name, each time."""
    return [str(value) for name, value in context.invocation_metadata() or () if name == wanted]


def _traceparent(context: Any) -> str:
    """That of the call. One that came without has a new one: its lines are to be found too."""
    return traceable(next(iter(_said(context, "traceparent")), ""))


def _with_bytes(read: Callable[[bytes], Any]) -> Callable[[bytes], tuple[bytes, Any]]:
    """Some tokens count for the very bytes of a request only."""
    return lambda raw: (raw, read(raw))


async def _one(requests: AsyncIterator[tuple[bytes, Any]]) -> tuple[bytes, Any]:
    """The one request of a call. Raises BadRequest if there is none, or none that can be read."""
    try:
        async for request in requests:
            return request
    except DecodeError:
        raise BadRequest from None
    raise BadRequest("the call ends before its request")
