"""The departments, as their MCP servers answer."""
