"""Every call says to which trace it belongs (A2)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from libs.client.calling import Caller
from libs.client.connection import Connection
from libs.contracts.proto.deedbook.status.v1 import status_pb2 as pb
from libs.runtime.logs import trace_id

pytestmark = pytest.mark.requirement("A2")
CALLER = Caller(Connection("127.0.0.1:9", "127.0.0.1:9", lambda *_: "token"))
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Stream:
    """Nothing comes, and nobody minds."""

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        raise StopAsyncIteration

    def cancel(self) -> None: ...


async def test_each_call_is_sent_with_the_trace_that_it_is_about_or_one_of_its_own() -> None:
    sent: list[str] = []

    async def unary(request: Any, metadata: Any, timeout: float) -> None:  # noqa: ASYNC109 - as gRPC calls it
        sent.append(dict(metadata)["traceparent"])

    def stream(request: Any, metadata: Any) -> Stream:
        sent.append(dict(metadata)["traceparent"])
        return Stream()

    method: Any = unary
    streams: Any = stream
    for _ in range(2):
        await CALLER.once(method, pb.GetRequest())
        await CALLER.until_answered(method, pb.GetRequest())
        assert [one async for one in CALLER.stream(streams, pb.WatchRequest())] == []
    await CALLER.until_answered(method, pb.GetRequest(), "no traceparent")
    assert len({trace_id(one) for one in sent} - {""}) == len(sent) == 7
    await CALLER.until_answered(method, pb.GetRequest(), TRACE)
    assert sent[-1] == TRACE
