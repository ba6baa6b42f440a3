"""EKS deployment: namespaces, what runs in them and how many, and who puts it there."""

from typing import Final

from diagrams.aws.compute import ECR, EKS
from diagrams.k8s.compute import Deploy, Pod
from diagrams.k8s.others import CRD
from diagrams.onprem.gitops import ArgoCD
from diagrams.onprem.vcs import Github

from infrastructure.diagrams.canvas import Picture, edge, group
from infrastructure.diagrams.facts import Facts, Manifest

KEY: Final = "blue: deployed by Argo CD · orange: images pulled · green: made by the operator"
SYSTEM: Final = ("kube-system", "keda", "external-secrets")


def draw(facts: Facts) -> Picture:
    """Git to Argo CD to the services; the operator to the departments."""
    with Picture("deployment", f"{facts.environment}: what runs on EKS", KEY) as picture:
        git, images = Github("Git"), ECR("ECR")
        cluster = facts.planned("aws_eks_cluster")[0].values
        nodes = facts.planned("aws_eks_node_group")
        with group(f"EKS {cluster['name']} {cluster['version']}, {len(nodes)} node groups", "vpc"):
            with group("namespace argocd", "outside"):
                argo = ArgoCD("Argo CD")
            with group("namespace file-processing", "private"):
                operator = None
                services = []
                for one in facts.objects("Deployment"):
                    name = one["metadata"]["name"]
                    made = Deploy(f"{name}\n{facts.replicas(name)}")
                    if name == "department-operator":
                        operator = made
                    else:
                        services.append(made)
                definitions = CRD("Department")
                with group("departments, made by the operator", "internal"):
                    departments = [_department(one) for one in facts.objects("Department")]
            associations = [one.values for one in facts.planned("aws_eks_pod_identity_association")]
            for namespace in SYSTEM:
                with group(f"namespace {namespace}", "outside"):
                    accounts = sorted(one["service_account"] for one in associations if one["namespace"] == namespace)
                    for account in accounts:
                        Pod(account.replace("-controller", "-\ncontroller"))
                    if namespace == "kube-system":
                        EKS(f"add-ons:\n{_addons(facts)}")
        git >> edge("pulled") >> argo
        for service in services:
            argo >> edge(color="#1565c0") >> service
            images >> edge(color="#b26a00", style="dashed") >> service
        argo >> edge(color="#1565c0") >> definitions
        if operator is not None:
            argo >> edge(color="#1565c0") >> operator
            definitions >> edge("watched", style="dashed") >> operator
            for department in departments:
                operator >> edge(color="#2e7d32") >> department
    return picture


def _department(manifest: Manifest) -> Deploy:
    spec = manifest["spec"]
    replicas = spec["server"]["replicas"]
    return Deploy(f"mcp-{manifest['metadata']['name']}\n{replicas['min']} to {replicas['max']} pods")


def _addons(facts: Facts) -> str:
    names = sorted(addon.values["addon_name"] for addon in facts.planned("aws_eks_addon"))
    return "\n".join(names).replace("-observability", "-\nobservability")
