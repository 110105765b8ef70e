"""One running tool server and the SDK client that speaks with it, and its keeping: started when needed, watched, and
replaced with back-off when it has died.

The SDK's client must be entered and left in one task, so each connection has a task of its own that does only that.
Calls go straight to the session, below the conveniences that send a request twice: `Client.call_tool` repeats a call
after a header mismatch and after a request for input.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from mcp import Client
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

from libs.contracts.events import FailureCategory
from libs.runtime.logs import logger
from services.execution.adapters.definition import ToolDefinition, definitions_of
from services.execution.adapters.process import Profile, ServerProcess, printable
from services.execution.adapters.transport import GuardedTransport
from services.execution.ports import NotReady

log = logger(__name__)

PAGES_MAX = 50
CLOSE_S = 5.0
BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 30.0
US = Implementation(name="deedbook", version="0.1.0")


class RawTools(Result):
    """`tools/list` as it came: a model of the SDK would drop what it does not know, and so hide a change."""

    tools: list[dict[str, Any]]
    next_cursor: str | None = Field(default=None, alias="nextCursor")


class AnyResult(Result):
    """The result of a call is judged from its bytes, not from a model."""

    model_config = ConfigDict(extra="allow")


class Connection:
    """A server from its start to its end."""

    def __init__(self, profile: Profile, answer_bytes_max: int) -> None:
        self.answered = False
        self.started = time.monotonic()
        self.in_flight = 0
        self._process = ServerProcess(profile)
        self.transport = GuardedTransport(self._process, answer_bytes_max)
        self._leave = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._session: ClientSession | None = None
        self._definitions: dict[str, ToolDefinition] = {}
        self._listed_at = -1e9
        self._listing = asyncio.Lock()

    @property
    def alive(self) -> bool:
        return self._session is not None and not self.transport.broken and self._process.alive

    @property
    def protocol_version(self) -> str:
        return (self._session.protocol_version if self._session else None) or ""

    async def open(self) -> None:
        """Start the server and negotiate. Raises what the SDK or the system raises."""
        opened: asyncio.Future[ClientSession] = asyncio.get_running_loop().create_future()
        self._keeper = asyncio.create_task(self._keep(opened), name=f"tool server {self._process.profile.name}")
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
        return self._process.last_errors()

    def pinned(self, name: str) -> ToolDefinition | None:
        """The definition as last seen on this very connection; None when the server says that it changed."""
        return None if self.transport.definitions_changed else self._definitions.get(name)

    async def list_tools(self, max_age_ms: int) -> dict[str, ToolDefinition]:
        """All usable definitions, at most so old. Raises what the SDK raises."""
        async with self._listing:
            age_ms = (time.monotonic() - self._listed_at) * 1000
            if self.transport.definitions_changed or age_ms > max_age_ms:
                self.transport.definitions_changed = False
                started = time.monotonic()
                self._definitions = definitions_of(await self._list_pages(), self._process.profile.name)
                self._listed_at = started
            return self._definitions

    async def call(self, name: str, arguments: dict[str, Any], meta: dict[str, Any]) -> None:
        """One `tools/call`, never more; what came back is in the slot. Raises what the SDK raises."""
        session = self._opened()
        request = CallToolRequest(params=CallToolRequestParams(name=name, arguments=arguments, _meta=meta))  # type: ignore[arg-type]
        self.in_flight += 1
        try:
            await session.send_request(request, AnyResult)
        finally:
            self.in_flight -= 1

    async def _list_pages(self) -> list[dict[str, Any]]:
        tools: list[dict[str, Any]] = []
        cursor: str | None = None
        for _ in range(PAGES_MAX):
            page = await self._opened().send_request(
                ListToolsRequest(params=PaginatedRequestParams(cursor=cursor)), RawTools
            )
            tools += page.tools
            cursor = page.next_cursor
            if cursor is None:
                return tools
        raise ValueError("its list of tools does not end")

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
                log.warning("tool server lost", server=self._process.profile.name, reason=_words(error))
            else:
                opened.set_exception(error)
        finally:
            if not opened.done():
                opened.cancel()


class WarmServer:
    """The one connection of a profile."""

    def __init__(self, profile: Profile, answer_bytes_max: int, connect_timeout_ms: int) -> None:
        self.connection: Connection | None = None
        self._profile = profile
        self._answer_bytes_max = answer_bytes_max
        self._timeout_s = connect_timeout_ms / 1000
        self._changing = asyncio.Lock()
        self._failures = 0
        self._retry_at = 0.0

    async def connected(self) -> Connection:
        """The running connection, or a new one. Raises NotReady."""
        async with self._changing:
            if self.connection is not None and self.connection.alive:
                return self.connection
            await self._drop("it has ended")
            wait_s = self._retry_at - time.monotonic()
            if wait_s > 0:
                raise NotReady(
                    "SERVER_DOWN", "the tool server is started again later", retry_after_ms=int(wait_s * 1000)
                )
            self.connection = await self._open()
            return self.connection

    async def definitions(self, connection: Connection, max_age_ms: int) -> dict[str, ToolDefinition]:
        """What the server offers now. A server that does not even answer this is ended, unless it is at work."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await connection.list_tools(max_age_ms)
        except TimeoutError:
            if connection.in_flight:
                raise NotReady("SERVER_BUSY", "the tool server is at work and does not list its tools") from None
            await self._end(connection, "it does not answer")
            raise NotReady("SERVER_SILENT", "the tool server does not answer") from None
        except Exception as error:  # noqa: BLE001  any failure of this question means the same: not ready
            await self._end(connection, _words(error))
            raise NotReady("SERVER_LIST_FAILED", f"the tool server does not list its tools: {_words(error)}") from None

    async def close(self) -> None:
        async with self._changing:
            connection, self.connection = self.connection, None
            if connection is not None:
                await connection.close()

    async def _end(self, connection: Connection, why: str) -> None:
        async with self._changing:
            if self.connection is connection:
                await self._drop(why)

    async def _drop(self, why: str) -> None:
        connection, self.connection = self.connection, None
        if connection is None:
            return
        log.warning("tool server ended", server=self._profile.name, reason=why, stderr=connection.last_errors())
        self._failed(connection)
        await connection.close()

    async def _open(self) -> Connection:
        connection = Connection(self._profile, self._answer_bytes_max)
        try:
            async with asyncio.timeout(self._timeout_s):
                await connection.open()
        except TimeoutError:
            reason = "it did not finish the handshake in time"
        except Exception as error:  # noqa: BLE001  the SDK lets all kinds of errors through; to us they are one
            reason = _words(error)
        else:
            log.info("tool server ready", server=self._profile.name, protocol=connection.protocol_version)
            return connection
        self._failed(connection)
        await connection.close()
        log.warning(
            "tool server not started", server=self._profile.name, reason=reason, stderr=connection.last_errors()
        )
        raise NotReady("SERVER_NOT_STARTED", f"the tool server cannot be used: {reason}")

    def _failed(self, connection: Connection) -> None:
        """The pause counts from the last start: one that did its work for long is started again at once."""
        self._failures = 1 if connection.answered else min(self._failures + 1, 10)
        pause_s = min(BACKOFF_FIRST_S * 2 ** (self._failures - 1), BACKOFF_MAX_S)
        self._retry_at = connection.started + pause_s


async def discover(profile: Profile, answer_bytes_max: int, timeout_ms: int) -> list[ToolDefinition]:
    """What a server offers, for the operator who registers its tools. Raises NotReady."""
    server = WarmServer(profile, answer_bytes_max, timeout_ms)
    try:
        found = await server.definitions(await server.connected(), 0)
        return sorted(found.values(), key=lambda definition: definition.name)
    finally:
        await server.close()


def unknown_profile(name: str) -> NotReady:
    return NotReady("SERVER_UNKNOWN", f"the operator's file has no tool server {name!r}", FailureCategory.PERMANENT)


def _words(error: BaseException) -> str:
    """The error in one bounded, printable line; of a group the first inner one."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return printable(f"{type(error).__name__}: {error}")[:300]
