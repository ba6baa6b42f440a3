"""What one department's server is told by its environment."""

from pathlib import Path

from mcp.server.transport_security import TransportSecuritySettings
from pydantic import Field

from common.service_tokens import ServiceIdentitySettings
from common.settings import ServiceSettings


class Settings(ServiceSettings, ServiceIdentitySettings):
    """Settings of one department's MCP server."""

    department: str = Field(description="Name of the department that is served.")
    department_file: Path = Field(description="The `Department` object as YAML; followed while serving.")
    department_data_bucket: str = Field(description="Bucket with `departments/mcp-<department>/<object>`.")
    aws_region: str = Field(description="Region of the bucket.")
    refresh_seconds: float = Field(default=15, gt=0, description="Seconds between looks for new data.")
    data_directory: Path = Field(default=Path("/var/lib/mcp-server"), description="Folder for the data sets.")
    max_data_bytes: int = Field(default=20 << 30, gt=0, description="Most that the data sets may take there.")
    allowed_callers: frozenset[str] = Field(
        default=frozenset({"agentgateway", "application", "application-worker"}),
        description="ServiceAccounts that may call, as a JSON list.",
    )
    max_body_bytes: int = Field(default=8 << 20, gt=0, description="Largest request; a look-up of 5000 keys fits.")

    def transport_security(self) -> TransportSecuritySettings:
        """Host names by which this server is known, and pages of no other origin (MCP, Streamable HTTP, "Security")."""
        service = f"mcp-{self.department}"
        names = [service, *(f"{service}.{self.namespace}{domain}" for domain in ("", ".svc", ".svc.cluster.local"))]
        loopback = ["127.0.0.1", "localhost", "[::1]"]
        return TransportSecuritySettings(
            allowed_hosts=[f"{name}:*" for name in (*names, *loopback)],
            allowed_origins=[f"http://{name}:*" for name in loopback],
        )
