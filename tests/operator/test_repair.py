"""What others do to a department's objects, and what a second operator does, and none."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.operator.world import KINDS, OperatorProcess, World, conditions, department

from local.kubernetes.kubectl import Object, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("operator")]

NAME = "repaired"


@pytest.fixture(scope="module")
def objects(cluster: World, operator: OperatorProcess) -> Iterator[dict[str, Object]]:
    """A department's objects as the operator made them."""
    cluster.kubectl.apply(department(NAME))
    cluster.wait_for_reason(NAME, Ready="Serving", UpToDate="UpToDate")
    yield cluster.wait_for_objects(NAME)
    cluster.remove(NAME)


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_that_was_deleted_by_hand_comes_back(cluster: World, objects: dict[str, Object], kind: str) -> None:
    uid = cluster.objects(NAME)[kind]["metadata"]["uid"]
    cluster.kubectl.delete(kind, f"mcp-{NAME}", wait=False)
    wait_for(
        lambda: cluster.objects(NAME).get(kind, {}).get("metadata", {}).get("uid", uid) != uid, 20, f"another {kind}"
    )
    again = cluster.wait_for_objects(NAME)[kind]
    assert again["metadata"]["ownerReferences"] == objects[kind]["metadata"]["ownerReferences"]


def test_a_department_that_serves_but_has_no_service_is_not_ready_and_says_why(
    cluster: World, objects: dict[str, Object]
) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "no-services"},
        "spec": {"hard": {"services": "0"}},
    }
    cluster.kubectl.apply(quota)
    try:
        wait_for(lambda: (cluster.kubectl.get("resourcequota", "no-services") or {}).get("status"), 20, "the quota")
        cluster.kubectl.delete("service", f"mcp-{NAME}")
        found = cluster.wait_for_reason(NAME, Ready="NotMade", UpToDate="NotMade")
        (ready,) = (line for line in found["status"]["conditions"] if line["type"] == "Ready")
        assert ready["status"] == "False"
        assert f"Service mcp-{NAME}: " in ready["message"]
        assert "exceeded quota: no-services" in ready["message"]
    finally:
        cluster.kubectl.delete("resourcequota", "no-services")
    cluster.wait_for_reason(NAME, Ready="Serving", UpToDate="UpToDate", seconds=60)


EDITS: dict[str, tuple[str, dict[str, Any], Callable[[Object], Any]]] = {
    "a label": (
        "serviceaccount",
        {"metadata": {"labels": {"app.kubernetes.io/managed-by": "me"}}},
        lambda found: found["metadata"]["labels"]["app.kubernetes.io/managed-by"],
    ),
    "who owns it": (
        "configmap",
        {"metadata": {"ownerReferences": []}},
        lambda found: found["metadata"].get("ownerReferences"),
    ),
    "the label that it is found by": (
        "service",
        {"metadata": {"labels": {"fileprocessing.internal/department": None}}},
        lambda found: found["metadata"]["labels"].get("fileprocessing.internal/department"),
    ),
    "who may use the department": (
        "configmap",
        {"data": {"department.yaml": "spec: {access: {groups: [everyone]}}"}},
        lambda found: found["data"],
    ),
    "an entry of the configuration": ("configmap", {"data": {"more": "text"}}, lambda found: found["data"]),
    "who may connect": ("networkpolicy", {"spec": {"ingress": [{}]}}, lambda found: found["spec"]["ingress"]),
    "where it sends to": ("service", {"spec": {"selector": {"app": "mine"}}}, lambda found: found["spec"]["selector"]),
    "bounds of the replicas": (
        "horizontalpodautoscaler",
        {"spec": {"maxReplicas": 40}},
        lambda found: found["spec"]["maxReplicas"],
    ),
    "the disruption budget": (
        "poddisruptionbudget",
        {"spec": {"maxUnavailable": 0}},
        lambda found: found["spec"]["maxUnavailable"],
    ),
    "the time for a roll-out": (
        "deployment",
        {"spec": {"progressDeadlineSeconds": 9}},
        lambda found: found["spec"]["progressDeadlineSeconds"],
    ),
    "the identity of the pods": (
        "deployment",
        {"spec": {"template": {"spec": {"serviceAccountName": "application"}}}},
        lambda found: found["spec"]["template"]["spec"]["serviceAccountName"],
    ),
}


