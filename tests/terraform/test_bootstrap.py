"""Bootstrap, applied by Terraform to an empty cluster: Argo CD takes over from it, and Terraform wants nothing back."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from tests.helpers.bootstrap import Bootstrap, EmptyCluster
from tests.helpers.gitops import ARGOCD, ArgoCD, brief, health, identities, is_synced
from tests.helpers.kustomize import BUILD_SECONDS
from tests.helpers.overlays import SERVICES

from local.kubernetes import addons
from local.kubernetes.kubectl import Kubectl, Object, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(BUILD_SECONDS)]

PLATFORM: Final[dict[str, Any]] = {
    "facts": {"AWS_REGION": "ap-southeast-1", "FILES_BUCKET": "dev-files-111122223333"},
    "cluster": {
        "name": "dev-file-processing",
        "region": "ap-southeast-1",
        "endpoint": "https://cluster.example.com",
        "certificate_authority_data": "",
    },
    "argocd": {
        "url": "https://argocd.example.com",
        "issuer": "https://cognito-idp.ap-southeast-1.amazonaws.com/ap-southeast-1_example",
        "client_id": "argocd-client",
    },
}
CHARTS: Final = ("aws-load-balancer-controller", "cluster-autoscaler", "external-secrets", "keda")
NAMES: Final = ("finance", "hr", "legal")
DEPARTMENTS: Final = tuple(f"{kind}-{name}" for kind in ("department", "project-department") for name in NAMES)
UPGRADE: Final = """\
images:
- name: quay.io/argoproj/argocd
  newTag: v3.6.99
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmptyCluster]:
    with EmptyCluster(tmp_path_factory.mktemp("cluster")) as empty:
        yield empty


@pytest.fixture(scope="module")
def kubectl(cluster: EmptyCluster) -> Kubectl:
    return cluster.kubectl


@pytest.fixture(scope="module")
def bootstrap(cluster: EmptyCluster) -> Bootstrap:
    made = Bootstrap(cluster.work.folder, cluster.control_plane.kubeconfig, PLATFORM)
    made.apply()
    return made


@pytest.fixture(scope="module")
def argocd(cluster: EmptyCluster, bootstrap: Bootstrap) -> ArgoCD:
    """Argo CD, which was started by nothing but what Terraform installed."""
    cluster.start_argocd()
    return ArgoCD(cluster.kubectl, cluster.argocd_url)


def settings(kubectl: Kubectl) -> dict[str, str]:
    found = kubectl.get("configmap", "argocd-cm", namespace=ARGOCD)
    assert found is not None
    data: dict[str, str] = found["data"]
    return data


def images(kubectl: Kubectl) -> dict[str, str]:
    """The image of each of Argo CD's own Deployments that upstream releases with it, once it has rolled out."""
    found = {}
    for each in kubectl.list("deployments", namespace=ARGOCD):
        image = each["spec"]["template"]["spec"]["containers"][0]["image"]
        if "/argoproj/argocd:" in image:
            status = each.get("status", {})
            rolled = status.get("observedGeneration") == each["metadata"]["generation"]
            ready = rolled and status.get("readyReplicas") == status.get("updatedReplicas") == status.get("replicas")
            found[each["metadata"]["name"]] = image if ready else "rolling out"
    return found


def going(kubectl: Kubectl) -> list[str]:
    """Every object that is being deleted and is still there: of every kind, in every namespace."""
    kinds = kubectl.run("api-resources", "--verbs=list,delete", "--output=name").split()
    found = kubectl.list(",".join(kind for kind in kinds if not kind.startswith("events")), namespace="*")
    return [
        f"{each['kind']} {each['metadata']['name']}: {each['metadata'].get('finalizers')}"
        for each in found
        if "deletionTimestamp" in each["metadata"]
    ]


def test_argo_cd_its_projects_and_the_root_application_are_there(bootstrap: Bootstrap, kubectl: Kubectl) -> None:
    assert {"argocd-server", "argocd-repo-server"} <= {
        deployment["metadata"]["name"] for deployment in kubectl.list("deployment", namespace=ARGOCD)
    }
    assert {project["metadata"]["name"] for project in kubectl.list("appproject", namespace=ARGOCD)} >= {"platform"}
    root = kubectl.get("application", "root", namespace=ARGOCD)
    assert root is not None
    assert root["spec"]["source"]["path"] == "apps/dev"


def test_services_find_their_facts_in_a_namespace_with_its_rules(bootstrap: Bootstrap, kubectl: Kubectl) -> None:
    facts = kubectl.get("configmap", "aws-facts")
    assert facts is not None
    assert facts["data"] == PLATFORM["facts"]
    namespace = kubectl.get("namespace", "file-processing")
    assert namespace is not None
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_terraform_keeps_facts_and_the_root_application_only(bootstrap: Bootstrap) -> None:
    assert bootstrap.managed() == [
        "kustomization_resource.facts",
        "kustomization_resource.login",
        "terraform_data.address",
        "terraform_data.install",
        "terraform_data.root",
    ]
    assert bootstrap.changes() == {}


def test_argo_cd_makes_every_application(argocd: ArgoCD) -> None:
    expected = {"root", "argocd", "argocd-integration", *CHARTS, *SERVICES, *DEPARTMENTS}
    argocd.wait("root", "is Synced", is_synced)
    wait_for(lambda: set(argocd.applications()) == expected, 120, f"there are {sorted(expected)}")


