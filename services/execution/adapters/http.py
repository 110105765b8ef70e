"""MCP over streamable HTTP under the SDK's client, with the certainty of the other transport: the lease is looked at
right before the first byte, nothing is sent twice, nothing is followed, and no server may fill our memory.

    SDK session ── send(request) ──> dial ──> look at the guard ──> write
                 <── parsed answers ── the body of that very response, of bounded length

Each request has a connection of its own. One that was kept could be closed by the server at the moment at which we
write to it, and then nobody knew whether the call had arrived.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Self

import anyio
import h11
from mcp.shared.message import ClientMessageMetadata, SessionMessage
from mcp_types import ErrorData, JSONRPCError, JSONRPCMessage, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse
from mcp_types.jsonrpc import jsonrpc_message_adapter

from libs.runtime.logs import logger
from services.execution.adapters.addresses import AddressRefused
from services.execution.adapters.events import EventReader, TooLarge
from services.execution.adapters.exchange import Exchange, HttpProfile, Unusable, dial, unusable
from services.execution.adapters.transport import CURRENT_CALL, LOCAL_FAULT, CallSlot, NotSent

log = logger(__name__)

STREAM_FACTOR = 4  # a stream of events may be so many times longer than the longest answer
READ_MAX_S = 120.0  # longest that a response is read, its request's own time-out aside
LEAVE_S = 2.0
LEFT_MAX = 64  # responses that are read on though nobody waits for them
Connect = Callable[[HttpProfile, ssl.SSLContext | None], Awaitable[Exchange]]
VERSION, SESSION = "mcp-protocol-version", "mcp-session-id"


class HttpTransport:
    """What `mcp.Client` wants of a transport: enter it and get the two streams."""

    def __init__(self, profile: HttpProfile, answer_bytes_max: int, connect: Connect = dial) -> None:
        self.slots: dict[int | str, CallSlot] = {}
        self.definitions_changed = False
        self.broken = False
        self.on_changed: Callable[[], None] = lambda: None
        self.profile = profile
        self.limit = answer_bytes_max
        self.session_id = ""
        self.version = ""
        self.answers: asyncio.Queue[SessionMessage | None] = asyncio.Queue()
        self._tls = ssl.create_default_context(cafile=profile.ca or None) if profile.tls else None
        self._connect = connect
        self._reading: set[asyncio.Task[None]] = set()
        self._left: dict[asyncio.Task[None], None] = {}  # whose calls have run out of time, the oldest first

    @property
    def alive(self) -> bool:
        """May there still be answers? A server that is away is found by the next request to it."""
        return not self.broken

    def last_errors(self) -> list[str]:
        """It keeps its log itself."""
        return []

    async def __aenter__(self) -> tuple[Answers, Requests]:
        return Answers(self), Requests(self)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.broken = True
        for task in self._reading:
            task.cancel()
        if self.session_id:
            with anyio.CancelScope(shield=True), suppress(OSError, h11.ProtocolError, AddressRefused):
                async with asyncio.timeout(LEAVE_S):
                    await self._leave()

    async def exchange(self, message: JSONRPCMessage, headers: dict[str, str], slot: CallSlot | None) -> None:
        """Send one message. The answer to a request is read by a task of its own; a notice waits for its receipt.
        Raises NotSent, OSError and what a failed dial raises: then nothing left."""
        body = message.model_dump_json(by_alias=True, exclude_unset=True).encode()
        exchange = await self._connect(self.profile, self._tls)
        try:
            data = exchange.request("POST", body, self._own_headers() | headers)
            if slot is not None:
                exchange.arrive_within(slot.until - asyncio.get_running_loop().time())
        except OSError:
            exchange.close()
            raise
        if slot is not None:
            if not slot.guard():
                slot.refused = True
                exchange.close()
                raise NotSent("the guard refused")
            slot.sent = True
        exchange.write(data)  # no await since the guard
        if isinstance(message, JSONRPCRequest):
            task = asyncio.create_task(self._read(message, exchange))
            self._reading.add(task)
            task.add_done_callback(self._reading.discard)
            if slot is not None:
                slot.cancel, slot.give_up = task.cancel, partial(self._leave_alone, task, exchange)
        else:
            try:
                await exchange.head()
            finally:
                exchange.close()

    def _leave_alone(self, task: asyncio.Task[None], exchange: Exchange) -> None:
        """Its call has run out of time. It is read on for a while beside a few others: each holds a connection."""
        exchange.give_up()
        self._left[task] = None
        task.add_done_callback(lambda done: self._left.pop(done, None))
        if len(self._left) > LEFT_MAX:
            next(iter(self._left)).cancel()

    def _own_headers(self) -> dict[str, str]:
        headers = {SESSION: self.session_id} if self.session_id else {}
        return headers | ({VERSION: self.version} if self.version else {})

    async def _read(self, message: JSONRPCRequest, exchange: Exchange) -> None:
        """The answer to one request, or why there is none; whoever waits is always told."""
        slot, fault = self.slots.get(message.id), "CONNECTION_LOST"
        try:
            async with asyncio.timeout(READ_MAX_S):
                if await self._answered(message, exchange):
                    return
        except Unusable as error:
            fault = error.code
            if slot is not None:
                slot.fault, slot.reason = error.code, error.reason
                slot.again, slot.retry_after_ms = error.again, error.retry_after_ms
        except TooLarge:
            fault = "ANSWER_TOO_LARGE"
            if slot is not None:
                slot.fault = fault
        except (OSError, TimeoutError, h11.RemoteProtocolError):
            pass  # no usable answer came: what is certain is in the slot
        finally:
            exchange.close()
        told = ErrorData(code=LOCAL_FAULT, message=fault)
        self.answers.put_nowait(SessionMessage(JSONRPCError(jsonrpc="2.0", id=message.id, error=told)))

    async def _answered(self, message: JSONRPCRequest, exchange: Exchange) -> bool:
        head = await exchange.head()
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in head.headers}
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise Unusable("ANSWER_MALFORMED")
        if message.method == "initialize" and head.status_code == 200:
            self.session_id = headers.get(SESSION, "")
        if kind == "text/event-stream" and head.status_code == 200:
            return await self._stream(message, exchange)
        may_answer = kind == "application/json" and head.status_code not in (202, *range(300, 400))
        if may_answer and self._take(message, await exchange.body(self.limit), head.status_code == 200):
            return True
        if head.status_code == 404 and self.session_id:
            self.broken = True  # the server has forgotten the session: a new one is opened for the next call
        if may_answer and head.status_code == 200:
            raise Unusable("ANSWER_MALFORMED")
        raise unusable(head.status_code, headers.get("retry-after", ""))

    async def _stream(self, message: JSONRPCRequest, exchange: Exchange) -> bool:
        events, size = EventReader(self.limit), 0
        while (chunk := await exchange.data()) is not None:
            size += len(chunk)
            if size > STREAM_FACTOR * self.limit:
                raise TooLarge
            for data in events.feed(chunk):
                if self._take(message, data, True):
                    return True
        return False

    def _take(self, request: JSONRPCRequest, data: bytes, sound: bool) -> bool:
        """One message from the body. True: it is the answer. `sound`: a status that may carry a result."""
        try:
            message = jsonrpc_message_adapter.validate_json(data, by_name=False)
        except ValueError:
            if sound:
                raise Unusable("ANSWER_MALFORMED") from None
            return False
        if isinstance(message, JSONRPCNotification):
            if message.method == "notifications/tools/list_changed":
                self.definitions_changed = True
                self.on_changed()
            return False
        if isinstance(message, JSONRPCError):
            meant = not sound or message.id in (request.id, None)  # a refused request may not have been read so far
        else:
            meant = sound and isinstance(message, JSONRPCResponse) and message.id == request.id
        if not meant:
            return False  # whoever answers another request answers nothing here
        if (slot := self.slots.get(request.id)) is not None:
            slot.raw = data
        if isinstance(message, JSONRPCError):
            message = JSONRPCError(jsonrpc="2.0", id=request.id, error=message.error)
        self.answers.put_nowait(SessionMessage(message))
        return True

    async def _leave(self) -> None:
        """Tell the server that its session is over."""
        exchange = await self._connect(self.profile, self._tls)
        try:
            exchange.write(exchange.request("DELETE", b"", self._own_headers()))
            await exchange.head()
        finally:
            exchange.close()


class Requests:
    """The stream that the session writes to."""

    def __init__(self, transport: HttpTransport) -> None:
        self._transport = transport

    async def send(self, item: SessionMessage) -> None:
        message, transport, slot = item.message, self._transport, CURRENT_CALL.get()
        if isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            if slot is not None and slot.cancellable and slot.cancel is not None:
                slot.cancel()  # to close the response is what cancels: never half way through a write
            return
        is_call = isinstance(message, JSONRPCRequest) and message.method == "tools/call"
        if is_call and slot is None:
            raise NotSent("a tool is called only under a guard")
        headers: dict[str, str] = {}
        if isinstance(item.metadata, ClientMessageMetadata) and item.metadata.headers:
            headers |= {name.lower(): value for name, value in item.metadata.headers.items()}
        if isinstance(message, JSONRPCRequest) and message.method == "initialize":
            transport.version = ""
        else:
            transport.version = headers.get(VERSION, transport.version)
        if is_call and slot is not None and isinstance(message, JSONRPCRequest):
            slot.request_id = message.id
            transport.slots[message.id] = slot
            headers |= slot.headers
        else:
            slot = None
        await transport.exchange(message, headers, slot)

    async def aclose(self) -> None:
        self._transport.answers.put_nowait(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class Answers:
    """The stream that the session reads."""

    def __init__(self, transport: HttpTransport) -> None:
        self._transport = transport

    async def receive(self) -> SessionMessage | Exception:
        try:
            return await self.__anext__()
        except StopAsyncIteration:
            raise anyio.EndOfStream from None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        found = await self._transport.answers.get()
        if found is None:
            raise StopAsyncIteration
        return found

    async def aclose(self) -> None:
        self._transport.answers.put_nowait(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
