"""What the operator is told by its environment."""

from pydantic import Field

from common.settings import ServiceSettings


class Settings(ServiceSettings):
    """Settings of the operator. Where the API server is, it learns from its pod, or else from a kubeconfig."""

    namespace: str = Field(default="file-processing", description="Namespace of the departments.")
    endpoint: str = Field(
        default="http://mcp-{department}:8080/mcp",
        description="Address of a department's server as the other services reach it; `{department}` is its name.",
    )
    cluster_name: str = Field(description="The EKS cluster, for Pod Identity associations.")
    department_role_arn: str = Field(description="The IAM role that all departments' servers assume.")
    aws_region: str = Field(description="Region of the cluster; credentials and endpoints are botocore's own.")
    zones: int = Field(
        default=1, ge=1, le=6, description="Availability zones; each has the replicas that a Department asks for."
    )
    workers: int = Field(default=8, ge=1, le=64, description="Departments that are worked on at once.")
