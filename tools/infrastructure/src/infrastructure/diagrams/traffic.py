"""Traffic flows: who calls whom. Within the cluster by the network policies, to AWS by the roles' policies."""

from typing import Any, Final

from diagrams.aws.database import RDS, Dynamodb
from diagrams.aws.integration import SQS
from diagrams.aws.network import ElbApplicationLoadBalancer as LoadBalancer
from diagrams.aws.security import KMS, Cognito
from diagrams.aws.storage import S3
from diagrams.k8s.compute import Deploy
from diagrams.onprem.client import Client, User
from diagrams.onprem.compute import Server

from infrastructure.diagrams.canvas import Picture, edge, group
from infrastructure.diagrams.facts import Facts, Manifest

NAME: Final = "app.kubernetes.io/name"
DEPARTMENT: Final = "mcp-server"
"""The name that the pods of every department have."""
KEY: Final = "green: from outside · blue: from pod to pod, as network policies allow · violet: to AWS, as roles allow"
AWS: Final = {
    "s3": (S3, "S3"),
    "sqs": (SQS, "SQS"),
    "dynamodb": (Dynamodb, "DynamoDB"),
    "kms": (KMS, "KMS"),
    "rds-db": (RDS, "PostgreSQL"),
}


def draw(facts: Facts) -> Picture:
    """From those who call, by the load balancers and the gateway, to the data."""
    with Picture(
        "traffic", f"{facts.environment}: traffic flows", KEY, direction="LR", ranksep="1.2", compound="true"
    ) as picture:
        browser, program, machine = User("people"), Client("programs, AI agents"), Server("on-premises")
        login = Cognito("Cognito login")
        public, internal = LoadBalancer("public\nload balancer"), LoadBalancer("internal\nload balancer")
        with group("namespace file-processing", "private"):
            pods = {name: Deploy(f"{name}\n:{port}" if port else name) for name, port in _ports(facts).items()}
            with group("departments", "internal"):
                departments = [Deploy(f"mcp-{one['metadata']['name']}\n:8080") for one in facts.objects("Department")]
        aws = {service: icon(label) for service, (icon, label) in AWS.items()}
        browser >> edge("app.") >> public
        program >> edge("api.") >> public
        machine >> edge("api., IAM") >> internal
        public >> edge("code flow", style="dashed") >> login
        for binding in facts.objects("TargetGroupBinding"):
            group_name = binding["spec"]["targetGroupName"]
            balancer = internal if group_name.endswith("-internal") else public
            balancer >> edge(color="#2e7d32") >> pods[binding["spec"]["serviceRef"]["name"]]
        for caller, called, port in sorted(_calls(facts)):
            if called == DEPARTMENT:
                to_all = edge(f":{port}", "#1565c0", lhead="cluster_departments")
                pods[caller] >> to_all >> departments[len(departments) // 2]
            else:
                pods[caller] >> edge(f":{port}", "#1565c0") >> pods[called]
        for caller in sorted(pods):
            for service in facts.uses(caller):
                if service in aws:
                    pods[caller] >> edge(color="#6a1b9a", style="dashed") >> aws[service]
        for department in departments:
            for service in facts.uses("department"):
                department >> edge(color="#6a1b9a", style="dashed") >> aws[service]
    return picture


def _ports(facts: Facts) -> dict[str, int]:
    ports = {one["metadata"]["name"]: one["spec"]["ports"][0]["port"] for one in facts.objects("Service")}
    names = [one["metadata"]["name"] for one in facts.objects("Deployment")]
    return {name: ports.get(name, 0) for name in names if name != "department-operator"}


def _calls(facts: Facts) -> set[tuple[str, str, int]]:
    return {
        (caller, called, port["port"])
        for policy in facts.objects("NetworkPolicy")
        if (caller := policy["spec"]["podSelector"].get("matchLabels", {}).get(NAME)) in _ports(facts)
        for rule in policy["spec"].get("egress", [])
        for peer in rule.get("to", [])
        if (called := _called(peer))
        for port in rule["ports"]
    }


def _called(peer: Manifest) -> str | None:
    labels: dict[str, Any] = peer.get("podSelector", {}).get("matchLabels", {})
    return labels.get(NAME)
