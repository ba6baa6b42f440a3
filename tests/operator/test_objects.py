"""What one `kubectl apply` of a Department makes, and how that follows it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.helpers.network_policies import flows
from tests.operator.world import KINDS, OperatorProcess, World, department, spec

from local.kubernetes.kubectl import Object, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("operator")]


@pytest.fixture(scope="module")
def finance(cluster: World, operator: OperatorProcess) -> Iterator[str]:
    cluster.kubectl.apply(department("finance"))
    cluster.wait_for_reason("finance", Ready="Serving", UpToDate="UpToDate")
    yield "finance"
    cluster.remove("finance")


def test_all_nine_objects_are_made_and_owned_by_the_department(cluster: World, finance: str) -> None:
    uid = (cluster.department(finance) or {})["metadata"]["uid"]
    objects = cluster.wait_for_objects(finance)
    assert set(objects) == set(KINDS)
    for document in objects.values():
        metadata = document["metadata"]
        assert metadata["name"] == "mcp-finance"
        (owner,) = metadata["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == ("Department", finance, uid, True)
        assert metadata["labels"]["app.kubernetes.io/managed-by"] == "department-operator"


def test_the_operator_applies_as_a_field_manager_of_its_own_and_leaves_the_number_of_replicas(
    cluster: World, finance: str
) -> None:
    text = cluster.kubectl.run("get", "deployment", "mcp-finance", "-o", "json", "--show-managed-fields")
    entries = json.loads(text)["metadata"]["managedFields"]
    (own,) = (entry for entry in entries if entry["manager"] == "department-operator")
    assert own["operation"] == "Apply"
    assert "f:template" in own["fieldsV1"]["f:spec"]
    assert "f:replicas" not in own["fieldsV1"]["f:spec"]


def test_the_objects_fit_together(cluster: World, finance: str) -> None:
    objects = cluster.wait_for_objects(finance)
    pod = objects["deployment"]["spec"]["template"]
    selector = objects["deployment"]["spec"]["selector"]["matchLabels"]
    assert selector.items() <= pod["metadata"]["labels"].items()
    assert objects["service"]["spec"]["selector"] == selector
    assert objects["poddisruptionbudget"]["spec"]["selector"]["matchLabels"] == selector
    assert objects["networkpolicy"]["spec"]["podSelector"]["matchLabels"] == selector
    assert objects["horizontalpodautoscaler"]["spec"]["scaleTargetRef"]["name"] == "mcp-finance"
    assert pod["spec"]["serviceAccountName"] == objects["serviceaccount"]["metadata"]["name"]
    mounted = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    assert mounted["department"]["configMap"]["name"] == objects["configmap"]["metadata"]["name"]
    (port,) = (port for port in objects["service"]["spec"]["ports"] if port["name"] == "http")
    assert (port["port"], port["targetPort"]) == (8080, "http")


def test_only_callers_of_departments_reach_its_port(cluster: World, finance: str) -> None:
    (rule,) = cluster.objects(finance)["networkpolicy"]["spec"]["ingress"]
    (peer,) = rule["from"]
    (expression,) = peer["podSelector"]["matchExpressions"]
    assert {*expression["values"]} == {caller for caller, called, _ in flows() if called == "mcp-finance"}
    assert rule["ports"] == [{"port": "http", "protocol": "TCP"}]


def test_kubectl_shows_ready_tools_endpoint_and_age(cluster: World, finance: str) -> None:
    header, row = cluster.kubectl.run("get", "departments", finance).splitlines()
    assert header.split() == ["NAME", "READY", "TOOLS", "ENDPOINT", "AGE"]
    assert row.split()[:3] == [finance, "True", "http://mcp-finance:8080/mcp"]


def test_each_condition_says_what_it_is_in_words(cluster: World, finance: str) -> None:
    document = cluster.wait_for_reason(finance, Ready="Serving")
    lines = {line["type"]: line for line in document["status"]["conditions"]}
    assert set(lines) == {"Accepted", "DataAvailable", "UpToDate", "Ready"}
    for line in lines.values():
        assert line["status"] == "True"
        assert line["message"].endswith(".")
        assert line["lastTransitionTime"]
        assert line["observedGeneration"] == document["metadata"]["generation"]


def test_its_service_account_has_the_departments_role(cluster: World, finance: str) -> None:
    assert "mcp-finance" in cluster.accounts()


CHANGES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "access": ({"access": {"groups": ["finance", "audit"]}}, {"configmap", "rolebinding"}),
    "display name": ({"displayName": "Finance and Treasury"}, {"configmap"}),
    "toolset": ({"toolset": "finance"}, {"configmap"}),
    "a further data set": (
        {"datasets": [*spec()["datasets"], {"name": "rates", "object": "rates.csv", "key": "currency"}]},
        {"configmap"},
    ),
    "replicas": (
        {"server": {"replicas": {"min": 2, "max": 5}}},
        {"configmap", "horizontalpodautoscaler"},
    ),
    "memory": (
        {"server": {"resources": {"requests": {"memory": "300Mi"}}}},
        {"configmap", "deployment"},
    ),
    "spread": ({"server": {"spreadAcrossZones": False}}, {"configmap", "deployment"}),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_field_changes_only_what_it_must(cluster: World, what: str) -> None:
    name = f"change-{what.replace(' ', '-')}"
    change, expected = CHANGES[what]
    cluster.kubectl.apply(department(name))
    cluster.wait_for_reason(name, Ready="Serving", UpToDate="UpToDate")
    before = {kind: _specified(document) for kind, document in cluster.objects(name).items()}

    cluster.kubectl.apply(department(name, **change))
    cluster.wait_for_reason(name, Ready="Serving", UpToDate="UpToDate")
    after = {kind: _specified(document) for kind, document in cluster.objects(name).items()}
    assert {kind for kind in KINDS if before[kind] != after[kind]} == expected
    assert not cluster.events(name, "Repaired")  # the operator does not take its own change for somebody else's
    cluster.remove(name)


def _specified(document: Object) -> Object:
    """All that is not status, and not the number of replicas."""
    content = {key: value for key, value in document.items() if key not in {"apiVersion", "kind", "metadata", "status"}}
    if isinstance(deployed := content.get("spec"), dict):
        deployed.pop("replicas", None)
    return content


def test_a_repeated_apply_of_the_same_department_changes_nothing(cluster: World, finance: str) -> None:
    before = {kind: each["metadata"]["resourceVersion"] for kind, each in cluster.objects(finance).items()}
    cluster.kubectl.apply(department(finance))
    cluster.kubectl.run("annotate", "department", finance, "seen=yes", "--overwrite")
    cluster.kubectl.apply(department("after-finance"))
    cluster.wait_for_reason("after-finance", Ready="Serving")
    after = {kind: each["metadata"]["resourceVersion"] for kind, each in cluster.objects(finance).items()}
    unsettled = {"horizontalpodautoscaler", "poddisruptionbudget"}  # their controllers write into their status
    assert {kind for kind in KINDS if before[kind] != after[kind]} <= unsettled
    cluster.remove("after-finance")


def test_storage_is_the_volume_and_what_the_node_must_have(cluster: World) -> None:
    cluster.kubectl.apply(department("roomy", server={"storage": "20Gi"}))
    cluster.wait_for_reason("roomy", Ready="Serving")
    pod = cluster.objects("roomy")["deployment"]["spec"]["template"]["spec"]
    assert [volume["emptyDir"] for volume in pod["volumes"] if volume["name"] == "data"] == [{"sizeLimit": "20Gi"}]
    resources = pod["containers"][0]["resources"]
    assert {resources[kind]["ephemeral-storage"] for kind in ("requests", "limits")} == {"20Gi"}
    cluster.remove("roomy")


def test_a_limit_below_the_templates_request_is_a_condition_with_advice(cluster: World) -> None:
    cluster.kubectl.apply(department("tight", server={"resources": {"limits": {"memory": "64Mi"}}}))
    document = cluster.wait_for_reason("tight", UpToDate="NotMade")
    (said,) = (line["message"] for line in document["status"]["conditions"] if line["type"] == "UpToDate")
    assert "Set both requests.memory and limits.memory in server.resources" in said
    cluster.remove("tight")


def test_a_department_that_no_service_could_read_is_not_accepted_and_what_runs_stays(cluster: World) -> None:
    name = "unreadable"
    cluster.kubectl.apply(department(name))
    cluster.wait_for_reason(name, Ready="Serving")
    # The API server compares no columns of two data sets.
    items = {"name": "items", "object": "items.csv", "key": "item_id", "aliases": ["VENDOR_ID"]}
    cluster.kubectl.apply(department(name, datasets=[*spec()["datasets"], items]))
    document = cluster.wait_for_reason(name, Accepted="Invalid")
    (line,) = (line for line in document["status"]["conditions"] if line["type"] == "Accepted")
    assert "VENDOR_ID would mean the key of two data sets" in line["message"]
    assert "VENDOR_ID" not in cluster.objects(name)["configmap"]["data"]["department.yaml"]
    wait_for(lambda: cluster.events(name, "Invalid"), 10, "an event")

    cluster.kubectl.apply(department(name))
    cluster.wait_for_reason(name, Accepted="Accepted", Ready="Serving")
    cluster.remove(name)


def test_why_no_server_starts_is_said_in_the_schedulers_words(cluster: World) -> None:
    nodes = [each["metadata"]["name"] for each in cluster.kubectl.list("nodes")]

    def said() -> bool:
        conditions = (cluster.department("waits") or {}).get("status", {}).get("conditions", [])
        return any(line["type"] == "Ready" and "were unschedulable" in line["message"] for line in conditions)

    cluster.kubectl.run("cordon", *nodes)
    try:
        cluster.kubectl.apply(department("waits"))
        wait_for(said, 30, "the reason")
    finally:
        cluster.kubectl.run("uncordon", *nodes)
    cluster.remove("waits")
