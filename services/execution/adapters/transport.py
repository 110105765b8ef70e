"""Our own stdio transport under the SDK's client, for two reasons that the SDK's cannot serve: the lease must be looked
at with nothing between that look and the first byte, and no server may fill our memory.

    SDK session ── send(request) ──> look at the guard ──> write(2)
                 <── parsed answers ── lines of bounded length ──┘

A `tools/call` travels with a `CallSlot`, found through a context variable: the SDK runs `send` in the task of the
caller. The slot says afterwards what is certain: whether a byte left, and which bytes came back.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import anyio
from mcp.shared.message import SessionMessage
from mcp_types import ErrorData, JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse
from mcp_types.jsonrpc import jsonrpc_message_adapter

from libs.runtime.logs import logger
from services.execution.adapters.pace import Pace
from services.execution.adapters.process import ServerProcess

log = logger(__name__)

LOCAL_FAULT = -32_099  # JSON-RPC code of the answers that we make up for a request whose real answer is unusable
SKIP_FACTOR = 64  # an oversized line is thrown away up to this many times the limit, then the server is given up
COMPLAINTS_MAX = 10  # lines in the log about one connection's nonsense
_HEAD = 256
_ID = re.compile(rb'"id"\s*:\s*(\d{1,15})\b')


@dataclass
class CallSlot:
    """One call. `sent`: the first byte has left, so nothing about its effect is certain until an answer says so."""

    guard: Callable[[], bool]
    cancellable: bool  # may the server be told to stop half way? Half an effect is worse than a late one
    request_id: int | str | None = None
    sent: bool = False
    refused: bool = False
    raw: bytes | None = None  # the answer's whole line as it came
    fault: str = ""  # why the answer could not be read
    reason: str = ""  # ... in words
    again: bool = False  # ... and whether the server says that a later call may fare better, and when
    retry_after_ms: int = 0
    headers: dict[str, str] = field(default_factory=dict)  # of HTTP, for this call alone
    cancel: Callable[[], object] | None = None  # HTTP: stop reading, which tells the server to stop
    give_up: Callable[[], None] | None = None  # HTTP: what has not arrived by now shall never do so
    until: float = 0.0  # the time of the loop at which nobody waits any more
    asked: bool = False  # it is a question about another call


CURRENT_CALL: ContextVar[CallSlot | None] = ContextVar("CURRENT_CALL", default=None)


class NotSent(Exception):
    """The guard said no: the request was dropped, no byte of it left."""


class GuardedTransport:
    """What `mcp.Client` wants of a transport: enter it and get the two streams. Leaving it ends the server."""

    def __init__(self, process: ServerProcess, answer_bytes_max: int) -> None:
        self.slots: dict[int | str, CallSlot] = {}
        self.definitions_changed = False
        self.broken = False
        self.on_changed: Callable[[], None] = lambda: None
        self._process = process
        self._limit = answer_bytes_max

    @property
    def alive(self) -> bool:
        """May there still be answers?"""
        return not self.broken and self._process.alive

    def last_errors(self) -> list[str]:
        """What the server said last on standard error, for the log of its failure only."""
        return self._process.last_errors()

    async def __aenter__(self) -> tuple[AnswerStream, RequestStream]:
        await self._process.start()
        writer = RequestStream(self, self._process)
        return AnswerStream(self, self._process, writer, self._limit), writer

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.broken = True
        with anyio.CancelScope(shield=True):
            await self._process.stop()


class RequestStream:
    """The stream that the session writes to."""

    def __init__(self, transport: GuardedTransport, process: ServerProcess) -> None:
        self._transport = transport
        self._process = process
        self._lock = asyncio.Lock()

    @property
    def busy(self) -> bool:
        return self._lock.locked()

    async def send(self, item: SessionMessage) -> None:
        message = item.message
        slot = CURRENT_CALL.get()
        cancels = isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled"
        if cancels and (slot is None or not slot.cancellable or not slot.sent):
            return
        is_call = isinstance(message, JSONRPCRequest) and message.method == "tools/call"
        if is_call and slot is None:
            raise NotSent("a tool is called only under a guard")
        if is_call and slot is not None and slot.headers:
            raise NotSent("its key belongs into a header of HTTP, and here is none")
        data = message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
        async with self._lock:
            if is_call and slot is not None and isinstance(message, JSONRPCRequest):
                slot.request_id = message.id
                self._transport.slots[message.id] = slot
                await self._write(data, slot)
            else:
                await self._write(data, None)

    async def _write(self, data: bytes, slot: CallSlot | None) -> None:
        rest = memoryview(data)
        try:
            while rest:
                if slot is not None and not slot.sent and not slot.guard():
                    slot.refused = True
                    raise NotSent("the guard refused")
                written = self._process.write_now(rest)  # no await since the guard
                if slot is not None and written:
                    slot.sent = True
                rest = rest[written:]
                if rest:
                    await self._process.writable()
        except OSError as error:
            raise anyio.BrokenResourceError from error
        finally:
            if 0 < len(rest) < len(data):
                self._give_up()

    def _give_up(self) -> None:
        """Half a message is in the pipe: whatever followed would be read as its other half."""
        self._transport.broken = True
        self._process.close_input()

    async def aclose(self) -> None:
        self._process.close_input()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class AnswerStream:
    """The stream that the session reads: lines up to a limit, parsed; what we have no use for is left out, so that a
    server cannot make the session do work by talking."""

    def __init__(self, transport: GuardedTransport, process: ServerProcess, writer: RequestStream, limit: int) -> None:
        self._transport = transport
        self._process = process
        self._writer = writer
        self._limit = limit
        self._buffer = bytearray()
        self._ended = False
        self._pace = Pace()
        self._complaints = 0

    async def receive(self) -> SessionMessage | Exception:
        try:
            return await self.__anext__()
        except StopAsyncIteration:
            raise anyio.EndOfStream from None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        while True:
            await self._pace.breathe()
            line = await self._line()
            message = line if isinstance(line, SessionMessage) else self._parse(line)
            if not self._is_awaited(message) and self._pace.is_too_much():
                await self._end("it floods us with what nobody has asked for")
            if message is not None:
                return message

    def _is_awaited(self, message: SessionMessage | None) -> bool:
        """Is it the answer to a call? Other answers are few, if the server is in order."""
        answer = message.message if message is not None else None
        return isinstance(answer, JSONRPCResponse | JSONRPCError) and answer.id in self._transport.slots

    async def _line(self) -> bytes | SessionMessage:
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > self._limit:
                return await self._skip_line()
            await self._fill()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        if len(line) > self._limit:
            return self._fault(line[:_HEAD], "ANSWER_TOO_LARGE") or b""
        return line

    async def _skip_line(self) -> bytes | SessionMessage:
        """Read on to the end of an oversized line without keeping it."""
        head, skipped = bytes(self._buffer[:_HEAD]), 0
        while (end := self._buffer.find(b"\n")) < 0:
            skipped += len(self._buffer)
            self._buffer.clear()
            if skipped > self._limit * SKIP_FACTOR:
                await self._end("its answer does not end")
            await self._fill()
        del self._buffer[: end + 1]
        return self._fault(head, "ANSWER_TOO_LARGE") or b""

    async def _fill(self) -> None:
        chunk = b"" if self._ended else await self._process.read()
        if not chunk:
            self._ended = True
            raise StopAsyncIteration
        self._buffer += chunk

    async def _end(self, why: str) -> None:
        log.warning("tool server given up", server=self._process.profile.name, reason=why)
        self._transport.broken = True
        self._ended = True
        raise StopAsyncIteration

    def _parse(self, line: bytes) -> SessionMessage | None:
        if not line.lstrip().startswith(b"{"):
            return None  # something printed to standard output by mistake
        try:
            message = jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValueError:
            return self._fault(line[:_HEAD], "ANSWER_MALFORMED")
        if isinstance(message, JSONRPCResponse | JSONRPCError):
            if message.id is not None and (slot := self._transport.slots.get(message.id)) is not None:
                slot.raw = line
            return SessionMessage(message)
        if message.method == "notifications/tools/list_changed":
            self._transport.definitions_changed = True
            self._transport.on_changed()
        is_ping = isinstance(message, JSONRPCRequest) and message.method == "ping"
        if is_ping and not self._writer.busy and self._pace.may_ask():
            return SessionMessage(message)
        return None

    def _fault(self, head: bytes, code: str) -> SessionMessage | None:
        """Give the request that this line was meant for an error of ours, so that it need not wait for its time-out."""
        slot = self._blamed(head)
        if slot is None or slot.request_id is None:
            self._complaints += 1
            if self._complaints <= COMPLAINTS_MAX:
                log.warning("unusable line from tool server", server=self._process.profile.name, code=code)
            return None
        slot.fault = code
        return SessionMessage(
            JSONRPCError(jsonrpc="2.0", id=slot.request_id, error=ErrorData(code=LOCAL_FAULT, message=code))
        )

    def _blamed(self, head: bytes) -> CallSlot | None:
        slots = self._transport.slots
        if (found := _ID.search(head)) is not None:
            return slots.get(int(found.group(1)))
        return next(iter(slots.values())) if len(slots) == 1 else None

    async def aclose(self) -> None:
        self._ended = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
