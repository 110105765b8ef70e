"""How tools are reached: MCP over stdio, and those built in."""
