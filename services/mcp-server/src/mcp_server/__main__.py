"""`python -m mcp_server` serves the department that the environment names."""

from mcp_server.main import main

main()
