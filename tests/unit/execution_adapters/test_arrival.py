"""A request that nobody waits for any more does not arrive later (F5, X12): who asks whether it was applied, and is
told no, must be able to believe that."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Iterator

import pytest

from services.execution.adapters.exchange import Exchange, HttpProfile, dial
from services.execution.adapters.mcp import _send
from services.execution.adapters.transport import CURRENT_CALL, CallSlot

pytestmark = [
    pytest.mark.requirement("F5"),
    pytest.mark.requirement("X12"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asked of the system as Linux answers it"),
]
BODY = b"x" * (8 << 20)  # more than the buffers of both sides hold


@pytest.fixture
def deaf() -> Iterator[socket.socket]:
    """A server that takes connections, and reads when it is told to."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)
        yield listening


async def sent(listening: socket.socket, body: bytes) -> Exchange:
    port = listening.getsockname()[1]
    exchange = await dial(HttpProfile("x", "127.0.0.1", port, "/", False, private=True), None)
    exchange.arrive_within(0.5)
    exchange.write(exchange.request("POST", body, {}))
    await asyncio.sleep(0.2)
    return exchange


def arrived(connection: socket.socket) -> int:
    """All bytes that come, until the end of the connection; then it is broken, or was closed."""
    connection.settimeout(5)
    size = 0
    try:
        while chunk := connection.recv(1 << 20):
            size += len(chunk)
    except ConnectionResetError:
        pass
    return size


def test_what_has_not_arrived_when_nobody_waits_any_more_never_does(deaf: socket.socket) -> None:
    async def given_up() -> int:
        exchange = await sent(deaf, BODY)
        exchange.give_up()
        await asyncio.sleep(0)
        connection, _ = deaf.accept()
        with connection:
            return await asyncio.to_thread(arrived, connection)

    assert 0 <= asyncio.run(given_up()) < len(BODY)


def test_what_has_arrived_is_not_called_back(deaf: socket.socket) -> None:
    async def given_up() -> int:
        exchange = await sent(deaf, b"short")
        exchange.give_up()
        connection, _ = deaf.accept()
        with connection:
            connection.settimeout(5)
            found = connection.recv(1 << 20)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            assert (await exchange.head()).status_code == 200
        exchange.close()
        return found.endswith(b"short")

    assert asyncio.run(given_up())


def test_the_system_gives_up_too_should_this_process_be_gone(deaf: socket.socket) -> None:
    async def option() -> int:
        exchange = await sent(deaf, b"short")
        connected = exchange._writer.get_extra_info("socket")
        found: int = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        exchange.close()
        return found

    assert asyncio.run(option()) == 500


def test_when_a_call_has_run_out_of_time_its_request_is_given_up() -> None:
    class Silent:
        """A connection whose call never ends."""

        async def call(self, *parts: object) -> None:
            slot = CURRENT_CALL.get()
            assert slot is not None
            slot.give_up = lambda: seen.append(slot.until)
            await asyncio.sleep(60)

    async def call() -> str:
        slot = CallSlot(lambda: True, cancellable=False)
        return await _send(Silent(), slot, ("act", {}, {}), 50)  # type: ignore[arg-type]

    seen: list[float] = []
    assert asyncio.run(call()) == "TIMEOUT"
    assert len(seen) == 1
    assert seen[0] > 0
