"""What every kustomization must hold, out of the pinned kustomize. What the API server decides: tests/cluster."""

import fnmatch
import re
from functools import cache
from pathlib import Path

import pytest
import yaml
from tests.helpers.kustomize import ROOT, TREES, Manifest, build, kustomizations, offline_tree
from tests.helpers.overlays import (
    ENVIRONMENTS,
    NAMESPACE,
    OVERLAYS,
    SERVICES,
    containers,
    of_kind,
    overlay,
    pod_templates,
)
from tests.helpers.workspace import IMAGES

COMPONENT = "kind: Component"
FILES = [file for tree in TREES for file in kustomizations(ROOT / tree)]
FOLDERS = [str(file.parent.relative_to(ROOT)) for file in FILES if COMPONENT not in file.read_text()]
# Argo CD's own definitions are 2 MB: kustomize takes longer for them than for all the others.
each_folder = pytest.mark.parametrize(
    "folder",
    [pytest.param(each, marks=[pytest.mark.slow] if each.startswith("argocd/install") else []) for each in FOLDERS],
)
COMPONENTS = [str(file.parent.relative_to(ROOT)) for file in FILES if COMPONENT in file.read_text()]
VERSIONS = [folder for folder in COMPONENTS if folder.endswith("/version")]
CLUSTER_SCOPED = (
    "CustomResourceDefinition",
    "Namespace",
    "PriorityClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
)
PINNED = re.compile(r"^[^\s]+(:(?!latest$)[\w][\w.-]*|@sha256:[0-9a-f]{64})$")


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return offline_tree(tmp_path_factory.mktemp("manifests"))


@cache
def built(folder: Path) -> list[Manifest]:
    return build(folder)


@each_folder
def test_every_kustomization_builds(folder: str, tree: Path) -> None:
    assert built(tree / folder)


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_component_is_part_of_a_kustomization_that_builds(component: str) -> None:
    used = {
        str((file.parent / entry).resolve().relative_to(ROOT))
        for file in FILES
        for entry in yaml.safe_load(file.read_text()).get("components", [])
    }
    assert component in used


def test_every_file_of_a_base_or_an_overlay_is_used() -> None:
    for file in (file for tree in ("base", "overlays") for file in kustomizations(ROOT / tree)):
        document = yaml.safe_load(file.read_text())
        named = {*document.get("resources", []), *document.get("components", [])}
        named |= {patch["path"] for patch in document.get("patches", []) if "path" in patch}
        beside = {path.name for path in file.parent.glob("*.yaml")} - {file.name}
        assert beside <= named, f"{file.relative_to(ROOT)} does not name {beside - named}"


def test_dev_and_prod_have_the_same_folders() -> None:
    def folders(environment: str) -> list[Path]:
        root = ROOT / "overlays" / environment
        return [file.parent.relative_to(root) for file in kustomizations(root)]

    assert folders("dev") == folders("prod")


@pytest.mark.parametrize("folder", VERSIONS)
def test_a_version_folder_holds_only_the_image_version(folder: str) -> None:
    service = Path(folder).parent.name
    assert [path.name for path in (ROOT / folder).iterdir()] == ["kustomization.yaml"]
    document = yaml.safe_load((ROOT / folder / "kustomization.yaml").read_text())
    assert document.keys() == {"apiVersion", "kind", "images"}
    [image] = document["images"]
    assert image["name"] == service
    assert image["newName"].endswith(f".amazonaws.com/{service}")
    assert image.keys() - {"name", "newName"} in ({"newTag"}, {"digest"})


def test_a_version_file_of_dev_is_right_in_prod() -> None:
    """One registry for both, so that promotion is a copy."""

    def registries(environment: str) -> dict[str, str]:
        return {
            folder.split("/")[2]: yaml.safe_load((ROOT / folder / "kustomization.yaml").read_text())["images"][0][
                "newName"
            ]
            for folder in VERSIONS
            if folder.startswith(f"overlays/{environment}/")
        }

    assert registries("dev") == registries("prod")
    assert registries("dev").keys() == {*IMAGES}


