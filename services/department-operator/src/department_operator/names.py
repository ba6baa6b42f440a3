"""Names that the operator, the manifests and people share."""

from typing import Final

GROUP: Final = "fileprocessing.internal"
API_VERSION: Final = f"{GROUP}/v1alpha1"
FIELD_MANAGER: Final = "department-operator"
COMPONENT: Final = "department-operator"

DEPARTMENT_LABEL: Final = f"{GROUP}/department"
REVISION_ANNOTATION: Final = f"{GROUP}/pod-template"
"""On a Deployment: the revision of the PodTemplate that it is built from."""
PROVES_ANNOTATION: Final = f"{GROUP}/proves-pod-template"
"""On a Deployment: the revision that was given to it while it served, so that the next department waits for it."""

POD_TEMPLATE: Final = "mcp-server"
CONTAINER: Final = "mcp-server"
DEPARTMENT_VOLUME: Final = "department"
DATA_VOLUME: Final = "data"
DEPARTMENT_FILE: Final = "department.yaml"


def server_name(department: str) -> str:
    """What everything that belongs to the department's server is called."""
    return f"mcp-{department}"


def labels(department: str) -> dict[str, str]:
    """Labels of everything that is made for a department."""
    return {
        "app.kubernetes.io/name": "mcp-server",
        "app.kubernetes.io/instance": server_name(department),
        "app.kubernetes.io/part-of": "file-processing",
        "app.kubernetes.io/component": "department",
        "app.kubernetes.io/managed-by": FIELD_MANAGER,
        DEPARTMENT_LABEL: department,
    }


def selector(department: str) -> dict[str, str]:
    """Labels by which a department's pods are found; they can never change."""
    return {"app.kubernetes.io/name": "mcp-server", DEPARTMENT_LABEL: department}


MADE: Final = {
    "ServiceAccount": ("", "v1", "serviceaccounts"),
    "ConfigMap": ("", "v1", "configmaps"),
    "Service": ("", "v1", "services"),
    "Deployment": ("apps", "v1", "deployments"),
    "HorizontalPodAutoscaler": ("autoscaling", "v2", "horizontalpodautoscalers"),
    "PodDisruptionBudget": ("policy", "v1", "poddisruptionbudgets"),
    "NetworkPolicy": ("networking.k8s.io", "v1", "networkpolicies"),
    "Role": ("rbac.authorization.k8s.io", "v1", "roles"),
    "RoleBinding": ("rbac.authorization.k8s.io", "v1", "rolebindings"),
}
"""What is made for each department: group, version and plural of each kind."""
