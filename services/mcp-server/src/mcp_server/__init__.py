"""Serves one department's data sets and tools over MCP."""
