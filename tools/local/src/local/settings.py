"""What the stand-ins are told by their environment. People set the first two; `local up` sets the rest."""

from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from local.addresses import conflict, outgoing_ports


class LocalSettings(BaseSettings):
    """Which stack is meant."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="")

    local_state: Path = Field(default=Path(".local"), description="Folder of everything that the stack writes.")
    local_port: int = Field(default=8700, ge=1024, le=65485, description="First of the 50 ports that it uses.")
    local_cluster_port: int = Field(
        default=8750,
        ge=1024,
        le=65485,
        description="First of the ports of `local cluster`: Git, Argo CD, operator, AWS.",
    )

    @field_validator("local_port", "local_cluster_port")
    @classmethod
    def _not_for_outgoing_connections(cls, port: int) -> int:
        if problem := conflict(port, outgoing_ports()):
            raise ValueError(problem)
        return port


class AwsSettings(BaseSettings):
    """Settings of the stand-in for AWS."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    aws_port: int = Field(description="Port of all AWS services.")
    departments_dir: Path = Field(description="`Department` objects (`*.yaml`); their groups get users.")
    data_dir: Path = Field(description="The departments' data: `<department>/<object>`.")
    app_url: str = Field(description="The app edge, where a person's login comes back to.")
    api_url: str = Field(description="The API edge, where a program's login comes back to.")
    vpc_name: str = Field(default="", description="The VPC's name, which controllers find it by; without one, none.")
    target_groups: dict[str, int] = Field(
        default_factory=dict, description="JSON: the load balancers' target groups in that VPC, and their ports."
    )


class ClusterSettings(BaseSettings):
    """Settings of the stand-in for the cluster's API server."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    cluster_port: int = Field(description="Port of TokenRequest and the key set.")
    cluster_key_file: Path = Field(description="Private key (PEM) that signs ServiceAccount tokens.")


class EdgeSettings(BaseSettings):
    """Settings of the edge: what the load balancers and Cognito's managed login do."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    app_port: int = Field(description="Port for people (`app.`): login on every path.")
    api_port: int = Field(description="Port for programs (`api.`): no login.")
    login_port: int = Field(description="Port of the managed login (Cognito's domain).")
    gateway_url: str = Field(description="The gateway behind both.")
    frontend_urls: tuple[str, ...] = Field(
        default=(), description="JSON list: the frontend's replicas; without one, a page of the edge's own."
    )
    aws_url: str = Field(description="The stand-in for AWS, where Cognito is.")
