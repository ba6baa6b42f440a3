"""`git push`, and the cluster follows: what is pushed is synced, what is broken is shown, nothing that runs is lost."""

import time
from collections.abc import Iterator

import httpx2
import pytest
from tests.helpers.clones import Clone, version_path
from tests.helpers.gitops import (
    ARGOCD,
    SERVICES,
    SYNC_SECONDS,
    ArgoCD,
    WorkCopy,
    conditions,
    health,
    identities,
    is_synced,
)

from local import names
from local.aws.seed import client
from local.kubernetes.cluster import Cluster
from local.kubernetes.kubectl import Object, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PRUNING = """\
patches:
- target: {kind: ApplicationSet}
  patch: |
    - op: replace
      path: /spec/template/spec/syncPolicy/automated/prune
      value: true
"""


@pytest.fixture(scope="module")
def argocd(cluster: Cluster) -> ArgoCD:
    return ArgoCD(cluster.kubectl, cluster.argocd_url)


@pytest.fixture(scope="module")
def repository(cluster: Cluster, argocd: ArgoCD, tmp_path_factory: pytest.TempPathFactory) -> WorkCopy:
    """A developer's clone, of a cluster in which all is well."""
    cluster.wait_until_synced()
    for name in ("root", "agentgateway", "application", "department-operator", "frontend"):
        argocd.wait_healthy(name, 180)
    return WorkCopy.clone(cluster.git_url, tmp_path_factory.mktemp("developer") / "clone")


@pytest.fixture
def work(repository: WorkCopy, argocd: ArgoCD) -> Iterator[WorkCopy]:
    """The clone; what a test pushes is reverted after it, and the cluster has followed."""
    with repository.until_reverted():
        yield repository
    head = repository.git("rev-parse", "HEAD")
    for name in ("root", "agentgateway"):
        argocd.wait_synced(name, head)
    argocd.wait_healthy("agentgateway")


def image(cluster: Cluster, deployment: str = "agentgateway") -> str:
    """The image that the Deployment says, once all its pods run it; else nothing."""
    found = cluster.kubectl.get("deployment", deployment, namespace=SERVICES) or {}
    status, replicas = found["status"], found["spec"]["replicas"]
    current = status.get("observedGeneration") == found["metadata"]["generation"]
    rolled = (
        current and status.get("updatedReplicas") == status.get("readyReplicas") == status.get("replicas") == replicas
    )
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"]) if rolled else ""


def test_a_version_that_was_raised_and_promoted_is_synced_and_rolls_out(
    cluster: Cluster, argocd: ArgoCD, work: WorkCopy
) -> None:
    before = identities(cluster.kubectl)
    # The scripts of the pipelines: the version is raised in dev, and promoted to prod, which this cluster is a copy of.
    Clone(work.folder).succeed("version", "agentgateway", "9.9.9")
    Clone(work.folder).succeed("promote", "agentgateway")
    assert Clone(work.folder).changed().keys() == {version_path(each, "agentgateway") for each in ("dev", "prod")}
    begin = time.monotonic()
    revision = work.push("agentgateway 9.9.9")
    synced = argocd.wait_synced("agentgateway", revision)
    wait_for(
        lambda: image(cluster).endswith("/agentgateway:9.9.9"), SYNC_SECONDS, "every pod of the gateway runs 9.9.9"
    )
    argocd.wait_healthy("agentgateway")
    healthy = time.monotonic()
    print(f"git push to synced: {synced - begin:.1f} s; to rolled out and Healthy: {healthy - begin:.1f} s")
    pods = cluster.kubectl.list("pods", selector="app.kubernetes.io/name=agentgateway", namespace=SERVICES)
    running = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    assert {pod["spec"]["containers"][0]["image"].rpartition(":")[2] for pod in running} == {"9.9.9"}
    assert identities(cluster.kubectl) == before


def test_a_kustomization_that_does_not_build_is_shown_and_what_runs_stays(
    cluster: Cluster, argocd: ArgoCD, work: WorkCopy
) -> None:
    before, runs = identities(cluster.kubectl), image(cluster)
    work.edit("overlays/prod/agentgateway/kustomization.yaml", "- version", "- verison")
    work.push("A folder that is not there")

    def shown(application: Object) -> bool:
        return any("verison" in each for each in conditions(application, "ComparisonError"))

    argocd.wait("agentgateway", "says that the folder is not there", shown)
    assert argocd.application("agentgateway")["status"]["sync"]["status"] == "Unknown"
    assert (identities(cluster.kubectl), image(cluster)) == (before, runs)
    assert is_synced(argocd.application("application")), "the others are not touched"


