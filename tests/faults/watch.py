"""Looks at the status of intents all the time, as a client would, and remembers each that went back."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self
from uuid import UUID

import asyncpg
import msgspec

from libs.ledger.database import CONNECT_ERRORS
from libs.testkit.system import System
from services.status.view import IntentView
from tests.faults.witness import database_of

PERIOD_S = 0.1
VERSIONS = "SELECT key, xmin::text AS version FROM status.state"
CHANGED = "SELECT key, state FROM status.state WHERE key = ANY ($1)"
_decode = msgspec.msgpack.Decoder(IntentView).decode


class StatusWatch:
    """`went_back`: what must never be."""

    def __init__(self, system: System) -> None:
        self._dsn = database_of(system, "status")
        self._seen: dict[UUID, str] = {}  # which version of each row was looked at
        self._ranks: dict[bytes, tuple[int, int, int]] = {}
        self._task: asyncio.Task[None] | None = None
        self.went_back: list[str] = []
        self.looks = 0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait((self._task,))

    async def _run(self) -> None:
        while True:
            with suppress(*CONNECT_ERRORS):
                await self._look()  # when the database is away, it is looked at again later
            await asyncio.sleep(PERIOD_S)

    async def _look(self) -> None:
        connection = await asyncpg.connect(self._dsn, timeout=2)
        try:
            while True:
                rows = await connection.fetch(VERSIONS, timeout=2)
                versions: dict[UUID, str] = {row["key"]: row["version"] for row in rows}
                new = [key for key, version in versions.items() if self._seen.get(key) != version]
                for key, state in await connection.fetch(CHANGED, new, timeout=2):
                    self._compare(key.bytes, _decode(state))
                self._seen = versions
                self.looks += 1
                await asyncio.sleep(PERIOD_S)
        finally:
            connection.terminate()

    def _compare(self, key: bytes, view: IntentView) -> None:
        before, now = self._ranks.get(key, (0, 0, 0)), view.standing.rank
        if now < before:
            self.went_back.append(f"{key.hex()} went from {before} to {now}, {view.standing.state}")
        self._ranks[key] = now
