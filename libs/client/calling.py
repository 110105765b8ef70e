"""Calls over gRPC: each with the caller's token and a limit of time, its failure as one of our errors. Questions are
asked again while a part does not answer; a command is sent once, since each sending of one is a command of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from libs.client.connection import Connection, Metadata
from libs.client.errors import Misconfigured, TimedOut, Unavailable, from_grpc
from libs.runtime.clock import boottime_ms
from libs.runtime.logs import traceable
from libs.runtime.settings import SettingsError

T = TypeVar("T")
PAUSE_MIN_S, PAUSE_MAX_S = 0.02, 1.0
MAY_BE_TAKEN = (
    "It may have been taken all the same: look first (`deed show INTENT`, `deed switches`), then give it again;"
    " `deed doctor` says what is away."
)
AWAY_CALLS = 6  # who has not answered for as long as so many calls may take is given up


class NotOpen:
    """Stands for the methods of a client that was not opened, or was closed."""

    def __getattr__(self, name: str) -> Any:
        raise not_open()


def not_open() -> Misconfigured:
    """Why such a client cannot be called."""
    told = "Use it within `async with Client() as client:`, in scripts `with SyncClient() as client:`."
    return Misconfigured("the client is not open", "NOT_OPEN", told)


class Caller:
    """Makes the calls of one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def once(self, method: grpc.aio.UnaryUnaryMultiCallable[Any, T], request: Any) -> T:
        """The answer. Raises a DeedbookError; one that leaves open whether it was taken says so."""
        try:
            return await self._call(method, request, self._connection.timeout_s)
        except Unavailable as error:
            error.remedy = MAY_BE_TAKEN
            raise

    async def until_answered(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Any, T], request: Any, trace_parent: str = ""
    ) -> T:
        """The answer, asked for again while the other side is away, within the limit of one call. `trace_parent`: of
        what the call is about; by default each call is a trace of its own."""
        deadline_ms, pause = boottime_ms() + self._connection.timeout_s * 1000, Pause()
        while True:
            try:
                return await self._call(method, request, (deadline_ms - boottime_ms()) / 1000, trace_parent)
            except TimedOut:
                raise
            except Unavailable:
                if boottime_ms() + pause.next_s * 1000 >= deadline_ms:
                    raise
            await pause.take()

    async def stream(self, method: grpc.aio.UnaryStreamMultiCallable[Any, T], request: Any) -> AsyncGenerator[T, None]:
        """The answers of one stream until it ends. Raises a DeedbookError. To be closed (`aclosing`)."""
        call = method(request, metadata=self.metadata(request))
        try:
            async for answer in call:
                yield answer
        except grpc.aio.AioRpcError as error:
            raise from_grpc(error) from None
        finally:
            call.cancel()

    def patience(self) -> Patience:
        """For what takes longer than one call."""
        return Patience(AWAY_CALLS * self._connection.timeout_s)

    async def _call(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Any, T], request: Any, limit_s: float, trace_parent: str = ""
    ) -> T:
        try:
            return await method(request, metadata=self.metadata(request, trace_parent), timeout=max(limit_s, 0.001))
        except grpc.aio.AioRpcError as error:
            raise from_grpc(error) from None

    def metadata(self, request: Message, trace_parent: str = "") -> Metadata:
        """What this call carries: the token of this moment, and the trace that it belongs to. Raises Misconfigured."""
        try:
            return (*self._connection.metadata(request), ("traceparent", traceable(trace_parent)))
        except SettingsError as error:
            raise Misconfigured(str(error)) from None

    def token_for(self, payload_type: str, payload: bytes) -> str:
        """The token of this moment for what is sent elsewhere. Raises Misconfigured."""
        try:
            return self._connection.token_for(payload_type, payload)
        except SettingsError as error:
            raise Misconfigured(str(error)) from None


class Pause:
    """Short at first, longer each time."""

    def __init__(self) -> None:
        self.next_s = PAUSE_MIN_S

    async def take(self) -> None:
        await asyncio.sleep(self.next_s)
        self.next_s = min(2 * self.next_s, PAUSE_MAX_S)


class Patience:
    """How long one has been without an answer, and when that is enough."""

    def __init__(self, limit_s: float) -> None:
        self._limit_ms = limit_s * 1000
        self._pause = Pause()
        self._since_ms: int | None = None

    def answered(self) -> None:
        """The other side is there: the time begins anew."""
        self._since_ms = None

    def changed(self) -> None:
        """It has told something new, too: the pauses are short again."""
        self._pause, self._since_ms = Pause(), None

    async def bear(self, error: Unavailable) -> None:
        """Wait a little. Raises the error when it has lasted too long."""
        now_ms = boottime_ms()
        self._since_ms = now_ms if self._since_ms is None else self._since_ms
        if now_ms - self._since_ms > self._limit_ms:
            raise error
        await self._pause.take()