def test_an_object_that_the_cluster_refuses_is_shown_and_what_runs_stays(
    cluster: Cluster, argocd: ArgoCD, work: WorkCopy
) -> None:
    before, runs = identities(cluster.kubectl), image(cluster)
    with (work.folder / "overlays/prod/agentgateway/kustomization.yaml").open("a") as file:
        file.write(
            "- target: {kind: Deployment}\n"
            "  patch: |\n"
            "    - op: add\n"
            "      path: /spec/template/spec/containers/0/resources/limits/memory\n"
            "      value: a lot\n"
        )
    work.push("A quantity that is none")

    def shown(application: Object) -> bool:
        operation = application["status"].get("operationState", {})
        told = [
            operation.get("message", ""),
            *(each["message"] for each in application["status"].get("conditions", [])),
        ]
        return any("quantities must match" in each or "quantity" in each for each in told)

    argocd.wait("agentgateway", "says what the API server said", shown)
    assert (identities(cluster.kubectl), image(cluster)) == (before, runs)


def test_an_object_outside_the_project_is_refused(cluster: Cluster, argocd: ArgoCD, work: WorkCopy) -> None:
    folder = work.folder / "overlays/prod/agentgateway"
    (folder / "role.yaml").write_text(
        "apiVersion: rbac.authorization.k8s.io/v1\n"
        "kind: ClusterRole\n"
        "metadata: {name: everything}\n"
        "rules:\n"
        '- {apiGroups: ["*"], resources: ["*"], verbs: ["*"]}\n'
    )
    work.edit("overlays/prod/agentgateway/kustomization.yaml", "resources:\n", "resources:\n- role.yaml\n")
    work.push("A right to everything")

    def shown(application: Object) -> bool:
        operation = application["status"].get("operationState", {})
        results = operation.get("syncResult", {}).get("resources", [])
        return any("not permitted in project" in each.get("message", "") for each in results)

    argocd.wait("agentgateway", "says that the kind is not permitted", shown)
    assert cluster.kubectl.get("clusterrole", "everything") is None


def test_a_change_by_hand_is_healed(cluster: Cluster, argocd: ArgoCD, work: WorkCopy) -> None:
    runs = image(cluster)
    begin = time.monotonic()
    container = {"name": "agentgateway", "image": "docker.io/library/busybox:1"}
    change = {"spec": {"template": {"spec": {"containers": [container]}}}}
    cluster.kubectl.run("patch", "deployment", "agentgateway", "-n", SERVICES, "-p", str(change).replace("'", '"'))
    cluster.kubectl.delete("service", "agentgateway", namespace=SERVICES)
    wait_for(
        lambda: cluster.kubectl.get("service", "agentgateway", namespace=SERVICES), SYNC_SECONDS, "the Service is back"
    )
    wait_for(lambda: image(cluster) == runs, SYNC_SECONDS, "the image is again the one in Git")
    print(f"a change by hand was healed in {time.monotonic() - begin:.1f} s")
    argocd.wait_healthy("agentgateway")


def test_the_number_of_replicas_is_the_autoscalers(cluster: Cluster, argocd: ArgoCD, work: WorkCopy) -> None:
    """KEDA gives the worker four replicas for the jobs that wait; a commit leaves them as they are."""

    def replicas() -> int:
        deployment = cluster.kubectl.get("deployment", "application-worker", namespace=SERVICES)
        assert deployment is not None
        return int(deployment["spec"]["replicas"])

    sqs = client("sqs", cluster.aws_url)
    queue = sqs.get_queue_url(QueueName=names.JOBS_QUEUE)["QueueUrl"]
    for number in range(8):
        sqs.send_message(QueueUrl=queue, MessageBody=str(number))
    wait_for(lambda: replicas() == 4, SYNC_SECONDS, "eight jobs have four workers")
    (work.folder / "overlays/prod/application/README.md").write_text("A commit that changes nothing.\n")
    argocd.wait_synced("application", work.push("A commit that changes nothing"))
    assert replicas() == 4
    sqs.purge_queue(QueueUrl=queue)


