"""Argo CD in a cluster: a first install that needs no hand, departments as it shows them, and its own install."""

import uuid
from typing import Any

import pytest
from tests.helpers import overlays
from tests.helpers.gitops import ARGOCD, SERVICES, ArgoCD, WorkCopy, health, is_synced
from tests.helpers.kustomize import BUILD_SECONDS, Manifest, build, offline_tree

from local.kubernetes.cluster import Cluster
from local.kubernetes.kubectl import KubectlError, Object, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(BUILD_SECONDS)]

DEPARTMENTS = ("finance", "hr", "legal")
NINE = {
    "ConfigMap",
    "Deployment",
    "HorizontalPodAutoscaler",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "Role",
    "RoleBinding",
    "Service",
    "ServiceAccount",
}


@pytest.fixture(scope="module")
def argocd(cluster: Cluster) -> ArgoCD:
    return ArgoCD(cluster.kubectl, cluster.argocd_url)


def test_a_first_install_converges_without_a_hand(argocd: ArgoCD) -> None:
    """The cluster was empty, and nothing was done but to apply clusters/local."""
    expected = {
        "root",
        *overlays.SERVICES,
        *(f"{kind}-{name}" for kind in ("department", "project-department") for name in DEPARTMENTS),
    }
    wait_for(lambda: set(argocd.applications()) >= expected, 120, f"there are {sorted(expected)}")
    for name in sorted(expected):
        argocd.wait(name, "is Synced", is_synced, 180)
        argocd.wait(name, "is Healthy", lambda each: health(each) == "Healthy", 180)
    assert set(argocd.applications()) == expected


def test_what_comes_before_its_kind_is_synced_once_the_kind_is_there(
    cluster: Cluster, argocd: ArgoCD, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As with the add-ons: their kinds come with charts, at any time, before or after those who use them."""
    definition = cluster.kubectl.get("crd", "scaledobjects.keda.sh")
    scaled = cluster.kubectl.list("scaledobjects.keda.sh", namespace=SERVICES)
    assert definition is not None
    assert scaled
    cluster.kubectl.delete("crd", "scaledobjects.keda.sh")
    work = WorkCopy.clone(cluster.git_url, tmp_path_factory.mktemp("developer") / "clone")
    with work.until_reverted():
        work.edit("overlays/prod/application/version/kustomization.yaml", "newTag: ", "newTag: 9.9.8 # was ")
        revision = work.push("application 9.9.8, on a cluster without KEDA")

        def missing(application: Object) -> bool:
            operation = application["status"].get("operationState", {})
            return bool(operation.get("phase") == "Running" and operation.get("retryCount", 0) >= 1)

        argocd.wait("application", "retries", missing)
        cluster.kubectl.apply({key: definition[key] for key in ("apiVersion", "kind", "spec")} | named(definition))
        argocd.wait_synced("application", revision, 180)
        again = cluster.kubectl.list("scaledobjects.keda.sh", namespace=SERVICES)
        assert {each["metadata"]["name"] for each in again} == {each["metadata"]["name"] for each in scaled}
    argocd.wait_synced("application", work.git("rev-parse", "HEAD"), 180)


def named(manifest: Object) -> dict[str, Any]:
    return {"metadata": {"name": manifest["metadata"]["name"]}}


@pytest.mark.parametrize("name", DEPARTMENTS)
def test_argocd_shows_the_tree_and_health_of_a_department_in_git(cluster: Cluster, argocd: ArgoCD, name: str) -> None:
    application = argocd.wait(f"department-{name}", "is Synced", is_synced)
    assert application["spec"]["project"] == f"department-{name}"
    [resource] = application["status"]["resources"]
    assert (resource["kind"], resource["name"]) == ("Department", name)

    nodes = argocd.tree(f"department-{name}")
    [department] = [node for node in nodes if node["kind"] == "Department"]
    made = {
        node["kind"] for node in nodes if department["uid"] in {each.get("uid") for each in node.get("parentRefs", [])}
    }
    assert made == NINE
    assert {node["kind"] for node in nodes} >= {"ReplicaSet", "Pod"}

    live = cluster.kubectl.get("departments", name, namespace=SERVICES)
    assert live is not None
    conditions = {each["type"]: each for each in live["status"]["conditions"]}
    if conditions["Ready"]["status"] == "True":
        expected = "Healthy"
    else:
        expected = "Suspended" if conditions["Ready"]["reason"] == "DataMissing" else "Progressing"
    argocd.wait(f"department-{name}", f"is {expected}", lambda each: health(each) == expected)


def test_what_argocd_deploys_it_tracks_by_annotation(cluster: Cluster) -> None:
    for name in ("agentgateway", "application", "frontend"):
        deployment = cluster.kubectl.get("deployment", name, namespace=SERVICES)
        assert deployment is not None
        tracked = deployment["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"]
        assert tracked == f"{name}:apps/Deployment:{SERVICES}/{name}"
        assert "app.kubernetes.io/instance" not in deployment["metadata"].get("labels", {})


def test_single_sign_on_is_what_terraform_wrote(cluster: Cluster, argocd: ArgoCD) -> None:
    issuer = "https://cognito-idp.ap-southeast-1.amazonaws.com/ap-southeast-1_Example"
    cluster.kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": "argocd-sso",
                "namespace": ARGOCD,
                "labels": {"app.kubernetes.io/part-of": "argocd"},
            },
            "stringData": {"issuer": issuer, "clientID": "example-client"},
        }
    )

    def configured() -> dict[str, Any]:
        oidc: dict[str, Any] = argocd.api("GET", "settings").get("oidcConfig") or {}
        return oidc if oidc.get("issuer") == issuer else {}

    oidc = wait_for(configured, 30, "Argo CD knows the issuer")
    assert oidc["clientID"] == "example-client"
    assert oidc["enablePKCEAuthentication"] is True


@pytest.fixture(scope="module", params=["dev", "prod"])
def install(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    """All objects of one environment's Argo CD."""
    return build(offline_tree(tmp_path_factory.mktemp("tree") / "tree") / "argocd/install" / request.param)


def test_the_api_server_takes_the_whole_install(cluster: Cluster, install: list[Manifest]) -> None:
    cluster.kubectl.apply(*install, dry_run=True)


def test_each_pod_of_argocd_is_admitted_by_the_restricted_standard(cluster: Cluster, install: list[Manifest]) -> None:
    name = f"restricted-{uuid.uuid4().hex[:8]}"
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    }
    templates = [each for each in install if each["kind"] in {"Deployment", "StatefulSet"}]
    assert len(templates) >= 6
    cluster.kubectl.apply(namespace)
    try:
        refused = [said for each in templates if (said := refusal(cluster, each, name))]
    finally:
        cluster.kubectl.delete("namespace", name, wait=False)
    assert not refused, "\n".join(refused)


def refusal(cluster: Cluster, workload: Manifest, namespace: str) -> str:
    """What admission says against a pod of that workload; nothing where it would let it in."""
    spec = {name: value for name, value in workload["spec"]["template"]["spec"].items() if name != "serviceAccountName"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": workload["metadata"]["name"], "namespace": namespace},
        "spec": spec,
    }
    try:
        cluster.kubectl.apply(pod, dry_run=True)
    except KubectlError as error:
        return f"{workload['metadata']['name']}: {error}"
    return ""
