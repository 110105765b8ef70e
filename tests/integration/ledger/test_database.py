"""Fault X11: what a connection does when its server takes leave of it, at the worst moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from libs.ledger.database import Line, Unknown

pytestmark = [pytest.mark.integration, pytest.mark.requirement("F5")]
TERMINATED = b"57P01"


@asynccontextmanager
async def kept_open(dsn: str, terminated: asyncio.Event) -> AsyncIterator[str]:
    """A wire that tells what the server says, but not that it has hung up."""
    parts = urlsplit(dsn)
    tasks: set[asyncio.Task[None]] = set()

    async def hand_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(1 << 16):
                target.write(data)
                await target.drain()
                if TERMINATED in data:
                    terminated.set()

    async def taken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        above = await asyncio.open_connection(parts.hostname, parts.port)
        tasks.update(asyncio.ensure_future(hand_on(*way)) for way in ((reader, above[1]), (above[0], writer)))

    async with await asyncio.start_server(taken, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        yield urlunsplit(parts._replace(netloc=parts.netloc.replace(str(parts.port), str(port))))
        for task in tasks:
            task.cancel()


async def test_a_statement_right_after_the_servers_farewell_is_unknown_and_the_next_one_works(database: str) -> None:
    terminated = asyncio.Event()
    async with kept_open(database, terminated) as dsn:
        line = Line(dsn, "a test", 5_000)
        ((pid,),) = await line.fetch("SELECT pg_backend_pid()")
        other = await asyncpg.connect(database)
        await other.fetch("SELECT pg_terminate_backend($1)", pid)
        await other.close()
        await asyncio.wait_for(terminated.wait(), 10)
        with pytest.raises(Unknown):
            await line.fetch("SELECT 1")
        assert [tuple(row) for row in await line.fetch("SELECT 1")] == [(1,)]
        await line.close()
