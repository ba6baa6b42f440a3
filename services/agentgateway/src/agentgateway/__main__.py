"""`python -m agentgateway`."""

from agentgateway.main import run

run()
