"""Streams that are cut again and again, which no real server can be made to do on time: the deed is still followed."""

# ruff: noqa: N802 - the contract names the methods
from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
import pytest

from deedbook import Client, Connection, State, TimedOut, Unavailable
from libs.contracts.proto.deedbook.status.v1 import status_pb2 as pb
from libs.contracts.proto.deedbook.status.v1 import status_pb2_grpc
from libs.runtime.rpc import CODE_KEY

pytestmark = [pytest.mark.integration, pytest.mark.requirement("L1")]
CALL_S = 0.25  # six of these without an answer, and the other side counts as away


@dataclass
class Cutting(status_pb2_grpc.StatusServiceServicer):
    """Ends every stream at once; the intent changes at each `every`-th question and has ended at version 4."""

    every: int = 1
    silent: bool = False
    asked: list[int] = field(default_factory=list)
    questions: int = 0

    async def Watch(self, request: pb.WatchRequest, context: Any) -> AsyncIterator[pb.WatchResponse]:
        self.asked.append(request.after_version)
        if request.after_version == 0:
            yield pb.WatchResponse(intent=pb.Intent(version=1, state=pb.STATE_RUNNING))
        await context.abort(grpc.StatusCode.UNAVAILABLE, "long enough", ((CODE_KEY, "WATCH_AGAIN"),))

    async def Get(self, request: pb.GetRequest, context: Any) -> pb.GetResponse:
        if self.silent:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        self.questions += 1
        version = 1 + self.questions // self.every
        found = pb.Intent(version=version, state=pb.STATE_RUNNING)
        if version >= 4:
            found.state = pb.STATE_SUCCEEDED
            found.end_time.FromSeconds(int(time.time()))
        return pb.GetResponse(intent=found)


class Silent(Cutting):
    """Says one thing and then nothing, on a stream that stays open."""

    async def Watch(self, request: pb.WatchRequest, context: Any) -> AsyncIterator[pb.WatchResponse]:
        self.asked.append(request.after_version)
        yield pb.WatchResponse(intent=pb.Intent(version=1, state=pb.STATE_RUNNING))
        await asyncio.Event().wait()


class Losing:
    """A network that forgets a connection: its ends stay open, and nothing that is sent arrives. New ones work."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.connections = 0
        self.lost = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        there, onward = await asyncio.open_connection("127.0.0.1", self._port)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._carry(number, reader, onward))
            both.create_task(self._carry(number, there, writer))

    async def _carry(self, number: int, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while piece := await source.read(65_536):
            if number > self.lost:
                target.write(piece)
        target.close()


@asynccontextmanager
async def serving(servicer: Cutting) -> AsyncIterator[Client]:
    """A client of it."""
    async with listening(servicer) as port, Client(connection(port)) as client:
        yield client


@asynccontextmanager
async def listening(servicer: Cutting) -> AsyncIterator[int]:
    """Its port. It lets its clients ask whether it is there, as our servers do."""
    server = grpc.aio.server(options=(("grpc.http2.min_ping_interval_without_data_ms", 10),))
    status_pb2_grpc.add_StatusServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)


def connection(port: int, quiet_s: float = 20.0) -> Connection:
    return Connection(f"127.0.0.1:{port}", f"127.0.0.1:{port}", lambda *_: "token", timeout_s=CALL_S, quiet_s=quiet_s)


async def test_each_version_is_told_once_over_many_streams() -> None:
    servicer = Cutting()
    async with serving(servicer) as client:
        versions = [deed.version async for deed in client.watch("one")]
    assert versions == [1, 2, 3, 4]
    assert servicer.asked[:3] == [0, 2, 3]


async def test_who_answers_questions_is_not_away_however_long_nothing_changes() -> None:
    servicer = Cutting(every=3)  # with the pauses between them this lasts longer than six calls may take
    began = time.monotonic()
    async with serving(servicer) as client:
        deed = await client.wait("one", limit_s=30)
    assert deed.state is State.SUCCEEDED
    assert time.monotonic() - began > 6 * CALL_S


async def test_who_answers_nothing_is_given_up() -> None:
    async with serving(Cutting(silent=True)) as client:
        with pytest.raises(Unavailable) as raised:
            async for _ in client.watch("one"):
                pass
        assert not isinstance(raised.value, TimedOut)
        with pytest.raises(TimedOut) as late:
            await client.wait("one", limit_s=0.3)
        assert late.value.deed and late.value.deed.version == 1


async def test_a_connection_that_is_gone_without_a_word_is_noticed_and_the_deed_followed_on_another() -> None:
    async with listening(servicer := Silent()) as port:
        network = Losing(port)
        server = await asyncio.start_server(network.serve, "127.0.0.1", 0)
        through = server.sockets[0].getsockname()[1]
        versions = []
        async with server, Client(connection(through, quiet_s=1.0)) as client, asyncio.timeout(20):
            async for deed in client.watch("one"):
                versions.append(deed.version)
                servicer.questions = 10  # it ends meanwhile
                network.lost = network.connections
        assert versions == [1, 12]


async def test_a_proxy_of_the_environment_never_sees_what_goes_to_this_very_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would get the token, in the clear."""
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with serving(Cutting()) as client:
        assert (await client.get("one")).version == 2