@each_folder
def test_no_image_without_a_version_or_a_digest(folder: str, tree: Path) -> None:
    images = [each["image"] for _, template in pod_templates(built(tree / folder)) for each in containers(template)]
    if folder.startswith("base/"):
        assert all(image in SERVICES for image in images), "a base names an image by its service"
    else:
        assert [image for image in images if not PINNED.match(image)] == []


@pytest.mark.parametrize("name", OVERLAYS)
def test_no_replicas_where_an_autoscaler_owns_them(name: str) -> None:
    scaled = {
        (each["spec"]["scaleTargetRef"]["name"])
        for each in of_kind(overlay(name), "HorizontalPodAutoscaler", "ScaledObject")
    }
    deployments = {
        each["metadata"]["name"]: each["spec"].get("replicas") for each in of_kind(overlay(name), "Deployment")
    }
    assert scaled <= deployments.keys()
    assert {deployment: count for deployment, count in deployments.items() if deployment in scaled and count} == {}
    assert all(count == 1 for deployment, count in deployments.items() if deployment not in scaled)


@pytest.mark.parametrize("name", OVERLAYS)
def test_everything_is_in_the_one_namespace(name: str) -> None:
    for manifest in overlay(name):
        expected = None if manifest["kind"] in CLUSTER_SCOPED else NAMESPACE
        assert manifest["metadata"].get("namespace") == expected, manifest["metadata"]["name"]
        assert manifest["metadata"].get("labels", {}).get("app.kubernetes.io/part-of") == "file-processing" or (
            manifest["kind"] in ("CustomResourceDefinition", "Department")
        )


def test_nothing_of_an_account_is_in_a_manifest() -> None:
    """What Terraform knows, Terraform writes; the registry's host is in the version files alone."""
    account = re.compile(r"arn:aws|\b\d{12}\b|\b(vpc|subnet|sg|eni)-[0-9a-f]{8,}|https://sqs\.|\.rds\.amazonaws\.com")
    files = [file for tree in ("base", "overlays") for file in (ROOT / tree).rglob("*.yaml")]
    assert [str(file) for file in files if file.parent.name != "version" and account.search(file.read_text())] == []


def permits(project: Manifest, manifest: Manifest) -> bool:
    """Whether an AppProject lets an Application have this object."""
    group = manifest["apiVersion"].rpartition("/")[0]
    rules = project["spec"][
        "clusterResourceWhitelist" if manifest["kind"] in CLUSTER_SCOPED else "namespaceResourceWhitelist"
    ]
    return any(
        rule["group"] == group
        and rule["kind"] == manifest["kind"]
        and fnmatch.fnmatch(manifest["metadata"]["name"], rule.get("name", "*"))
        for rule in rules
    )


@pytest.mark.parametrize("name", OVERLAYS)
def test_no_object_is_outside_its_project(name: str) -> None:
    document = yaml.safe_load((ROOT / "argocd/projects/file-processing.yaml").read_text())
    outside = [f"{each['kind']} {each['metadata']['name']}" for each in overlay(name) if not permits(document, each)]
    assert outside == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_namespace_enforces_restricted_and_closes_the_network(environment: str) -> None:
    manifests = overlay(f"{environment}/namespace")
    [namespace] = of_kind(manifests, "Namespace")
    assert namespace["metadata"]["annotations"]["argocd.argoproj.io/sync-options"] == "Prune=false,Delete=false"
    labels = namespace["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert labels["elbv2.k8s.aws/pod-readiness-gate-inject"] == "enabled"
    deny = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert deny in [policy["spec"] for policy in of_kind(manifests, "NetworkPolicy")]
    [quota] = of_kind(manifests, "ResourceQuota")
    assert quota["spec"]["hard"]["services.loadbalancers"] == 0
