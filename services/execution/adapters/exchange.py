"""One HTTP/1.1 request and the bounded reading of its response: dialled where the operator's file says and nowhere
else. No proxy, no redirect, no compression, no connection that is used twice."""

from __future__ import annotations

import asyncio
import fcntl
import re
import socket
import ssl
import sys
import termios
from dataclasses import dataclass, field

import h11

from services.execution.adapters.addresses import dialled
from services.execution.adapters.events import TooLarge
from services.execution.adapters.pace import Pace

# What an operator may name: not those that say how a message is framed, or what MCP says in headers.
HEADER = re.compile(r"(?!(?i:mcp-|host$|content-|connection$|transfer-|accept))[A-Za-z0-9-]{1,64}")
TRANSIENT_STATUS = (408, 425, 429, 502, 503, 504)
HEAD_MAX = 65_536
CHUNK = 65_536
OURS = {"accept": "application/json, text/event-stream", "accept-encoding": "identity", "connection": "close"}


@dataclass(frozen=True)
class HttpProfile:
    """One entry of the operator's file. `headers` holds what goes along with each request, its secrets resolved;
    `private`: its address may be one of a network of one's own."""

    name: str
    host: str
    port: int
    path: str
    tls: bool
    ca: str = ""
    private: bool = False
    headers: dict[str, str] = field(default_factory=dict, repr=False)


class Unusable(Exception):
    """A response that holds no answer. `code` is stable, `reason` for people; `again`: a later request may fare
    better, and when."""

    def __init__(self, code: str, reason: str = "", again: bool = False, retry_after_ms: int = 0) -> None:
        super().__init__(code)
        self.code, self.reason, self.again, self.retry_after_ms = code, reason or code, again, retry_after_ms


def unusable(status: int, retry_after: str) -> Unusable:
    """What a status without an answer means. 'later' is all that is believed of it: whatever stands between us and the
    tool may have passed the request on."""
    reason = f"the server answered with HTTP status {status}"
    if status in TRANSIENT_STATUS:
        return Unusable("SERVER_UNAVAILABLE", reason, True, _seconds(retry_after) * 1000)
    if 300 <= status < 400:
        return Unusable("REDIRECTED", f"{reason}: the servers' file says where to call, nobody else")
    return Unusable("CREDENTIAL_REFUSED" if status in (401, 403) else "HTTP_ERROR", reason)


class Exchange:
    """A connection that is open, and has not carried a byte yet."""

    def __init__(self, profile: HttpProfile, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._profile, self._reader, self._writer = profile, reader, writer
        self._state = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_MAX)
        self._pace = Pace()

    def request(self, method: str, body: bytes, headers: dict[str, str]) -> bytes:
        """All bytes of the request. Raises ConnectionError for headers that are none."""
        profile = self._profile
        host = f"[{profile.host}]" if ":" in profile.host else profile.host
        sent = OURS | {"host": f"{host}:{profile.port}", "content-length": str(len(body))}
        sent |= {"content-type": "application/json"} if body else {}
        sent |= {name.lower(): value for name, value in (headers | profile.headers).items()}
        try:
            request = h11.Request(method=method, target=profile.path, headers=list(sent.items()))
        except (h11.LocalProtocolError, UnicodeError):  # what they say repeats the header, which may be a secret
            raise ConnectionError(f"{profile.name}: one of its headers cannot be sent") from None
        parts = [self._state.send(request), self._state.send(h11.Data(data=body)), self._state.send(h11.EndOfMessage())]
        return b"".join(part for part in parts if part)

    def write(self, data: bytes) -> None:
        """At once, as far as the system takes it; the rest follows by itself."""
        self._writer.write(data)

    def arrive_within(self, seconds: float) -> None:
        """What the other side has not acknowledged so long after it was sent is never sent again, whatever becomes of
        this process: who asks later whether it was applied is told no, and then it must not arrive after all."""
        if (option := getattr(socket, "TCP_USER_TIMEOUT", None)) is not None:
            connected = self._writer.get_extra_info("socket")
            connected.setsockopt(socket.IPPROTO_TCP, option, max(1, int(seconds * 1000)))

    def give_up(self) -> None:
        """Nobody waits any more. A request that has not arrived in full must not do so later; one that has is left
        alone, since to close it may be taken for a cancellation half way through."""
        if self._writer.transport.get_write_buffer_size() or _unacknowledged(self._writer.get_extra_info("socket")):
            self.close()

    def close(self) -> None:
        """Safe to call twice."""
        self._writer.transport.abort()

    async def head(self) -> h11.Response:
        """Status and headers. Raises OSError and h11.RemoteProtocolError."""
        while True:
            match await self._event():
                case h11.Response() as head:
                    return head
                case h11.InformationalResponse():
                    continue
                case _:
                    raise ConnectionError("it ended without a response")

    async def data(self) -> bytes | None:
        """The next bytes of the body; None at its end. Raises as head does, also when it is cut off."""
        event = await self._event()
        return bytes(event.data) if isinstance(event, h11.Data) else None

    async def body(self, limit: int) -> bytes:
        """The whole body. Raises TooLarge."""
        body = bytearray()
        while (data := await self.data()) is not None:
            body += data
            if len(body) > limit:
                raise TooLarge
        return bytes(body)

    async def _event(self) -> object:
        await self._pace.breathe()
        while (event := self._state.next_event()) is h11.NEED_DATA:
            self._state.receive_data(await self._reader.read(CHUNK))
        return event


async def dial(profile: HttpProfile, tls: ssl.SSLContext | None) -> Exchange:
    """Connect. Raises AddressRefused and OSError: then nothing was sent."""
    address = await dialled(profile.host, profile.port, profile.private)
    if tls is None and not address.is_loopback:
        raise ConnectionError(f"{profile.name}: without TLS only this very machine is called, and not {address}")
    name = profile.host if tls is not None else None
    return Exchange(profile, *await asyncio.open_connection(str(address), profile.port, ssl=tls, server_hostname=name))


def _unacknowledged(connected: socket.socket) -> int:
    """Bytes that the system has taken and the other side has not acknowledged; 0 where that cannot be asked."""
    if not sys.platform.startswith("linux") or connected.fileno() < 0:
        return 0
    try:
        return int.from_bytes(fcntl.ioctl(connected.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except OSError:
        return 0


def _seconds(text: str) -> int:
    """Retry-After, if it is a number of seconds; at most an hour."""
    return min(int(text), 3600) if text.isascii() and text.isdigit() and len(text) < 6 else 0
