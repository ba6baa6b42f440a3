"""What overlays/ renders to, and questions to it that several tests ask."""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import yaml
from tests.helpers.kustomize import ROOT, Manifest, build

ENVIRONMENTS = ("dev", "prod")
SERVICES = sorted(path.name for path in (ROOT / "overlays/prod").iterdir() if path.is_dir())
OVERLAYS = [f"{environment}/{service}" for environment in ENVIRONMENTS for service in SERVICES]
_DEPLOYMENTS = [
    yaml.safe_load(file.read_text())
    for file in (ROOT / "base").rglob("deployment.yaml")
    if file.parents[1].name != "_components"
]
DEPLOYMENTS = sorted(each["metadata"]["name"] for each in _DEPLOYMENTS)
SCALED = sorted(
    each["metadata"]["name"] for each in _DEPLOYMENTS if each["spec"].get("strategy", {}).get("type") != "Recreate"
)
"""Those that may have several replicas: all that do not say `Recreate`."""
NAMESPACE = "file-processing"


@cache
def overlay(name: str) -> list[Manifest]:
    """The objects of `overlays/<environment>/<service>`; shared by all who ask, so not to be changed."""
    return build(ROOT / "overlays" / name)


def environment_objects(environment: str) -> list[Manifest]:
    """The objects of all services in an environment, the namespace's first and the departments last."""
    services = sorted(SERVICES, key=lambda service: service != "namespace")
    return [*(manifest for service in services for manifest in overlay(f"{environment}/{service}")), *departments()]


def zones(environment: str) -> int:
    """The availability zones that the operator of an environment is told of."""
    operator = dict(pod_templates(overlay(f"{environment}/department-operator")))["department-operator"]
    return int({each["name"]: each.get("value") for each in containers(operator)[0]["env"]}.get("ZONES", "1"))


@cache
def departments() -> list[Manifest]:
    """The departments, which are the same in every environment; not to be changed."""
    files = sorted((ROOT / "base/departments").iterdir())
    return [yaml.safe_load(file.read_text()) for file in files]


def of_kind(manifests: Iterable[Manifest], *kinds: str) -> list[Manifest]:
    """Those objects that are of one of the kinds."""
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def pod_templates(manifests: Iterable[Manifest]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name of each object that pods are made from, with its template."""
    for manifest in of_kind(manifests, "Deployment"):
        yield manifest["metadata"]["name"], manifest["spec"]["template"]
    for manifest in of_kind(manifests, "PodTemplate"):
        yield manifest["metadata"]["name"], manifest["template"]


def containers(template: dict[str, Any]) -> list[dict[str, Any]]:
    """All containers of a pod's template."""
    return [*template["spec"]["containers"], *template["spec"].get("initContainers", [])]
