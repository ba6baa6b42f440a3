"""The AWS Load Balancer Controller, with the rights of its own ServiceAccount, and moto's target groups."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.helpers.gitops import SYNC_SECONDS, ArgoCD, is_synced
from tests.helpers.overlays import environment_objects, of_kind

from local.aws.seed import client
from local.kubernetes.cluster import Cluster
from local.kubernetes.controllers.load_balancer import NAME, NAMESPACE
from local.kubernetes.facts import TARGET_GROUPS
from local.kubernetes.kubectl import Kubectl, KubectlError, Object, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SERVICE = "frontend"
GATE = "target-health.elbv2.k8s.aws/"


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster) -> Kubectl:
    """A cluster in which everything of Git is."""
    cluster.wait_until_synced()
    return cluster.kubectl


def bindings(kubectl: Kubectl) -> dict[str, Object]:
    return {each["metadata"]["name"]: each["spec"] for each in kubectl.list("targetgroupbindings")}


def targets(cluster: Cluster, group: str) -> set[tuple[str, int]]:
    """The addresses and ports that a target group has."""
    elbv2 = client("elbv2", cluster.aws_url)
    [found] = elbv2.describe_target_groups(Names=[group])["TargetGroups"]
    health = elbv2.describe_target_health(TargetGroupArn=found["TargetGroupArn"])["TargetHealthDescriptions"]
    return {
        (each["Target"]["Id"], each["Target"]["Port"])
        for each in health
        if each["TargetHealth"]["State"] not in ("draining", "unused")
    }


def pods(kubectl: Kubectl, name: str) -> list[Object]:
    found = kubectl.list("pods", selector=f"app.kubernetes.io/name={name}")
    return [each for each in found if "deletionTimestamp" not in each["metadata"]]


def ready(kubectl: Kubectl, name: str, port: int) -> set[tuple[str, int]]:
    return {
        (pod["status"]["podIP"], port)
        for pod in pods(kubectl, name)
        if any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))
    }


def test_bindings_get_the_arn_of_the_target_group_that_they_name(cluster: Cluster, kubectl: Kubectl) -> None:
    groups = client("elbv2", cluster.aws_url).describe_target_groups(Names=list(TARGET_GROUPS))["TargetGroups"]
    arns = {each["TargetGroupName"]: each["TargetGroupArn"] for each in groups}
    found = bindings(kubectl)
    assert {each["targetGroupName"] for each in found.values()} == set(TARGET_GROUPS)
    assert {each["targetGroupName"]: each["targetGroupARN"] for each in found.values()} == arns


def test_target_groups_of_the_stand_in_are_those_of_prod() -> None:
    in_git = of_kind(environment_objects("prod"), "TargetGroupBinding")
    assert {each["spec"]["targetGroupName"] for each in in_git} == set(TARGET_GROUPS)


@pytest.mark.parametrize("name", [group.removeprefix("prod-") for group in TARGET_GROUPS])
def test_exactly_the_ready_pods_are_targets(cluster: Cluster, kubectl: Kubectl, name: str) -> None:
    spec = bindings(kubectl)[name]
    group, service = spec["targetGroupName"], spec["serviceRef"]["name"]
    wait_for(
        lambda: (found := ready(kubectl, service, TARGET_GROUPS[group])) and targets(cluster, group) == found,
        120,
        f"the targets of {group} are the ready pods of {service}",
        state=lambda: (targets(cluster, group), ready(kubectl, service, TARGET_GROUPS[group])),
    )


def test_new_pods_wait_for_the_target_group_and_replaced_ones_leave_it(cluster: Cluster, kubectl: Kubectl) -> None:
    """A roll-out, because its first new pod has an address that no pod had before; kwok gives addresses out again."""
    group = bindings(kubectl)[SERVICE]["targetGroupName"]
    old = {each["metadata"]["uid"] for each in pods(kubectl, SERVICE)}
    kubectl.run("rollout", "restart", f"deployment/{SERVICE}")

    def open_gates() -> list[Object]:
        return [
            condition
            for each in pods(kubectl, SERVICE)
            if each["metadata"]["uid"] not in old
            for condition in each["status"].get("conditions", [])
            if condition["type"].startswith(GATE) and condition["status"] == "True"
            if {"conditionType": condition["type"]} in each["spec"].get("readinessGates", [])
        ]

    wait_for(open_gates, 60, "a new pod's readiness gate is open")
    wait_for(
        lambda: (
            old.isdisjoint(each["metadata"]["uid"] for each in pods(kubectl, SERVICE))
            and targets(cluster, group) == ready(kubectl, SERVICE, TARGET_GROUPS[group])
        ),
        90,
        "the targets are the new pods alone",
        state=lambda: (targets(cluster, group), ready(kubectl, SERVICE, TARGET_GROUPS[group])),
    )


def test_a_binding_of_an_unknown_target_group_is_refused(kubectl: Kubectl) -> None:
    [binding] = of_kind(environment_objects("prod"), "TargetGroupBinding")[:1]
    unknown = {**binding, "metadata": {"name": "unknown"}, "spec": {**binding["spec"], "targetGroupName": "nowhere"}}
    with pytest.raises(KubectlError, match="TargetGroupNotFound"):
        kubectl.apply(unknown, dry_run=True)


@contextmanager
def without_webhooks(kubectl: Kubectl) -> Iterator[None]:
    """The state between the controller's CRD and its webhooks, which its chart brings in any order."""
    kinds = ("mutatingwebhookconfiguration", "validatingwebhookconfiguration")
    found = [each for kind in kinds if (each := kubectl.get(kind, NAME))]
    assert len(found) == len(kinds)
    for kind in kinds:
        kubectl.delete(kind, NAME)
    try:
        yield
    finally:
        kubectl.apply(*({key: value for key, value in each.items() if key != "metadata"} | named() for each in found))


