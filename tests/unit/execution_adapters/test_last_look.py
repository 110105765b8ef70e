"""The last look at the lease and the first byte: nothing of the event loop comes between them (lane rule 17)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import anyio
import pytest
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification, JSONRPCRequest

from services.execution.adapters.process import Profile, ServerProcess
from services.execution.adapters.transport import CURRENT_CALL, CallSlot, GuardedTransport, NotSent, RequestStream

CALL = SessionMessage(JSONRPCRequest(jsonrpc="2.0", id=7, method="tools/call", params={"name": "x"}))


class Pipe:
    """Takes as many bytes of each write as it is told to; notes what happens in which order."""

    def __init__(self, *room: int) -> None:
        self.room = list(room)
        self.seen: list[str] = []
        self.bytes = b""
        self.closed = False

    def write_now(self, data: memoryview) -> int:
        if self.closed:
            raise BrokenPipeError
        taken = min(len(data), self.room.pop(0) if self.room else len(data))
        self.seen.append(f"write {taken}")
        self.bytes += bytes(data[:taken])
        return taken

    async def writable(self) -> None:
        self.seen.append("wait")
        await asyncio.sleep(0)

    def close_input(self) -> None:
        self.closed = True


def sending(pipe: Pipe, guard: Callable[[], bool], message: SessionMessage = CALL, **headers: str) -> CallSlot:
    """Send one message under a guard that also notes when the loop gets to run other things."""

    def looked() -> bool:
        pipe.seen.append("look")
        asyncio.get_running_loop().call_soon(pipe.seen.append, "other things")
        return guard()

    async def send() -> CallSlot:
        process = cast(ServerProcess, pipe)
        stream = RequestStream(GuardedTransport(ServerProcess(Profile("x", ("/x",))), 1024), process)
        slot = CallSlot(looked, cancellable=False, headers=headers)
        CURRENT_CALL.set(slot)
        try:
            await stream.send(message)
        except (NotSent, anyio.BrokenResourceError):
            pipe.seen.append("raised")
        return slot

    return asyncio.run(send())


def test_nothing_comes_between_the_look_and_the_first_byte() -> None:
    pipe = Pipe()
    slot = sending(pipe, lambda: True)
    assert pipe.seen[:2] == ["look", f"write {len(pipe.bytes)}"]
    assert slot.sent
    assert pipe.bytes.endswith(b"\n")


def test_after_a_wait_for_room_it_looks_again() -> None:
    pipe = Pipe(0, 0)
    looks = iter([True, True, False])
    slot = sending(pipe, lambda: next(looks))
    assert [seen for seen in pipe.seen if seen != "other things"] == ["look", "write 0", "wait"] * 2 + [
        "look",
        "raised",
    ]
    assert slot.refused
    assert not slot.sent
    assert not pipe.bytes


def test_a_key_that_belongs_into_a_header_is_never_left_out() -> None:
    pipe = Pipe()
    slot = sending(pipe, lambda: True, key="K")
    assert (slot.sent, pipe.bytes) == (False, b"")


def test_once_the_first_byte_has_left_the_rest_follows_without_a_look() -> None:
    pipe = Pipe(1, 0, 5)
    looks = iter([True])
    slot = sending(pipe, lambda: next(looks))
    assert slot.sent
    assert pipe.seen.count("look") == 1
    assert pipe.bytes.endswith(b"\n")


def test_a_refused_call_leaves_no_byte() -> None:
    pipe = Pipe()
    slot = sending(pipe, lambda: False)
    assert slot.refused
    assert not slot.sent
    assert pipe.bytes == b""
    assert pipe.seen[:2] == ["look", "raised"]


def test_a_message_cut_in_the_middle_ends_the_connection() -> None:
    class Breaking(Pipe):
        async def writable(self) -> None:
            raise ConnectionResetError

    pipe = Breaking(3)
    slot = sending(pipe, lambda: True)
    assert slot.sent
    assert pipe.closed


def test_a_call_without_a_guard_is_never_sent() -> None:
    pipe = Pipe()

    async def send() -> None:
        CURRENT_CALL.set(None)
        transport = GuardedTransport(ServerProcess(Profile("x", ("/x",))), 1024)
        await RequestStream(transport, cast(ServerProcess, pipe)).send(CALL)

    with pytest.raises(NotSent):
        asyncio.run(send())
    assert pipe.bytes == b""


def test_nobody_is_asked_to_stop_in_the_middle_of_a_write() -> None:
    pipe = Pipe()
    cancel = JSONRPCNotification(jsonrpc="2.0", method="notifications/cancelled", params={"requestId": 7})
    sending(pipe, lambda: True, SessionMessage(cancel))
    assert pipe.bytes == b""
