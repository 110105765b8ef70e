"""A server of MCP over HTTP by hand (revision 2025-11-25, with a session), whose answers to a call are what real ones
cannot be made to say. In process; it counts what arrives."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

TOOL = {"name": "act", "description": "Acts.", "inputSchema": {"type": "object"}}
SESSION = "session-1"


@dataclass
class Hostile:
    """What it has seen. `changed`: its tool has another definition from now on."""

    port: int = 0
    calls: list[dict[str, Any]] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    changed: bool = False
    lost_session: bool = False
    list_fails: bool = False
    list_waits: asyncio.Event | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
            self.heads.append(headers)
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            request = json.loads(body) if body else {}
            self.methods.append(request.get("method", head[0].partition(" ")[0]))
            await self.answer(request, writer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def answer(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        match request.get("method"):
            case "initialize":
                server = {"name": "hostile", "version": "1"}
                found = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": server}
                writer.write(response(200, reply(request, found), "application/json", f"Mcp-Session-Id: {SESSION}\r\n"))
            case "tools/list" if self.lost_session:
                self.lost_session = False
                writer.write(response(404, b"", "text/plain"))
            case "tools/list" if self.list_fails:
                writer.write(response(500, b"", "text/plain"))
            case "tools/list":
                if self.list_waits is not None:
                    await self.list_waits.wait()
                tool = TOOL | ({"description": "Acts otherwise."} if self.changed else {})
                writer.write(response(200, reply(request, {"tools": [tool]})))
            case "tools/call":
                self.calls.append(request)
                await self.misbehave(request, writer)
            case None:
                writer.write(response(200, b"", "text/plain"))
            case _ if "id" in request:
                writer.write(response(404, b"no such method", "text/plain"))
            case _:
                writer.write(response(202, b""))

    async def misbehave(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        mode = request["params"]["arguments"].get("mode")
        good = reply(request, {"content": [], "structuredContent": REFS})
        if mode == "hang":
            await asyncio.sleep(60)
        self.changed = self.changed or mode == "event"
        if mode == "endless":
            writer.write(stream(b""))
            for _ in range(1 << 20):
                writer.write(b'data: {"jsonrpc":"2.0","method":"notifications/message"}\n\n' * 100)
                await writer.drain()
        writer.write(self.answers(request, good).get(mode, response(200, good)))

    def answers(self, request: dict[str, Any], good: bytes) -> dict[str, bytes]:
        """What is written back, by the mode that the call asks for."""
        other = reply(request | {"id": 10**6}, {"content": [], "structuredContent": REFS})
        error = reply(request, None, {"code": -32000, "message": "no"})
        elsewhere = f"Location: http://127.0.0.1:{self.port}/other\r\n"
        notice = b'{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'
        return {
            "redirect": response(307, b"", "text/plain", elsewhere),
            "busy": response(503, b"come back", "text/plain", "Retry-After: 7\r\n"),
            "forbidden": response(403, b"no", "text/plain"),
            "broken": response(500, good),
            "accepted": response(202, good),
            "refused": response(400, error),
            "packed": response(200, b"\x1f\x8b" + good, "application/json", "Content-Encoding: gzip\r\n"),
            "malformed": response(200, b'{"jsonrpc":'),
            "no_http": b"hello\r\n\r\n",
            "huge": response(200, b'{"x":"' + LONG + b'"}'),
            "huge_event": stream(b"data: " + LONG),
            "huge_head": b"HTTP/1.1 200 OK\r\nx: " + LONG,
            "cut": response(200, good)[:-20],
            "silent": b"",
            "other": response(200, other),
            "other_event": stream(b"data: " + other + b"\n\n"),
            "event": stream(b": hello\n\ndata: " + notice + b"\n\ndata: " + good + b"\n\n"),
        }


LONG = b"x" * (1 << 21)
REFS = {"success": True, "external_object_refs": [{"type": "act", "id": "1"}]}


def reply(request: dict[str, Any], result: Any, error: Any = None) -> bytes:
    found = {"jsonrpc": "2.0", "id": request.get("id")} | ({"error": error} if error else {"result": result})
    return json.dumps(found).encode()


def response(status: int, body: bytes, kind: str = "application/json", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


def stream(start: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + start


@asynccontextmanager
async def hostile(tls: ssl.SSLContext | None = None) -> AsyncIterator[Hostile]:
    """Running on a free port of loopback."""
    one = Hostile()
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0, ssl=tls)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
