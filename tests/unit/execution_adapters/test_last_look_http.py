"""Over HTTP too, nothing of the loop comes between the last look at the lease and the first byte (lane rule 17)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

import h11
import pytest
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification, JSONRPCRequest

from services.execution.adapters.exchange import Exchange, HttpProfile
from services.execution.adapters.http import LEFT_MAX, HttpTransport, Requests
from services.execution.adapters.transport import CURRENT_CALL, CallSlot, NotSent

CALL = SessionMessage(JSONRPCRequest(jsonrpc="2.0", id=7, method="tools/call", params={"name": "x"}))
CANCEL = SessionMessage(JSONRPCNotification(jsonrpc="2.0", method="notifications/cancelled", params={"requestId": 7}))
PROFILE = HttpProfile("x", "127.0.0.1", 80, "/", False, private=True)


class Line(Exchange):
    """Notes what happens in which order; nothing ever comes back."""

    def __init__(self, seen: list[str]) -> None:
        self._profile, self._state, self.seen = PROFILE, h11.Connection(h11.CLIENT), seen

    def write(self, data: bytes) -> None:
        self.seen.append("write")

    def arrive_within(self, seconds: float) -> None: ...

    def give_up(self) -> None:
        self.seen.append("give up")

    def close(self) -> None:
        self.seen.append("close")

    async def head(self) -> h11.Response:
        await asyncio.sleep(3600)
        raise AssertionError


def sending(
    guard: Callable[[], bool], *messages: SessionMessage, cancellable: bool = False
) -> tuple[CallSlot, list[str]]:
    """Send messages over a line that takes a while to be there; gives the slot, and what was seen meanwhile."""
    seen: list[str] = []

    async def connect(profile: HttpProfile, tls: ssl.SSLContext | None) -> Exchange:
        await asyncio.sleep(0)
        seen.append("connected")
        return cast(Exchange, Line(seen))

    def looked() -> bool:
        seen.append("look")
        asyncio.get_running_loop().call_soon(seen.append, "other things")
        return guard()

    async def send() -> tuple[CallSlot, list[str]]:
        slot = CallSlot(looked, cancellable)
        CURRENT_CALL.set(slot)
        stream = Requests(HttpTransport(PROFILE, 1024, connect))
        try:
            for message in messages:
                await stream.send(message)
                await asyncio.sleep(0)
        except NotSent:
            pass
        for _ in range(3):
            await asyncio.sleep(0)
        return slot, list(seen)

    return asyncio.run(send())


@pytest.mark.rule(17)
@pytest.mark.requirement("T18")
def test_the_look_comes_last_and_the_first_byte_right_after_it() -> None:
    slot, seen = sending(lambda: True, CALL)
    assert seen[:3] == ["connected", "look", "write"]
    assert (slot.sent, slot.refused, slot.request_id) == (True, False, 7)


@pytest.mark.rule(17)
def test_when_the_guard_refuses_no_byte_leaves() -> None:
    slot, seen = sending(lambda: False, CALL)
    assert "write" not in seen
    assert seen[:3] == ["connected", "look", "close"]
    assert (slot.sent, slot.refused) == (False, True)


@pytest.mark.requirement("X20")
@pytest.mark.requirement("X7")
def test_of_the_calls_that_ran_out_of_time_only_some_hold_a_connection() -> None:
    """Or else a server that never answers would take all of the process' descriptors."""

    async def send() -> tuple[int, list[str]]:
        seen: list[str] = []

        async def connect(profile: HttpProfile, tls: ssl.SSLContext | None) -> Exchange:
            return cast(Exchange, Line(seen))

        stream = Requests(HttpTransport(PROFILE, 1024, connect))
        for number in range(LEFT_MAX + 20):
            slot = CallSlot(lambda: True, cancellable=False)
            CURRENT_CALL.set(slot)
            await stream.send(SessionMessage(JSONRPCRequest(jsonrpc="2.0", id=number, method="tools/call", params={})))
            await asyncio.sleep(0)
            assert slot.give_up is not None
            slot.give_up()
        for _ in range(3):
            await asyncio.sleep(0)
        return seen.count("give up"), seen

    given_up, seen = asyncio.run(send())
    assert given_up == LEFT_MAX + 20
    assert seen[: seen.index("close")].count("give up") == LEFT_MAX + 1


@pytest.mark.parametrize("cancellable", [True, False])
def test_only_a_read_is_closed_half_way(cancellable: bool) -> None:
    _, seen = sending(lambda: True, CALL, CANCEL, cancellable=cancellable)
    assert seen.count("write") == 1  # a cancellation is never sent as a message
    assert ("close" in seen) is cancellable