def test_a_renamed_folder_deletes_nothing_that_runs(cluster: Cluster, argocd: ArgoCD, work: WorkCopy) -> None:
    # The worst case: pruning is on, and then somebody syncs what is left by hand, with pruning.
    with (work.folder / "apps/local/kustomization.yaml").open("a") as file:
        file.write(PRUNING)
    argocd.wait_synced("root", work.push("Prune, as dev does"))
    before = identities(cluster.kubectl)
    work.git("mv", "overlays/prod/agentgateway", "overlays/prod/doorway")
    revision = work.push("The gateway has another name")
    try:
        argocd.wait_synced("doorway", revision)
        argocd.wait("agentgateway", "says that its folder is gone", lambda each: conditions(each, "ComparisonError"))
        assert identities(cluster.kubectl) == before

        sync_with_pruning(argocd, "agentgateway", "app path does not exist")
        assert identities(cluster.kubectl) == before
    finally:
        # People made that name and that sync, and people undo them: Argo CD makes no Application go.
        argocd.api("DELETE", "applications/agentgateway/operation")
        work.git("mv", "overlays/prod/doorway", "overlays/prod/agentgateway")
        work.push("The gateway has its name again")
        argocd.wait("agentgateway", "has its folder again", lambda each: not conditions(each, "ComparisonError"))
        cluster.kubectl.delete("applications.argoproj.io", "doorway", namespace=ARGOCD)


def sync_with_pruning(argocd: ArgoCD, name: str, outcome: str) -> None:
    """What a person does by the button, with «Prune» ticked; waits until Argo CD says that outcome."""

    def accepted() -> bool:
        try:
            argocd.api("POST", f"applications/{name}/sync", {"prune": True})
        except httpx2.HTTPStatusError as error:
            # It may have begun to sync what was pushed by itself.
            if "another operation is already in progress" not in str(error):
                raise
            return False
        return True

    wait_for(accepted, SYNC_SECONDS, f"{name} is not being synced already")

    def said(application: Object) -> bool:
        operation = application["status"].get("operationState", {})
        asked = operation.get("operation", {}).get("sync", {}).get("prune")
        return bool(asked) and outcome in operation.get("message", "")

    argocd.wait(name, f"says: {outcome}", said)


def test_a_generator_that_finds_the_services_no_more_deletes_nothing(
    cluster: Cluster, argocd: ArgoCD, work: WorkCopy
) -> None:
    before, applications = identities(cluster.kubectl), set(argocd.applications())
    folder = work.folder / "elsewhere/prod/probe"
    folder.mkdir(parents=True)
    (folder / "kustomization.yaml").write_text("configMapGenerator: [{name: probe, literals: [it=was-seen]}]\n")
    work.edit("apps/base/services.yaml", "path: overlays/ENVIRONMENT/*", "path: elsewhere/ENVIRONMENT/*")
    argocd.wait_synced("root", work.push("Generate from another folder"))
    argocd.wait("probe", "is the one Application that the generator yields now", health)
    assert set(argocd.applications()) == {*applications, "probe"}
    assert identities(cluster.kubectl).items() >= before.items()
    # The generator is as before, and the probe goes as anything goes: by hand, and what it deployed with it.
    work.git("revert", "--no-edit", "HEAD")
    work.git("push", "--quiet", "origin", "HEAD:main")
    argocd.wait_synced("root", work.git("rev-parse", "HEAD"))
    argocd.api("DELETE", "applications/probe?cascade=true")
    wait_for(lambda: "probe" not in argocd.applications(), SYNC_SECONDS, "the probe is gone")


def test_an_applicationset_gone_from_git_stays_even_where_its_root_is_pruned(
    cluster: Cluster, argocd: ArgoCD, work: WorkCopy
) -> None:
    before, applications = identities(cluster.kubectl), set(argocd.applications())
    work.edit("apps/base/kustomization.yaml", "- services.yaml\n", "")
    revision = work.push("No ApplicationSet of the services")
    argocd.wait("root", "has seen it", lambda each: each["status"]["sync"].get("revision") == revision)
    sync_with_pruning(argocd, "root", "successfully synced")
    assert cluster.kubectl.get("applicationsets.argoproj.io", "services", namespace=ARGOCD) is not None
    assert set(argocd.applications()) == applications
    assert identities(cluster.kubectl) == before


def test_an_applicationset_deleted_by_hand_is_made_again_and_nothing_that_runs_goes(
    cluster: Cluster, argocd: ArgoCD, work: WorkCopy
) -> None:
    before, applications = identities(cluster.kubectl), argocd.applications()
    cluster.kubectl.delete("applicationsets.argoproj.io", "services", namespace=ARGOCD)
    # Kubernetes takes its Applications along, which have no finalizer and so leave what they deployed.
    for name in applications:
        argocd.wait(name, "is Synced", is_synced)
    assert set(argocd.applications()) == set(applications)
    assert identities(cluster.kubectl) == before
