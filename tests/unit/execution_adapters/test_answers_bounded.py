"""What a server writes is read within limits, and only what we asked for reaches the session (T16, X7)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, cast

import anyio
import pytest
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCError, JSONRPCRequest, JSONRPCResponse

from services.execution.adapters.process import Profile, ServerProcess
from services.execution.adapters.transport import (
    SKIP_FACTOR,
    AnswerStream,
    CallSlot,
    GuardedTransport,
    RequestStream,
)

LIMIT = 1024


class Output:
    """Standard output of a server, in given pieces; remembers the most that the reader held before it asked on."""

    profile = Profile("x", ("/x",))

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.pieces: Iterator[bytes] = iter(pieces)
        self.stream: AnswerStream | None = None
        self.held = 0

    async def read(self) -> bytes:
        if self.stream is not None:
            self.held = max(self.held, len(self.stream._buffer))
        return next(self.pieces, b"")


def reading(pieces: Iterable[bytes], *ids: int) -> tuple[list[Any], dict[int, CallSlot], GuardedTransport, Output]:
    """All messages of the stream while calls with these ids are waiting."""

    async def read() -> tuple[list[Any], dict[int, CallSlot], GuardedTransport, Output]:
        output = Output(pieces)
        process = cast(ServerProcess, output)
        transport = GuardedTransport(process, LIMIT)
        slots = {one: CallSlot(lambda: True, cancellable=False, request_id=one) for one in ids}
        transport.slots.update(slots.items())
        output.stream = AnswerStream(transport, process, RequestStream(transport, process), LIMIT)
        return [cast(SessionMessage, item).message async for item in output.stream], slots, transport, output

    return asyncio.run(read())


def answer(request_id: int, text: str = "") -> bytes:
    return b'{"jsonrpc":"2.0","id":%d,"result":{"text":"%s"}}\n' % (request_id, text.encode())


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_lines_are_found_however_the_bytes_arrive(size: int) -> None:
    data = answer(1) + b"\nstray line\n" + answer(2)
    found, slots, _, _ = reading([data[at : at + size] for at in range(0, len(data), size)], 1)
    assert [message.id for message in found] == [1, 2]
    assert slots[1].raw == answer(1).strip()


@pytest.mark.parametrize("piece", [100, 5000, 10_000_000])
def test_an_oversized_line_is_thrown_away_unread_and_fails_its_own_call(piece: int) -> None:
    line = answer(1, "x" * LIMIT * (SKIP_FACTOR // 2))
    data = line + answer(2)
    found, slots, _, output = reading([data[at : at + piece] for at in range(0, len(data), piece)], 1, 2)
    assert [type(message) for message in found] == [JSONRPCError, JSONRPCResponse]
    assert (slots[1].fault, slots[1].raw) == ("ANSWER_TOO_LARGE", None)
    assert slots[2].raw is not None
    assert output.held <= LIMIT + piece


def test_a_line_that_never_ends_ends_the_connection() -> None:
    found, _, transport, output = reading((b"x" * LIMIT for _ in range(10_000)), 1, 2)
    assert found == []
    assert transport.broken
    assert output.held <= 2 * LIMIT


@pytest.mark.requirement("X7")
@pytest.mark.parametrize(
    "talk",
    [
        b"{\n",
        b"hello\n",
        b'{"jsonrpc":"2.0","method":"notifications/message","params":{}}\n',
        b'{"jsonrpc":"2.0","id":11,"method":"ping"}\n',
        b'{"jsonrpc":"2.0","id":99,"result":{}}\n',
    ],
)
def test_a_server_that_does_nothing_but_talk_is_given_up(talk: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.execution.adapters.pace.IDLE_MAX", 500)
    found, _, transport, _ = reading((talk * 100 for _ in range(100)), 1, 2)
    assert transport.broken
    assert len(found) <= (501 if b"result" in talk else 1)
    assert not reading((talk for _ in range(400)), 1, 2)[2].broken
    answers = (answer(1) for _ in range(2_000))
    assert not reading(answers, 1)[2].broken  # one's own answers are no talk


@pytest.mark.requirement("X7")
def test_while_a_server_talks_others_go_on() -> None:
    """All its output is there at once, so nothing in the reading of it waits."""
    turns: list[float] = []

    async def read() -> None:
        process = cast(ServerProcess, Output(b"{\n" * 1_000 for _ in range(30)))
        transport = GuardedTransport(process, LIMIT)
        stream = AnswerStream(transport, process, RequestStream(transport, process), LIMIT)
        reader = asyncio.ensure_future(stream.receive())
        while not reader.done():
            turns.append(asyncio.get_running_loop().time())
            await asyncio.sleep(0)
        with pytest.raises(anyio.EndOfStream):
            reader.result()

    asyncio.run(read())
    assert max(later - before for before, later in pairwise(turns)) < 0.1
    assert len(turns) > 10


def test_a_malformed_answer_fails_the_call_that_it_names_or_the_only_one() -> None:
    named, slots, _, _ = reading([b'{"jsonrpc":"2.0","id":2,"result":]\n'], 1, 2)
    assert [message.id for message in named] == [2]
    assert slots[2].fault == "ANSWER_MALFORMED"
    assert slots[1].fault == ""
    only, _, _, _ = reading([b"{broken\n"], 5)
    assert [message.id for message in only] == [5]
    assert reading([b"{broken\n"], 5, 6)[0] == []


def test_a_server_cannot_give_us_work() -> None:
    talk = [
        b'{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}\n',
        b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}\n',
        b'{"jsonrpc":"2.0","id":9,"method":"sampling/createMessage","params":{}}\n',
        b'{"jsonrpc":"2.0","id":10,"method":"roots/list"}\n',
        b'{"jsonrpc":"2.0","id":11,"method":"ping"}\n',
        b'{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n',
    ]
    found, _, transport, _ = reading(talk, 1)
    assert [message.method for message in found if isinstance(message, JSONRPCRequest)] == ["ping"]
    assert len(found) == 1
    assert transport.definitions_changed
