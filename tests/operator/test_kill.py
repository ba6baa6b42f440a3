"""The operator killed at any point, gone for a while, or cut off from the API server: the end state is the same."""

import time
from typing import Any

import pytest
from tests.operator.world import World, content, department

from local.kubernetes.kubectl import wait_for

pytestmark = pytest.mark.slow

# Seconds after which it is killed: while it starts, makes the objects, tells of them, and when all is done.
MOMENTS = (0.0, 0.6, 0.9, 1.1, 1.3, 1.8)
FIRST = {"access": {"groups": ["finance"]}}
SECOND: dict[str, Any] = {
    "access": {"groups": ["audit"]},
    "server": {"replicas": {"min": 1, "max": 7}, "resources": {"requests": {"memory": "300Mi"}}},
}


@pytest.fixture(scope="module")
def undisturbed(cluster: World) -> dict[str, Any]:
    """What an operator that nothing happens to makes of it."""
    with cluster.operator():
        cluster.kubectl.apply(department("calm", **SECOND))
        cluster.wait_for_reason("calm", Ready="Serving", UpToDate="UpToDate")
        wait_for(lambda: "mcp-calm" in cluster.accounts(), 10, "its association")
        found = state(cluster, "calm")
        cluster.remove("calm")
        wait_for(lambda: not cluster.accounts(), 10, "no association is left")
    return found


def state(cluster: World, name: str) -> dict[str, Any]:
    """All that the operator decides of a department, without what differs from one to the next anyway."""
    found: dict[str, Any] = {kind: content(each, name) for kind, each in cluster.objects(name).items()}
    status = (cluster.department(name) or {})["status"]
    conditions = [(line["type"], line["status"], line["reason"]) for line in status["conditions"]]
    endpoint = status["endpoint"].replace(name, "NAME")
    return found | {"status": conditions, "endpoint": endpoint, "association": f"mcp-{name}" in cluster.accounts()}


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_while_it_makes_and_changes_a_department(
    cluster: World, undisturbed: dict[str, Any], moment: float
) -> None:
    name = f"killed-{MOMENTS.index(moment)}"
    cluster.kubectl.apply(department(name, **FIRST))
    for document in (department(name, **FIRST), department(name, **SECOND)):
        victim = cluster.start_operator()
        try:
            cluster.kubectl.apply(document)
            time.sleep(moment)  # the moment of the kill is what is varied here
        finally:
            victim.kill()
    with cluster.operator():
        cluster.wait_for_reason(name, Ready="Serving", UpToDate="UpToDate")
        wait_for(lambda: state(cluster, name) == undisturbed, 20, "the same", state=lambda: state(cluster, name))
        wait_for(lambda: len(cluster.kubectl.list("controllerrevisions")) == 1, 10, "one version of the PodTemplate")
    cluster.remove(name)


def test_killed_while_departments_are_deleted(cluster: World) -> None:
    names = [f"ending-{number}" for number in range(8)]
    with cluster.operator() as victim:
        cluster.kubectl.apply(*(department(name) for name in names))
        for name in names:
            cluster.wait_for_reason(name, Ready="Serving")
        cluster.kubectl.delete("department", *names, wait=False)
        victim.kill()
    with cluster.operator():
        wait_for(lambda: not cluster.accounts() & {f"mcp-{name}" for name in names}, 20, "no association is left")
        cluster.remove(*names)
        for name in names:
            assert len(cluster.events(name, "DataKept")) >= 1


def test_with_the_operator_gone_a_deleted_department_does_not_hang(cluster: World) -> None:
    with cluster.operator():
        cluster.kubectl.apply(department("orphan"))
        cluster.wait_for_reason("orphan", Ready="Serving")
        assert not (cluster.department("orphan") or {})["metadata"].get("finalizers")
    cluster.kubectl.run("delete", "department", "orphan", "--timeout=10s")
    wait_for(lambda: not cluster.objects("orphan"), 60, "nothing is left of it")
    assert "mcp-orphan" in cluster.accounts()
    # The next operator sweeps up what only an operator can, and says what it says of every deletion.
    with cluster.operator():
        wait_for(lambda: "mcp-orphan" not in cluster.accounts(), 20, "its association is ended")
        (event,) = wait_for(lambda: cluster.events("orphan", "DataKept"), 10, "the event")
        assert "departments/mcp-orphan/" in event["message"]


def test_what_happened_while_it_was_gone_is_put_right_at_its_start(cluster: World) -> None:
    with cluster.operator():
        cluster.kubectl.apply(department("meanwhile"))
        cluster.wait_for_reason("meanwhile", Ready="Serving", UpToDate="UpToDate")
    before = cluster.objects("meanwhile")
    cluster.kubectl.delete("service", "mcp-meanwhile")
    cluster.kubectl.patch("networkpolicy", "mcp-meanwhile", {"spec": {"ingress": [{}]}})
    cluster.kubectl.apply(department("meanwhile", displayName="Meanwhile"), department("newcomer"))
    with cluster.operator():
        cluster.wait_for_reason("newcomer", Ready="Serving")
        cluster.wait_for_reason("meanwhile", Ready="Serving", UpToDate="UpToDate")
        after = cluster.wait_for_objects("meanwhile")
        assert after["networkpolicy"]["spec"] == before["networkpolicy"]["spec"]
        assert "displayName: Meanwhile" in after["configmap"]["data"]["department.yaml"]
        assert after["deployment"]["metadata"]["generation"] == before["deployment"]["metadata"]["generation"]
        cluster.remove("meanwhile", "newcomer")


def test_departments_are_made_while_eks_does_not_answer(cluster: World) -> None:
    # Nothing answers at this address; departments are made all the same, and say why they are not whole.
    with cluster.operator(AWS_ENDPOINT_URL_EKS="http://127.0.0.1:9", AWS_MAX_ATTEMPTS="1"):
        cluster.kubectl.apply(department("no-rights"))
        cluster.wait_for_objects("no-rights")
        wait_for(lambda: cluster.events("no-rights", "NotMade"), 30, "why")
        assert "mcp-no-rights" not in cluster.accounts()
    with cluster.operator():
        wait_for(lambda: "mcp-no-rights" in cluster.accounts(), 20, "its association")
        cluster.remove("no-rights")


def test_it_ends_in_order_when_told_to(cluster: World) -> None:
    with cluster.operator() as operator:
        assert operator.stop() == 0
        assert "Traceback" not in operator.log.read_text()