def named() -> Object:
    return {"metadata": {"name": NAME}}


def test_a_binding_before_the_webhook_is_refused_and_gets_its_arn_from_argo_cds_retry(
    cluster: Cluster, kubectl: Kubectl
) -> None:
    argocd = ArgoCD(kubectl, cluster.argocd_url)
    argocd.wait(SERVICE, "is Synced", is_synced)
    before = bindings(kubectl)[SERVICE]
    refusal = "spec.targetGroupARN is empty: the webhook of the AWS Load Balancer Controller"

    def refused(application: Object) -> bool:
        operation = application["status"].get("operationState", {})
        return operation.get("phase") == "Running" and refusal in operation.get("message", "")

    with without_webhooks(kubectl):
        [binding] = [
            each
            for each in of_kind(environment_objects("prod"), "TargetGroupBinding")
            if each["metadata"]["name"] == SERVICE
        ]
        new = {**binding, "metadata": {"name": "new"}}

        def answer() -> str:
            try:
                kubectl.apply(new, dry_run=True)
            except KubectlError as error:
                return str(error)
            return ""

        # A webhook that was just removed is still asked for a moment.
        wait_for(lambda: refusal in answer(), 120, "the binding is refused", state=answer)
        kubectl.delete("targetgroupbinding", SERVICE)
        argocd.wait(SERVICE, "is refused, and retries", refused)
        assert SERVICE not in bindings(kubectl)
    wait_for(lambda: bindings(kubectl).get(SERVICE) == before, SYNC_SECONDS, "Argo CD made the binding, with its ARN")
    argocd.wait(SERVICE, "is Synced", is_synced)


def test_it_has_no_more_rights_than_its_own(cluster: Cluster, kubectl: Kubectl) -> None:
    own = Kubectl(cluster.folder / "controllers" / NAME / "kubeconfig.yaml")
    account = f"system:serviceaccount:{NAMESPACE}:{NAME}"
    assert account in own.run("auth", "whoami")
    assert own.list("targetgroupbindings", namespace="*")
    with pytest.raises(KubectlError, match="forbidden"):
        own.list("secrets", namespace="*")


def test_it_refuses_no_call_of_its_own_for_want_of_rights(cluster: Cluster, kubectl: Kubectl) -> None:
    assert bindings(kubectl)
    assert "is forbidden" not in cluster.log(NAME).read_text()
