"""Wires between a worker and its servers that lose answers and deliver requests late. They understand just enough of
each protocol to pick the very message that a test is about: a commit, or the append of ledger events."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102
PRODUCE, METADATA = 0, 3
HOST = "127.0.0.1"
BUFFER_BYTES = 4 << 20


class Fate(StrEnum):
    """LOST: the server gets the request, its answer never arrives. LATE: the request is held back until the client has
    given up and the test lets it go on."""

    LOST = "LOST"
    LATE = "LATE"


@dataclass
class Strike:
    """One message picked out. `done`: the server has carried it out (its answer was seen and swallowed)."""

    fate: Fate
    hit: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    done: asyncio.Event = field(default_factory=asyncio.Event)
    held: list[bytes] = field(default_factory=list)
    answer: bytes = b""


class Proxy:
    """Listens on a free port and hands everything on, but for the message that the next strike takes."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._next: Strike | None = None
        self.port = 0

    def strike(self, fate: Fate) -> Strike:
        """The next message of the kind that this proxy knows meets this fate."""
        self._next = Strike(fate)
        return self._next

    def take(self) -> Strike | None:
        """The strike that was ordered, once."""
        strike, self._next = self._next, None
        if strike is not None:
            strike.hit.set()
        return strike

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, HOST, 0, limit=BUFFER_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            there, onward = await asyncio.open_connection(HOST, self._target)
        except OSError:
            writer.close()
            return
        wire = Wire(reader, writer, there, onward)
        back = asyncio.create_task(_quietly(self.answers(wire)))
        back.add_done_callback(lambda _: writer.close())  # whoever leaves politely waits for the server to close
        try:
            await _quietly(self.requests(wire))
            if wire.strike is not None and wire.strike.fate is Fate.LATE:
                await wire.deliver(wire.strike)
        finally:
            back.cancel()
            for one in (writer, onward):
                one.close()

    async def requests(self, wire: Wire) -> None:
        """From the client to the server, until the client is gone."""
        raise NotImplementedError

    async def answers(self, wire: Wire) -> None:
        """From the server to the client, until the server is gone."""
        raise NotImplementedError


@dataclass
class Wire:
    """One connection through a proxy."""

    client_in: asyncio.StreamReader
    client_out: asyncio.StreamWriter
    server_in: asyncio.StreamReader
    server_out: asyncio.StreamWriter
    strike: Strike | None = None

    async def to_server(self, data: bytes) -> None:
        """Hand on, or hold back."""
        if self.strike is not None and self.strike.fate is Fate.LATE:
            self.strike.held.append(data)
            return
        self.server_out.write(data)
        await self.server_out.drain()

    async def to_client(self, data: bytes) -> None:
        """Hand on; after a strike nothing comes back any more on this connection."""
        if self.strike is not None:
            self.strike.answer += data
            self.strike.done.set()
            return
        self.client_out.write(data)
        await self.client_out.drain()

    async def deliver(self, strike: Strike) -> None:
        """The client is gone; what was held back still arrives."""
        await strike.go_on.wait()
        self.server_out.write(b"".join(strike.held))
        await self.server_out.drain()
        await strike.done.wait()


async def _quietly(work: Awaitable[None]) -> None:
    with suppress(OSError, asyncio.IncompleteReadError):
        await work


class PostgresProxy(Proxy):
    """Strikes the next execution of a statement with this word in its text."""

    def __init__(self, dsn: str, word: str = "commit_lanes(") -> None:
        super().__init__(urlsplit(dsn).port or 5432)
        self._parts, self._word = urlsplit(dsn), word

    def dsn(self, database: str) -> str:
        """How to reach that database through this proxy."""
        login = self._parts.netloc.rpartition("@")[0]
        return urlunsplit(self._parts._replace(netloc=f"{login}@{HOST}:{self.port}", path=f"/{database}"))

    async def requests(self, wire: Wire) -> None:
        """A start-up message has no type; later ones have one."""
        while True:
            head = await wire.client_in.readexactly(8)
            length, code = struct.unpack(">ii", head)
            await wire.to_server(head + await wire.client_in.readexactly(length - 8))
            if code == CANCEL_REQUEST:
                return
            if code not in (SSL_REQUEST, GSS_REQUEST):
                break
        texts: dict[bytes, bytes] = {}
        while True:
            head = await wire.client_in.readexactly(5)
            body = await wire.client_in.readexactly(struct.unpack(">i", head[1:])[0] - 4)
            if head[:1] == b"P":
                name, _, rest = body.partition(b"\0")
                texts[name] = rest
            elif head[:1] == b"B" and self._word.encode() in texts.get(body.split(b"\0", 2)[1], b""):
                wire.strike = wire.strike or self.take()
            await wire.to_server(head + body)

    async def answers(self, wire: Wire) -> None:
        while data := await wire.server_in.read(65_536):
            await wire.to_client(data)


class KafkaProxy(Proxy):
    """Strikes the next append to a ledger topic. The broker's own address in its answers is replaced by ours, so that
    clients never go round this proxy."""

    def __init__(self, bootstrap: str) -> None:
        super().__init__(int(bootstrap.rpartition(":")[2]))

    @property
    def bootstrap(self) -> str:
        """How to reach the broker through this proxy."""
        return f"{HOST}:{self.port}"

    async def requests(self, wire: Wire) -> None:
        async for frame in _frames(wire.client_in):
            if struct.unpack(">h", frame[4:6])[0] == PRODUCE and b"ledger." in frame:
                wire.strike = wire.strike or self.take()
            await wire.to_server(frame)

    async def answers(self, wire: Wire) -> None:
        theirs, ours = (HOST.encode() + struct.pack(">i", port) for port in (self._target, self.port))
        async for frame in _frames(wire.server_in):
            await wire.to_client(frame.replace(theirs, ours))


async def _frames(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Whole messages, length included."""
    while True:
        head = await reader.readexactly(4)
        yield head + await reader.readexactly(struct.unpack(">i", head)[0])
