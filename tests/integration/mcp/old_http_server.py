"""A server on the official SDK before its version 2, which speaks revision 2025-11-25 with sessions over HTTP. It runs
in an environment of its own: `python old_http_server.py PORT`."""

from __future__ import annotations

import sys

from mcp.server.fastmcp import FastMCP  # type: ignore[attr-defined]  # gone since version 2

server = FastMCP("old", host="127.0.0.1", port=int(sys.argv[1]))


@server.tool()  # type: ignore[untyped-decorator]
def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


server.run(transport="streamable-http")
