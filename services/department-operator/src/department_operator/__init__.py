"""Makes an MCP server of each `Department` object, and keeps it so."""
