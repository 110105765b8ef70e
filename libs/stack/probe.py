"""Asks a process whether it is ready: GET /ready on its loopback port, a few lines instead of an HTTP library."""

from __future__ import annotations

import asyncio
from contextlib import suppress

ANSWER_S = 2.0
ANSWER_BYTES_MAX = 4096


async def is_ready(port: int) -> tuple[bool, str]:
    """(ready, why not)."""
    try:
        async with asyncio.timeout(ANSWER_S):
            return read_answer(await _get(port))
    except (TimeoutError, OSError) as error:
        return False, "no answer yet" if isinstance(error, ConnectionRefusedError) else f"no answer ({error})"


async def _get(port: int) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET /ready HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        answer = b""
        while len(answer) < ANSWER_BYTES_MAX and (more := await reader.read(ANSWER_BYTES_MAX)):
            answer += more
        return answer.decode(errors="replace")
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def read_answer(answer: str) -> tuple[bool, str]:
    """(ready, why not) of a whole HTTP answer."""
    head, _, body = answer.partition("\r\n\r\n")
    status = head.split(" ", 2)[1:2]
    return status == ["200"], "" if status == ["200"] else body.strip()[:200] or "not ready"
