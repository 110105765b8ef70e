"""One running tool server and the SDK client that speaks with it.

The SDK's client must be entered and left in one task, so each connection has a task of its own that does only that.
Calls go straight to the session, below the conveniences that send a request twice: `Client.call_tool` repeats a call
after a header mismatch and after a request for input.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec
from mcp import Client
from mcp.client import Transport
from mcp.client.session import ClientSession
from mcp_types import (
    CallToolRequest,
    CallToolRequestParams,
    Implementation,
    ListToolsRequest,
    PaginatedRequestParams,
    Result,
)
from pydantic import ConfigDict, Field

from libs.runtime.logs import logger
from services.execution.adapters.definition import DEFINITION_BYTES_MAX, TOOLS_MAX, ToolDefinition, definitions_of
from services.execution.adapters.process import printable
from services.execution.adapters.transport import CallSlot

log = logger(__name__)

PAGES_MAX = 50
LIST_BYTES_MAX = 4 << 20  # of all pages together
CHANGES_MAX, CHANGES_WINDOW_S = 8, 10.0  # so many changes in so short a time are no changes any more
CLOSE_S = 5.0
Listed = Callable[[Mapping[str, ToolDefinition]], None]
US = Implementation(name="deedbook", version="0.1.0")


class Link(Transport, Protocol):
    """A transport of ours, as a connection sees it."""

    slots: dict[int | str, CallSlot]
    definitions_changed: bool
    on_changed: Callable[[], None]

    @property
    def alive(self) -> bool: ...

    def last_errors(self) -> list[str]: ...


class RawTools(Result):
    """`tools/list` as it came: a model of the SDK would drop what it does not know, and so hide a change."""

    tools: list[dict[str, Any]]
    next_cursor: str | None = Field(default=None, alias="nextCursor")


class AnyResult(Result):
    """The result of a call is judged from its bytes, not from a model."""

    model_config = ConfigDict(extra="allow")


class Connection:
    """A server from its start to its end."""

    def __init__(self, name: str, transport: Link, listed: Listed) -> None:
        self.answered = False
        self.started = time.monotonic()
        self.in_flight = 0
        self.idle = asyncio.Event()
        self.idle.set()
        self.transport = transport
        self._name = name
        self.listed = False
        self._tell = listed
        self._leave = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._session: ClientSession | None = None
        self._definitions: dict[str, ToolDefinition] = {}
        self._listed_at = -1e9
        self._listing = asyncio.Lock()
        self._changes: deque[float] = deque(maxlen=CHANGES_MAX)

    @property
    def alive(self) -> bool:
        return self._session is not None and self.transport.alive

    @property
    def protocol_version(self) -> str:
        return (self._session.protocol_version if self._session else None) or ""

    async def open(self) -> None:
        """Start the server and negotiate. Raises what the SDK or the system raises."""
        opened: asyncio.Future[ClientSession] = asyncio.get_running_loop().create_future()
        self._keeper = asyncio.create_task(self._keep(opened), name=f"tool server {self._name}")
        try:
            self._session = await opened
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End the session and the server."""
        self._leave.set()
        keeper, session = self._keeper, self._session
        self._keeper, self._session = None, None
        if keeper is None:
            return
        if session is None:
            keeper.cancel()  # still in the handshake
        _, pending = await asyncio.wait((keeper,), timeout=CLOSE_S)
        if pending:
            keeper.cancel()
            await asyncio.wait((keeper,))

    def last_errors(self) -> list[str]:
        return self.transport.last_errors()

    def pinned(self, name: str) -> ToolDefinition | None:
        """The definition as last seen on this very connection; None when the server says that it changed."""
        return None if self.transport.definitions_changed else self._definitions.get(name)

    @property
    def is_unsettled(self) -> bool:
        """Will it soon be known what it offers now? Not of one that says again and again that this has changed."""
        restless = len(self._changes) == CHANGES_MAX and time.monotonic() - self._changes[0] < CHANGES_WINDOW_S
        return not restless and (self.transport.definitions_changed or self._listing.locked())

    @property
    def listed_for_ms(self) -> float:
        """How long ago it was asked what it offers."""
        return (time.monotonic() - self._listed_at) * 1000

    async def list_tools(self, max_age_ms: int) -> dict[str, ToolDefinition]:
        """All usable definitions, at most so old. Raises what the SDK raises."""
        async with self._listing:
            if self.transport.definitions_changed or self.listed_for_ms > max_age_ms:
                if self.transport.definitions_changed:
                    self._definitions = {}  # what is called meanwhile may be another tool already
                    self._changes.append(time.monotonic())
                self.transport.definitions_changed = False
                started = time.monotonic()
                try:
                    # Beside the loop: canonical forms of some megabytes take seconds.
                    self._definitions = await asyncio.to_thread(definitions_of, await self._list_pages(), self._name)
                except BaseException:
                    self.listed = False
                    self.transport.definitions_changed = True  # nobody knows what it offers now
                    raise
                self._listed_at = started
                self.listed = True
                self._tell(self._definitions)
            return self._definitions

    async def call(self, name: str, arguments: dict[str, Any], meta: dict[str, Any]) -> None:
        """One `tools/call`, never more; what came back is in the slot. Raises what the SDK raises."""
        session = self._opened()
        request = CallToolRequest(params=CallToolRequestParams(name=name, arguments=arguments, _meta=meta))  # type: ignore[arg-type]
        self.in_flight += 1
        self.idle.clear()
        try:
            await session.send_request(request, AnyResult)
        finally:
            self.in_flight -= 1
            if not self.in_flight:
                self.idle.set()

    async def _list_pages(self) -> list[dict[str, Any]]:
        """Bounded, since a list of many long pages would take a hundred times its length of memory."""
        tools: list[dict[str, Any]] = []
        cursor: str | None = None
        size = 0
        for _ in range(PAGES_MAX):
            page = await self._opened().send_request(
                ListToolsRequest(params=PaginatedRequestParams(cursor=cursor)), RawTools
            )
            size += sum(map(_length, page.tools))
            if size > LIST_BYTES_MAX:
                break
            tools += page.tools
            cursor = page.next_cursor
            if cursor is None or len(tools) > TOOLS_MAX:
                return tools
        raise ValueError(f"its list of tools has more than {PAGES_MAX} pages or {LIST_BYTES_MAX} bytes")

    def _opened(self) -> ClientSession:
        if self._session is None:
            raise ConnectionError("the tool server is not connected")
        return self._session

    async def _keep(self, opened: asyncio.Future[ClientSession]) -> None:
        try:
            async with Client(self.transport, cache=None, client_info=US) as client:
                if not opened.done():
                    opened.set_result(client.session)
                await self._leave.wait()
        except Exception as error:  # noqa: BLE001  whatever the SDK meets ends this connection and nothing else
            if opened.done():
                log.warning("tool server lost", server=self._name, reason=words(error))
            else:
                opened.set_exception(error)
        finally:
            if not opened.done():
                opened.cancel()


def _length(tool: dict[str, Any]) -> int:
    """About how many bytes it has; one that cannot be written again counts as much as a definition may have."""
    try:
        return len(msgspec.json.encode(tool))
    except (OverflowError, ValueError, RecursionError):
        return DEFINITION_BYTES_MAX


def words(error: BaseException) -> str:
    """The error in one bounded, printable line; of a group the first inner one."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return printable(f"{type(error).__name__}: {error}")[:300]
