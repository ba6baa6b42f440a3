"""Settings of the MCP endpoint."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class McpSettings(BaseSettings):
    """Limits, timeouts and the circuit breaker's measures."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    mcp_timeout_seconds: float = Field(default=30, gt=0, description="Longest that one MCP call may take.")
    mcp_tool_timeouts: dict[str, float] = Field(
        default_factory=dict, description="JSON: the same for single tools, by name."
    )
    mcp_calls_at_once: int = Field(
        default=16, gt=0, description="Calls of one caller that one department has under way; more wait for their turn."
    )
    mcp_connect_seconds: float = Field(default=2, gt=0, description="Longest wait for a connection to a department.")
    mcp_list_timeout_seconds: float = Field(default=3, gt=0, description="Longest that a list waits for a department.")
    mcp_list_ttl_seconds: float = Field(default=5, ge=0, description="How long lists of tools and the like are kept.")
    mcp_body_limit: int = Field(default=4 * 1024**2, gt=0, description="Largest MCP request, in bytes.")
    mcp_bodies_limit: int = Field(
        default=32 * 1024**2, gt=0, description="Most that all MCP requests hold at once, beyond 64 KiB each, in bytes."
    )
    mcp_body_seconds: float = Field(default=30, gt=0, description="Longest that a client may take to send a request.")
    mcp_send_seconds: float = Field(default=30, gt=0, description="Longest that a client may leave an answer unread.")
    mcp_response_limit: int = Field(default=16 * 1024**2, gt=0, description="Largest answer of a department, in bytes.")
    mcp_breaker_failures: int = Field(
        default=5,
        gt=0,
        description="Failures in a row that open a circuit: failed connections, or time-outs and invalid answers of "
        "at least 3 callers and 2 tools.",
    )
    mcp_breaker_seconds: float = Field(default=10, gt=0, description="How long an open circuit lets nothing through.")
