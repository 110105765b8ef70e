"""`StatusStore` on the projection's database. All watches together cost one small query each `watch_poll_ms`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Self
from uuid import UUID

import asyncpg
import msgspec

from libs.ledger.database import CONNECT_ERRORS
from libs.runtime.logs import logger
from libs.runtime.rpc import Away
from libs.runtime.settings import DatabaseSettings, StartRefused
from services.status.ports import Listed, Place
from services.status.settings import StatusSettings
from services.status.view import IntentView

_SQL = files("services.status.sql")
GET, LIST, MARKS = (_SQL.joinpath(f"{name}.sql").read_text() for name in ("get", "list", "marks"))


class PostgresStatus:
    """Reads only: the connection could not write if it wanted to."""

    def __init__(self, pool: asyncpg.Pool[Any], timeout_s: float, poll_s: float) -> None:
        self._pool = pool
        self._timeout_s = timeout_s
        self._poll_s = poll_s
        self._decode = msgspec.msgpack.Decoder(IntentView).decode
        self._waiting: dict[bytes, dict[asyncio.Future[None], str]] = {}
        self._poller: asyncio.Task[None] | None = None
        self._log = logger(__name__)

    @classmethod
    async def open(cls, database: DatabaseSettings, status: StatusSettings) -> Self:
        """Connect. Raises StartRefused."""
        timeout_s = database.database_timeout_ms / 1000
        try:
            pool = await asyncpg.create_pool(
                database.database_url.get_secret_value(),
                min_size=1,
                max_size=status.readers_max,
                timeout=timeout_s,
                command_timeout=timeout_s,
                server_settings={"application_name": "status/front", "default_transaction_read_only": "on"},
            )
        except CONNECT_ERRORS as error:
            raise StartRefused(f"PostgreSQL at DEED_DATABASE_URL cannot be used: {type(error).__name__}.") from error
        return cls(pool, timeout_s, status.watch_poll_ms / 1000)

    async def close(self) -> None:
        """End the connections; running queries are given up."""
        if self._poller is not None:
            self._poller.cancel()
        self._pool.terminate()

    async def get(self, intent_id: bytes) -> IntentView | None:
        return (await self._read(intent_id))[0]

    async def page(self, tenant: str, accounts: Sequence[str], limit: int, after: Place | None) -> list[Listed]:
        at, key = (None, None) if after is None else (after.at, UUID(bytes=after.key))
        rows = await self._fetch(LIST, tenant, list(accounts), limit, at, key)
        return [Listed(Place(row["at"], row["key"].bytes), self._decode(row["state"])) for row in rows]

    async def changed(self, intent_id: bytes, after_version: int, timeout_s: float) -> IntentView | None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while True:
            view, mark = await self._read(intent_id)
            if view is not None and view.version > after_version:
                return view
            if not await self._another_mark(intent_id, mark, deadline - loop.time()):
                return None

    async def _read(self, intent_id: bytes) -> tuple[IntentView | None, str]:
        rows = await self._fetch(GET, UUID(bytes=intent_id))
        return (self._decode(rows[0]["state"]), rows[0]["mark"]) if rows else (None, "")

    async def _another_mark(self, intent_id: bytes, mark: str, timeout_s: float) -> bool:
        """Wait until the row has another mark than the one that was read with it; False when time is over."""
        changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(intent_id, {})
        waiting[changed] = mark
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll(), name="status-marks")
        try:
            await asyncio.wait((changed,), timeout=max(timeout_s, 0))
            return changed.done()
        finally:
            del waiting[changed]
            if not waiting and self._waiting.get(intent_id) is waiting:
                del self._waiting[intent_id]

    async def _poll(self) -> None:
        """As long as somebody waits: ask for all marks, and wake those who read another one."""
        while self._waiting:
            await asyncio.sleep(self._poll_s)
            try:
                rows = await self._fetch(MARKS, [UUID(bytes=key) for key in self._waiting])
            except Away:
                continue  # the watchers themselves find out when they read
            for row in rows:
                for future, mark in self._waiting.get(row["key"].bytes, {}).items():
                    if mark != row["mark"] and not future.done():
                        future.set_result(None)

    async def _fetch(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._pool.fetch(statement, *arguments)
        except CONNECT_ERRORS as error:
            self._log.warning("the projection does not answer", error=repr(error))
            raise Away from error
