"""A server of revision 2025-11-25 that talks without end once it was asked what it offers.

python hostile_stdio.py junk | notes | pings | answers | list
"""

from __future__ import annotations

import json
import sys
from typing import Any

TALK: dict[str, dict[str, Any]] = {
    "notes": {"method": "notifications/message", "params": {"level": "info", "data": 1}},
    "pings": {"id": "p", "method": "ping"},
    "answers": {"id": 10**6, "result": {}},
}
TOOL: dict[str, Any] = {"name": "act", "inputSchema": {"type": "object"}}
mode = sys.argv[1]


def say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0"} | message) + "\n")
    sys.stdout.flush()


for line in sys.stdin:
    request = json.loads(line)
    if request.get("method") == "initialize":
        server = {"name": "hostile", "version": "1"}
        found = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": server}
        say({"id": request["id"], "result": found})
    elif request.get("method") == "tools/list" and mode == "list":
        tools = [{"name": f"t{n}", "inputSchema": {"type": "object", "\u00e9": [1.5] * 10_000}} for n in range(20)]
        say({"id": request["id"], "result": {"tools": tools, "nextCursor": "more"}})
    elif request.get("method") == "tools/list":
        say({"id": request["id"], "result": {"tools": [TOOL]}})
        more = "{\n" if mode == "junk" else json.dumps({"jsonrpc": "2.0"} | TALK[mode]) + "\n"
        while True:
            sys.stdout.write(more * 1_000)
    elif "id" in request and "method" in request:
        say({"id": request["id"], "error": {"code": -32601, "message": "Method not found"}})
