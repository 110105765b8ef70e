"""How tools are reached: MCP over stdio and over HTTP, and those built in."""
