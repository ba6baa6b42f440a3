"""The entry point: authenticates callers, decides what they may use, federates the departments over REST and MCP."""
