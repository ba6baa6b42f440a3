"""What the stand-in for AWS is seeded with, and the services are told. On AWS, Terraform writes the like of it."""

from dataclasses import dataclass
from typing import Final

REGION: Final = "ap-southeast-1"
"""The one that the manifests name: KEDA and External Secrets sign with it, and moto keeps each region apart."""
ACCOUNT: Final = "123456789012"
NAMESPACE: Final = "file-processing"
CLUSTER_ISSUER: Final = "https://cluster.local"

FILES_BUCKET: Final = "local-files"
DATA_BUCKET: Final = "local-department-data"
JOBS_QUEUE: Final = "local-jobs"
JOBS_DEAD_LETTER_QUEUE: Final = "local-jobs-dead"
JOBS_TABLE: Final = "local-jobs"
EXCHANGES_TABLE: Final = "local-exchanges"
FRONTEND_SECRET: Final = "prod-frontend"  # noqa: S105 - its name
"""In Secrets Manager, by the name that overlays/prod gives it: the page's settings as one JSON object."""
SIGNING_KEY: Final = "alias/local-gateway-signing"

ALB_ARN: Final = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/app/local/1"
"""The edge, as it signs what it says of a user."""

POOL: Final = f"{REGION}_fileproc"
PUBLIC_CLIENT: Final = "fileproc-public"
ALB_CLIENT: Final = "fileproc-alb"
COGNITO_ISSUER: Final = f"https://cognito-idp.{REGION}.amazonaws.com/{POOL}"
PASSWORD: Final = "File-Processing-1"  # noqa: S105 - of demo users that exist on this machine alone

ON_PREMISES_USER: Final = "on-premises"
ON_PREMISES_ROLES: Final = {"on-premises-finance": ("finance",), "on-premises-unknown": ()}
"""IAM roles that the on-premises user may assume, and the groups that the gateway gives them (none: it refuses)."""


@dataclass(frozen=True, slots=True)
class DemoUser:
    """Someone who can log in."""

    name: str
    groups: tuple[str, ...]

    @property
    def email(self) -> str:
        """Their address, which nothing is ever sent to."""
        return f"{self.name}@example.com"


DEMO_USERS: Final = (
    DemoUser("alice", ("finance",)),
    DemoUser("frank", ("finance", "finance-leads")),
    DemoUser("bob", ("hr",)),
    DemoUser("carol", ("legal",)),
    DemoUser("dana", ("finance", "hr", "legal")),
    DemoUser("eve", ()),
)
GROUPS: Final = ("finance", "finance-leads", "hr", "hr-leads", "legal", "legal-leads")


def role_arn(role: str) -> str:
    """The ARN of an IAM role."""
    return f"arn:aws:iam::{ACCOUNT}:role/{role}"
