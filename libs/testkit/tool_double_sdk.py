"""The tool double as a server of the MCP SDK, over standard input or HTTP; `tool_double.py` imports it when it must."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams

if TYPE_CHECKING:
    from libs.testkit.tool_double import Double


async def serve(double: Double, port: int) -> None:
    """Until its input ends; over HTTP (`port` > 0) for ever."""

    async def list_tools(ctx: ServerRequestContext[Any], params: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult.model_validate(await double.list_tools())

    async def call_tool(ctx: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
        found = await double.call_tool(params.name, params.arguments or {}, dict(ctx.meta or {}), ctx.request_id)
        return CallToolResult.model_validate(found)

    server: Server[Any] = Server("tool-double", on_list_tools=list_tools, on_call_tool=call_tool)
    if port:
        import uvicorn  # over standard input nobody needs it, and it takes a while

        app = server.streamable_http_app()
        await uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning")).serve()
        return
    async with stdio_server() as (reads, writes):
        await server.run(reads, writes, server.create_initialization_options())
