"""The keeping of one tool server: started when needed, watched, and replaced with back-off when it has died."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from libs.contracts.events import FailureCategory
from libs.runtime.logs import logger
from services.execution.adapters.connection import Connection, Link, words
from services.execution.adapters.definition import ToolDefinition
from services.execution.adapters.exchange import HttpProfile
from services.execution.adapters.http import HttpTransport
from services.execution.adapters.process import ServerProcess
from services.execution.adapters.profiles import AnyProfile
from services.execution.adapters.transport import GuardedTransport
from services.execution.ports import Health, NotReady

log = logger(__name__)

BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 30.0
LOOK_EVERY_S = 1.0
OFFLINE_AFTER = 3


class WarmServer:
    """The one connection of a profile. `listed` is told what the server offers whenever it was asked. `since`: what
    `now` said when it was started."""

    def __init__(
        self,
        profile: AnyProfile,
        answer_bytes_max: int,
        connect_timeout_ms: int,
        listed: Callable[[WarmServer, Mapping[str, ToolDefinition]], None] = lambda server, found: None,
        now: Callable[[], int] = lambda: 0,
    ) -> None:
        self.connection: Connection | None = None
        self.since = 0
        self._listed = partial(listed, self)
        self._now = now
        self._look: asyncio.Task[None] | None = None
        self.profile = profile
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
            if not (connection.in_flight and connection.alive):  # to end it would cut off what it is doing for others
                await self._end(connection, words(error))
            raise NotReady("SERVER_LIST_FAILED", f"the tool server does not list its tools: {words(error)}") from None

    async def retire(self) -> None:
        """Close as soon as nothing is under way, or somebody has closed it."""
        if self.connection is not None:
            await self.connection.idle.wait()
        await self.close()

    async def close(self) -> None:
        if self._look is not None:
            self._look.cancel()
        async with self._changing:
            connection, self.connection = self.connection, None
            if connection is not None:
                await connection.close()

    def _changed(self) -> None:
        """The server says that its tools have changed: look, though nobody calls them."""
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._look_again())

    async def _look_again(self) -> None:
        """Not more often than once a second, however often it says so."""
        while (connection := self.connection) is not None and connection.transport.definitions_changed:
            with suppress(NotReady):
                await self.definitions(connection, 0)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _end(self, connection: Connection, why: str) -> None:
        async with self._changing:
            if self.connection is connection:
                await self._drop(why)

    async def _drop(self, why: str) -> None:
        connection, self.connection = self.connection, None
        if connection is None:
            return
        log.warning("tool server ended", server=self.profile.name, reason=why, stderr=connection.last_errors())
        self._failed(connection)
        await connection.close()

    async def _open(self) -> Connection:
        self.since = self._now()
        try:
            transport = self._transport()
        except (OSError, ValueError) as error:  # a file of certificates that is gone, or holds none
            self._failures = min(self._failures + 1, 10)
            self._retry_at = time.monotonic() + BACKOFF_MAX_S
            reason = f"{words(error)}; look at its `ca` in DEED_SERVERS_FILE"
            raise NotReady("SERVER_NOT_STARTED", f"the tool server cannot be used: {reason}") from None
        transport.on_changed = self._changed
        connection = Connection(self.profile.name, transport, self._listed)
        try:
            async with asyncio.timeout(self._timeout_s):
                await connection.open()
        except TimeoutError:
            reason = "it did not finish the handshake in time"
        except Exception as error:  # noqa: BLE001  the SDK lets all kinds of errors through; to us they are one
            reason = words(error)
        else:
            log.info("tool server ready", server=self.profile.name, protocol=connection.protocol_version)
            return connection
        self._failed(connection)
        await connection.close()
        log.warning("tool server not started", server=self.profile.name, reason=reason, stderr=connection.last_errors())
        raise NotReady("SERVER_NOT_STARTED", f"the tool server cannot be used: {reason}")

    def _transport(self) -> Link:
        if isinstance(self.profile, HttpProfile):
            return HttpTransport(self.profile, self._answer_bytes_max)
        return GuardedTransport(ServerProcess(self.profile), self._answer_bytes_max)

    def health(self) -> Health:
        """How it is: PENDING was not needed yet; ACTIVE answered when it was last asked; DEGRADED was lost or did not
        answer, and is asked again; OFFLINE has failed again and again."""
        if self.connection is not None and self.connection.alive:
            return Health.ACTIVE if self.connection.listed else Health.DEGRADED
        if self._failures == 0:
            return Health.PENDING
        return Health.DEGRADED if self._failures < OFFLINE_AFTER else Health.OFFLINE

    def _failed(self, connection: Connection) -> None:
        """The pause counts from the last start: one that did its work for long is started again at once."""
        self._failures = 1 if connection.answered else min(self._failures + 1, 10)
        pause_s = min(BACKOFF_FIRST_S * 2 ** (self._failures - 1), BACKOFF_MAX_S)
        self._retry_at = connection.started + pause_s


async def discover(profile: AnyProfile, answer_bytes_max: int, timeout_ms: int) -> list[ToolDefinition]:
    """What a server offers, for the operator who registers its tools. Raises NotReady."""
    server = WarmServer(profile, answer_bytes_max, timeout_ms)
    try:
        found = await server.definitions(await server.connected(), 0)
        return sorted(found.values(), key=lambda definition: definition.name)
    finally:
        await server.close()


def unknown_profile(name: str) -> NotReady:
    return NotReady("SERVER_UNKNOWN", f"the operator's file has no tool server {name!r}", FailureCategory.PERMANENT)