@pytest.mark.parametrize("what", EDITS)
def test_what_was_edited_by_hand_comes_back(cluster: World, objects: dict[str, Object], what: str) -> None:
    kind, patch, read = EDITS[what]
    before = read(cluster.objects(NAME)[kind])
    cluster.kubectl.patch(kind, f"mcp-{NAME}", patch)

    def back() -> bool:
        found = cluster.kubectl.get(kind, f"mcp-{NAME}")
        return found is not None and read(found) == before

    wait_for(back, 20, f"{what} as it was", state=lambda: cluster.kubectl.get(kind, f"mcp-{NAME}"))


def test_a_container_that_was_added_by_hand_is_gone_again(cluster: World, objects: dict[str, Object]) -> None:
    added = [{"op": "add", "path": "/spec/template/spec/containers/-", "value": _sidecar(objects["deployment"])}]
    cluster.kubectl.run("patch", "deployment", f"mcp-{NAME}", "--type=json", "-p", json.dumps(added))
    wait_for(lambda: len(cluster.objects(NAME)["deployment"]["spec"]["template"]["spec"]["containers"]) == 1, 20, "one")


def _sidecar(deployed: Object) -> Object:
    (server,) = deployed["spec"]["template"]["spec"]["containers"]
    return {**server, "name": "sidecar", "ports": []}


def test_a_restart_by_hand_is_let_happen(cluster: World, objects: dict[str, Object]) -> None:
    before = cluster.objects(NAME)["deployment"]["metadata"]["generation"]
    cluster.kubectl.run("rollout", "restart", "deployment", f"mcp-{NAME}")
    cluster.kubectl.run("rollout", "status", "deployment", f"mcp-{NAME}", "--timeout=30s")
    deployed = cluster.objects(NAME)["deployment"]
    assert deployed["metadata"]["generation"] == before + 1
    assert "kubectl.kubernetes.io/restartedAt" in deployed["spec"]["template"]["metadata"]["annotations"]


def test_a_repair_is_told_by_an_event(cluster: World, objects: dict[str, Object]) -> None:
    cluster.kubectl.patch("poddisruptionbudget", f"mcp-{NAME}", {"spec": {"maxUnavailable": 3}})
    wait_for(
        lambda: any("PodDisruptionBudget" in each["message"] for each in cluster.events(NAME, "Repaired")), 20, "it"
    )


def test_the_autoscalers_number_of_replicas_is_left_alone(cluster: World, objects: dict[str, Object]) -> None:
    cluster.kubectl.run("scale", "deployment", f"mcp-{NAME}", "--replicas=3")
    # What the operator does next, it does with that number in place: it has a field to repair, and another one to set.
    cluster.kubectl.patch("deployment", f"mcp-{NAME}", {"spec": {"progressDeadlineSeconds": 9}})
    resources = {"resources": {"requests": {"memory": "260Mi"}}}
    cluster.kubectl.apply(department(NAME, server=resources))

    def repaired() -> bool:
        deployed = cluster.objects(NAME)["deployment"]["spec"]
        (server,) = deployed["template"]["spec"]["containers"]
        memory = server["resources"]["requests"]["memory"]
        return bool(deployed["progressDeadlineSeconds"] == 300 and memory == "260Mi")

    wait_for(repaired, 20, "the repair")
    assert cluster.objects(NAME)["deployment"]["spec"]["replicas"] == 3
    cluster.kubectl.apply(department(NAME))
    cluster.wait_for_reason(NAME, Ready="Serving", UpToDate="UpToDate")


