"""The gateway's MCP face: one server that federates the departments, and each department on its own."""
