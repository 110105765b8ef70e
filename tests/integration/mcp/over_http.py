"""Tools of MCP servers over HTTP, as the tests of the adapter call them."""

from __future__ import annotations

from typing import Any

from libs.contracts.events import (
    Transport,
)
from libs.testkit.tool_bench import Registered, entry_of
from services.execution.adapters.definition import ToolDefinition
from services.execution.adapters.exchange import HttpProfile
from services.execution.adapters.mcp import McpAdapter
from services.execution.adapters.warm import discover

LIMIT = 1 << 20


def profile(port: int, **given: Any) -> HttpProfile:
    usual: dict[str, Any] = {"host": "127.0.0.1", "path": "/mcp", "tls": False, "private": True}
    return HttpProfile(name="there", port=port, **(usual | given))


def registered(definition: ToolDefinition, name: str, **given: Any) -> Registered:
    return Registered(f"there/{name}", entry_of("there", definition, **given), Transport.HTTP, "there")


async def offered(where: HttpProfile) -> dict[str, ToolDefinition]:
    return {definition.name: definition for definition in await discover(where, LIMIT, 10_000)}


async def run(adapter: McpAdapter, tool: Registered, wanted: Any, allowed: bool = True) -> Any:
    await adapter.ready(wanted, tool)
    return await adapter.call(wanted, tool, lambda: allowed)
