"""A tool server cannot keep a worker busy by talking (X7, X20): whatever it writes, the loop that renews the leases
goes on, and a server that does nothing but talk is ended."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from libs.testkit.tool_bench import eventually
from services.execution.adapters.process import Profile
from services.execution.adapters.warm import WarmServer
from services.execution.ports import NotReady

HOSTILE = Path(__file__).parent / "hostile_stdio.py"
LONGEST_S = 2.0  # of a lease of 5 s; on a busy machine
pytestmark = [pytest.mark.asyncio, pytest.mark.requirement("X7"), pytest.mark.requirement("X20")]


@asynccontextmanager
async def others_go_on() -> AsyncIterator[None]:
    """What else the loop has to do is never kept waiting for long."""
    turns: list[float] = []

    async def look() -> None:
        while True:
            turns.append(asyncio.get_running_loop().time())
            await asyncio.sleep(0.01)

    looking = asyncio.create_task(look())
    yield
    looking.cancel()
    turns.append(asyncio.get_running_loop().time())
    assert max(later - before for before, later in pairwise(turns)) < LONGEST_S


def server(mode: str) -> WarmServer:
    return WarmServer(Profile("hostile", (sys.executable, str(HOSTILE), mode)), 1 << 20, 20_000)


@pytest.mark.parametrize("mode", ["junk", "notes", "pings", "answers"])
async def test_a_server_that_talks_without_end_is_ended_and_keeps_nobody_waiting(mode: str) -> None:
    talking = server(mode)
    async with others_go_on():
        connection = await talking.connected()
        assert set(await talking.definitions(connection, 0)) == {"act"}
        await eventually(lambda: not connection.alive, 60)
    await talking.close()


async def test_a_list_of_tools_without_end_is_not_read_to_its_end() -> None:
    long = server("list")
    async with others_go_on():
        with pytest.raises(NotReady, match=r"SERVER_LIST_FAILED.*4194304 bytes"):
            await long.definitions(await long.connected(), 0)
    await long.close()