def test_a_status_that_was_edited_by_hand_comes_back(cluster: World, objects: dict[str, Object]) -> None:
    cluster.kubectl.run(
        *("patch", "department", NAME, "--subresource=status", "--type=merge"),
        *("-p", '{"status": {"endpoint": "http://elsewhere/mcp"}}'),
    )
    wait_for(lambda: (cluster.department(NAME) or {})["status"]["endpoint"] == f"http://mcp-{NAME}:8080/mcp", 20, "it")


def test_a_second_operator_by_accident_does_no_harm(
    cluster: World, operator: OperatorProcess, objects: dict[str, Object]
) -> None:
    before = {kind: each["metadata"]["resourceVersion"] for kind, each in cluster.objects(NAME).items()}
    with cluster.operator() as second:
        wait_for(lambda: second.metric("department_operator_reconcile_seconds_count") >= 1, 20, "its look")
        cluster.kubectl.apply(*(department(f"twin-{number}") for number in range(5)))
        for number in range(5):
            cluster.wait_for_reason(f"twin-{number}", Ready="Serving", UpToDate="UpToDate")
            cluster.wait_for_objects(f"twin-{number}")
        cluster.kubectl.patch("networkpolicy", "mcp-twin-1", {"spec": {"ingress": [{}]}})
        wait_for(lambda: cluster.objects("twin-1")["networkpolicy"]["spec"]["ingress"] != [{}], 20, "the repair")
        calls = [process.metric("department_operator_api_calls_total") for process in (operator, second)]
        cluster.kubectl.apply(department("settled"))
        cluster.wait_for_reason("settled", Ready="Serving", UpToDate="UpToDate")
        more = [process.metric("department_operator_api_calls_total") for process in (operator, second)]
        # Two that undid each other's work would go on and on.
        assert all(after - earlier < 40 for earlier, after in zip(calls, more, strict=True))
        cluster.remove("settled", *(f"twin-{number}" for number in range(5)))
        wait_for(lambda: not any("twin" in account for account in cluster.accounts()), 20, "no association is left")
    unsettled = {"horizontalpodautoscaler", "poddisruptionbudget", "deployment"}  # their controllers write status
    after = {kind: each["metadata"]["resourceVersion"] for kind, each in cluster.objects(NAME).items()}
    assert {kind for kind in KINDS if before[kind] != after[kind]} <= unsettled
    assert conditions(cluster.department(NAME))["Ready"] == "Serving"


def test_deleting_keeps_the_data_and_says_so(cluster: World, operator: OperatorProcess) -> None:
    cluster.kubectl.apply(department("leaving"))
    cluster.wait_for_reason("leaving", Ready="Serving")
    assert "mcp-leaving" in cluster.accounts()
    cluster.remove("leaving")
    (event,) = wait_for(lambda: cluster.events("leaving", "DataKept"), 20, "the event")
    assert "departments/mcp-leaving/" in event["message"]
    wait_for(lambda: "mcp-leaving" not in cluster.accounts(), 20, "the association is ended")


def test_a_department_made_again_at_once_has_everything_again(cluster: World, operator: OperatorProcess) -> None:
    cluster.kubectl.apply(department("again"))
    cluster.wait_for_reason("again", Ready="Serving")
    old = (cluster.department("again") or {})["metadata"]["uid"]
    cluster.kubectl.delete("department", "again", wait=False)
    cluster.kubectl.apply(department("again"))

    def owned_by_the_new_one() -> bool:
        found = cluster.objects("again")
        uid = (cluster.department("again") or {"metadata": {"uid": old}})["metadata"]["uid"]
        owners = [each["metadata"]["ownerReferences"][0]["uid"] for each in found.values()]
        return uid != old and owners == [uid] * len(KINDS)

    wait_for(owned_by_the_new_one, 30, "nine objects of the new one")
    cluster.wait_for_reason("again", Ready="Serving")
    wait_for(lambda: "mcp-again" in cluster.accounts(), 20, "its association")
    cluster.remove("again")
