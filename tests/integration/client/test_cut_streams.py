"""Streams that are cut again and again, which no real server can be made to do on time: the deed is still followed."""

# ruff: noqa: N802 - the contract names the methods
from __future__ import annotations

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


@asynccontextmanager
async def serving(servicer: Cutting) -> AsyncIterator[Client]:
    """A client of it."""
    server = grpc.aio.server()
    status_pb2_grpc.add_StatusServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    connection = Connection(f"127.0.0.1:{port}", f"127.0.0.1:{port}", lambda: "token", timeout_s=CALL_S)
    try:
        async with Client(connection) as client:
            yield client
    finally:
        await server.stop(0)


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
