"""Looks at the status of intents all the time, as a client would, and remembers each that went back."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

import asyncpg
import msgspec

from libs.testkit.system import System
from services.status.view import IntentView
from tests.faults.witness import database_of

PERIOD_S = 0.1
_decode = msgspec.msgpack.Decoder(IntentView).decode


class StatusWatch:
    """`went_back`: what must never be."""

    def __init__(self, system: System) -> None:
        self._dsn = database_of(system, "status")
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
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                await self._look()  # when the database is away, it is looked at again later
            await asyncio.sleep(PERIOD_S)

    async def _look(self) -> None:
        connection = await asyncpg.connect(self._dsn, timeout=2)
        try:
            while True:
                for key, state in await connection.fetch("SELECT key, state FROM status.state", timeout=2):
                    self._compare(key.bytes, _decode(state))
                self.looks += 1
                await asyncio.sleep(PERIOD_S)
        finally:
            connection.terminate()

    def _compare(self, key: bytes, view: IntentView) -> None:
        before, now = self._ranks.get(key, (0, 0, 0)), view.standing.rank
        if now < before:
            self.went_back.append(f"{key.hex()} went from {before} to {now}, {view.standing.state}")
        self._ranks[key] = now
