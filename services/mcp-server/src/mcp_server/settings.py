"""What one department's server is told by its environment."""

from pathlib import Path

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
    max_object_bytes: int = Field(default=256 << 20, gt=0, description="Largest data object that is loaded.")
    allowed_callers: frozenset[str] = Field(
        default=frozenset({"agentgateway", "application", "application-worker"}),
        description="ServiceAccounts that may call, as a JSON list.",
    )
    max_body_bytes: int = Field(default=8 << 20, gt=0, description="Largest request; a look-up of 5000 keys fits.")
