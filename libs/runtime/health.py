"""The small HTTP port of every process: /live, /ready and /metrics, nothing else.

Ready means *progress or caught up*, asked at the moment of the request: the answers come from callables, so a loop that
hangs cannot leave an old 'yes' behind. It is bound to loopback unless told otherwise. A browser has no business here:
a Host header that is not ours (DNS rebinding) and any Origin header are refused.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from libs.runtime.logs import logger

HEAD_BYTES_MAX = 8192
HEAD_SECONDS_MAX = 5.0
CONNECTIONS_MAX = 64
TEXT = "text/plain; charset=utf-8"
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}
REASONS |= {405: "Method Not Allowed", 421: "Misdirected Request", 503: "Service Unavailable"}

Check = Callable[[], str]  # '' = yes; otherwise the reason, in words for an operator


@dataclass(frozen=True)
class Answer:
    """What a request gets."""

    status: int
    body: bytes
    content_type: str = TEXT


@dataclass(frozen=True)
class Pages:
    """What the port shows. `live` and `ready` give '' for yes, else the reason. `token` protects /metrics."""

    live: Check
    ready: Check
    metrics: Callable[[], bytes]
    token: str | None = None
    names: tuple[str, ...] = ()


def answer(pages: Pages, head: bytes, local_address: str) -> Answer:
    """The whole protocol as a function of the request's head and of the address that it came in on."""
    try:
        line, *rest = head.decode("ascii").split("\r\n")
        method, target, version = line.split(" ")
        headers = [
            (name.lower(), value.strip()) for name, colon, value in (item.partition(":") for item in rest) if colon
        ]
    except ValueError:
        return Answer(400, b"bad request\n")
    hosts = [value for name, value in headers if name == "host"]
    if not version.startswith("HTTP/1.") or len(hosts) != 1:
        return Answer(400, b"bad request\n")
    if not _is_ours(hosts[0], local_address, pages.names):
        return Answer(421, b"this host is not served here\n")
    if any(name == "origin" for name, _ in headers):
        return Answer(403, b"no requests from browsers\n")
    if method not in ("GET", "HEAD"):
        return Answer(405, b"GET only\n")
    return _page(pages, target.partition("?")[0], dict(headers).get("authorization", ""))


def _page(pages: Pages, path: str, authorization: str) -> Answer:
    match path:
        case "/live":
            return _yes_or_no(pages.live)
        case "/ready":
            return _yes_or_no(pages.ready)
        case "/metrics":
            wanted = f"Bearer {pages.token}" if pages.token else authorization
            if not hmac.compare_digest(authorization.encode(), wanted.encode()):
                return Answer(401, b"a bearer token is needed\n")
            return Answer(200, pages.metrics(), EXPOSITION)
        case _:
            return Answer(404, b"not found\n")


def _yes_or_no(check: Check) -> Answer:
    reason = check()
    return Answer(503, f"{reason}\n".encode()) if reason else Answer(200, b"ok\n")


def _is_ours(host: str, local_address: str, names: tuple[str, ...]) -> bool:
    """localhost, the very address that was dialled, or a name that the operator gave: rebinding needs another one."""
    name = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
    name = name.strip("[]").lower()
    if name == "localhost" or name in names:
        return True
    try:
        return ipaddress.ip_address(name) == ipaddress.ip_address(local_address)
    except ValueError:
        return False


class HealthServer:
    """Serves `Pages`. `port` is the real one after `start`."""

    def __init__(self, host: str, port: int, pages: Pages) -> None:
        self._host, self._wanted, self._pages = host, port, pages
        self._server: asyncio.Server | None = None
        self._open = 0
        self._log = logger(__name__)
        self.port = port

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, self._host, self._wanted, limit=HEAD_BYTES_MAX)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open > CONNECTIONS_MAX:
                return
            async with asyncio.timeout(HEAD_SECONDS_MAX):
                head = (await reader.readuntil(b"\r\n\r\n"))[:-4]
                said = self._ask(head, str(writer.get_extra_info("sockname")[0]))
                writer.write(_bytes(said, head.startswith(b"HEAD ")))
                await writer.drain()
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a caller that sends no proper head gets no answer
        finally:
            self._open -= 1
            with suppress(ConnectionError):
                writer.close()

    def _ask(self, head: bytes, local_address: str) -> Answer:
        try:
            return answer(self._pages, head, local_address)
        except Exception:  # noqa: BLE001 - boundary: a check that raises is a 'no', with the cause in the log
            self._log.exception("a health check raised")
            return Answer(503, b"the check failed\n")


def _bytes(said: Answer, head_only: bool) -> bytes:
    lines = (
        f"HTTP/1.1 {said.status} {REASONS[said.status]}",
        f"Content-Type: {said.content_type}",
        f"Content-Length: {len(said.body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if head_only else said.body)
