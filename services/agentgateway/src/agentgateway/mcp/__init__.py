"""The gateway's MCP endpoint: one server that federates the departments, and each department on its own."""
