"""What Terraform knows of AWS and writes into a cluster, for the stand-in for AWS of a cluster on this machine."""

import json
import secrets

from local import names
from local.kubernetes.control_plane import NAMESPACE
from local.kubernetes.kubectl import Object

CLUSTER_NAME = "local-file-processing"
TARGET_GROUPS = {"prod-agentgateway": 8080, "prod-agentgateway-internal": 8080, "prod-frontend": 7860}
"""Those that the overlays of prod name, and their ports."""
DEPARTMENT_ROLE = names.role_arn("local-department")


def aws_facts(aws_url: str) -> dict[str, str]:
    """The data of the ConfigMap `aws-facts`.

    Args:
        aws_url: Where pods, or who stands in for them, reach AWS.
    """
    return {
        "AWS_REGION": names.REGION,
        "CLUSTER_NAME": CLUSTER_NAME,
        "DEPARTMENT_ROLE_ARN": DEPARTMENT_ROLE,
        "DEPARTMENT_DATA_BUCKET": names.DATA_BUCKET,
        "FILES_BUCKET": names.FILES_BUCKET,
        "JOBS_QUEUE_URL": f"{aws_url}/{names.ACCOUNT}/{names.JOBS_QUEUE}",
        "JOBS_TABLE": names.JOBS_TABLE,
        "EXCHANGES_TABLE": names.EXCHANGES_TABLE,
        "COGNITO_ISSUER": names.COGNITO_ISSUER,
        "COGNITO_PUBLIC_CLIENT_ID": names.PUBLIC_CLIENT,
        "GATEWAY_SIGNING_KEY_ID": names.SIGNING_KEY,
        "CLUSTER_ISSUER": "https://kubernetes.default.svc.cluster.local",
        "ALB_ARN": names.ALB_ARN,
    }


def endpoints(aws_url: str, app_url: str, api_url: str, login_url: str) -> dict[str, str]:
    """What the services need beside, where they run for real: addresses that on AWS they know by themselves, or by DNS.

    STS is not among them: the gateway asks it by TLS alone, which the stand-in has not. Nobody logs in by IAM here.

    Args:
        aws_url: Where pods reach AWS.
        app_url: Where people's browsers go.
        api_url: Where programs go.
        login_url: The managed login.
    """
    roles = {names.role_arn(role): groups for role, groups in names.ON_PREMISES_ROLES.items() if groups}
    return {
        "AWS_ENDPOINT_URL": aws_url,
        # Nobody looks at these. Pod Identity's agent is not here, and a variable is looked at first.
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "COGNITO_JWKS_URL": f"{aws_url}/{names.POOL}/.well-known/jwks.json",
        "COGNITO_DOMAIN_URL": login_url,
        "COGNITO_CLIENT_IDS": json.dumps([names.PUBLIC_CLIENT, names.ALB_CLIENT]),
        "IAM_ROLE_GROUPS": json.dumps(roles),
        "PUBLIC_APP_URL": app_url,
        "PUBLIC_API_URL": api_url,
    }


def config_map(data: dict[str, str]) -> Object:
    """The ConfigMap that every service reads."""
    metadata = {"name": "aws-facts", "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def frontend_secret() -> Object:
    """The Secret that External Secrets would bring from Secrets Manager."""
    metadata = {"name": "frontend", "namespace": NAMESPACE}
    data = {"SECRET_KEY": secrets.token_urlsafe(32)}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}
