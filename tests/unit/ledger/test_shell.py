"""When the lanes of a process fail in a way nobody foresaw, the process ends: half a worker is worse than none."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import MagicMock

import pytest

from libs.ledger.protocol import ControlSeen
from libs.ledger.shell import TICK_S, Shell

pytestmark = pytest.mark.requirement("X11")


class Half:
    """A worker that fails from its third tick on, or at another door."""

    stopped = False

    def __init__(self, door: str) -> None:
        self.door, self.ticks = door, 0
        self.lanes: dict[int, Any] = {}

    def _at(self, door: str) -> list[Any]:
        if door == self.door:
            raise RuntimeError("a bug between two lines")
        return []

    def tick(self, boot_ms: int) -> list[Any]:
        self.ticks += 1
        return self._at("tick") if self.ticks == 3 else []

    def handle_all(self, answers: Any, boot_ms: int) -> list[Any]:
        return self._at("handle_all")

    def stop(self, boot_ms: int) -> list[Any]:
        return self._at("stop")

    def may_decide(self) -> bool:
        return True


@pytest.mark.parametrize("door", ["tick", "handle_all", "stop"])
async def test_a_worker_that_raises_ends_the_process(door: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr("os._exit", ended.append)
    worker: Any = Half(door)
    shell = Shell(worker, MagicMock(), MagicMock(), MagicMock(), MagicMock(), MagicMock())
    stopping = asyncio.Event()
    shell.follower.run = lambda: asyncio.sleep(60)  # type: ignore[method-assign]
    running = asyncio.create_task(shell.run(stopping))
    await asyncio.sleep(2 * TICK_S)
    if door == "handle_all":
        shell.post(ControlSeen(None, True))
    if door == "stop":
        stopping.set()
    await asyncio.sleep(6 * TICK_S)
    assert ended == [70]
    running.cancel()
    await asyncio.wait((running,))
    if shell._timer is not None:
        shell._timer.cancel()


async def test_a_worker_that_raises_nothing_lives_on(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr("os._exit", ended.append)
    worker: Any = Half("")
    shell = Shell(worker, MagicMock(), MagicMock(), MagicMock(), MagicMock(), MagicMock())
    shell._tick()
    await asyncio.sleep(6 * TICK_S)
    assert shell._timer is not None
    shell._timer.cancel()
    assert worker.ticks > 3
    assert not ended