def test_what_came_before_the_add_ons_converges_when_they_come_with_no_hand(argocd: ArgoCD, kubectl: Kubectl) -> None:
    """The charts are on the internet; here their kinds come late, last one first."""

    def refused(application: Object) -> bool:
        operation = application.get("status", {}).get("operationState", {})
        return bool(operation.get("retryCount")) and not is_synced(application)

    # Not later than that: Argo CD waits twice as long before each retry.
    for name in ("argocd-integration", "application"):
        argocd.wait(name, "was refused once", refused)
    for definition in reversed(addons.definitions()):
        kubectl.apply(definition)
    for name in ("argocd-integration", *SERVICES, *DEPARTMENTS):
        argocd.wait(name, "is Synced", is_synced)
    for name in ("argocd-integration", *SERVICES):
        argocd.wait_healthy(name)


def test_argo_cd_takes_over_itself(argocd: ArgoCD, bootstrap: Bootstrap) -> None:
    argocd.wait("argocd", "is Synced and Healthy", lambda each: is_synced(each) and health(each) == "Healthy")
    server = argocd.kubectl.get("deployment", "argocd-server", namespace=ARGOCD)
    assert server is not None
    assert server["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"].startswith("argocd:")
    assert settings(argocd.kubectl)["url"] == PLATFORM["argocd"]["url"]
    assert bootstrap.changes() == {}


def test_a_second_plan_is_empty_also_after_argo_cd_has_upgraded_itself_from_git(
    argocd: ArgoCD, bootstrap: Bootstrap, cluster: EmptyCluster, kubectl: Kubectl
) -> None:
    before = images(kubectl)
    assert before
    folder = cluster.work.folder / "argocd/install"
    with (folder / "dev/kustomization.yaml").open("a") as file:
        file.write(UPGRADE)
    setting = "\ndata:\n  timeout.hard.reconciliation: 7h\n"
    cluster.work.edit("argocd/install/_settings/argocd-cm.yaml", "\ndata:\n", setting)
    argocd.wait_synced("argocd", cluster.work.push("Argo CD 3.6.99"))
    wait_for(
        lambda: images(kubectl) == dict.fromkeys(before, "quay.io/argoproj/argocd:v3.6.99"),
        120,
        "all of Argo CD runs 3.6.99",
        state=lambda: (images(kubectl), brief(argocd.application("argocd"))),
    )
    assert settings(kubectl)["timeout.hard.reconciliation"] == "7h"
    assert settings(kubectl)["url"] == PLATFORM["argocd"]["url"], "what Terraform wrote stays"
    assert bootstrap.changes() == {}


def test_a_changed_fact_changes_the_config_map_alone(bootstrap: Bootstrap, kubectl: Kubectl) -> None:
    facts = {**PLATFORM["facts"], "FILES_BUCKET": "dev-files-444455556666"}
    bootstrap.publish({**PLATFORM, "facts": facts})
    assert bootstrap.changes() == {"kustomization_resource.facts": ["update"]}
    bootstrap.apply()
    changed = kubectl.get("configmap", "aws-facts")
    assert changed is not None
    assert changed["data"] == facts


def test_facts_that_somebody_deleted_come_back(bootstrap: Bootstrap, kubectl: Kubectl) -> None:
    before = kubectl.get("configmap", "aws-facts")
    kubectl.delete("configmap", "aws-facts")
    assert bootstrap.changes() == {"kustomization_resource.facts": ["create"]}
    bootstrap.apply()
    after = kubectl.get("configmap", "aws-facts")
    assert before is not None
    assert after is not None
    assert after["data"] == before["data"]


def test_destroy_leaves_all_that_runs_and_no_stuck_finalizer(
    argocd: ArgoCD, bootstrap: Bootstrap, kubectl: Kubectl
) -> None:
    runs, applications = identities(kubectl), set(argocd.applications())
    bootstrap.destroy()
    assert bootstrap.managed() == []
    assert kubectl.get("configmap", "aws-facts") is None
    assert set(argocd.applications()) == applications - {"root"}
    facts = ("ConfigMap", "aws-facts")
    assert identities(kubectl) == {key: uid for key, uid in runs.items() if key != facts}
    assert going(kubectl) == []


def test_without_argo_cd_everything_of_it_goes_at_once(
    argocd: ArgoCD, bootstrap: Bootstrap, cluster: EmptyCluster, kubectl: Kubectl
) -> None:
    """Nothing else that it made waits for it, so that a cluster can be emptied, and destroyed, in any order."""
    kubectl.delete("applicationset", "departments", "department-projects", namespace=ARGOCD)
    wait_for(
        lambda: not set(DEPARTMENTS) & set(argocd.applications()),
        120,
        "departments, which dev deletes, are gone",
        state=lambda: going(kubectl),
    )
    assert kubectl.list("department", namespace="file-processing") == []
    cluster.stop_argocd()
    kubectl.run("delete", "namespace", "argocd", "file-processing", "--timeout=240s", seconds=260)
    left: list[Object] = [each for each in kubectl.list("namespaces") if each["metadata"]["name"] == ARGOCD]
    assert left == []
    assert going(kubectl) == []
