"""A changed PodTemplate goes from department to department, and stops at the first that does not become ready."""

import json
from collections.abc import Iterator

import pytest
from tests.operator.world import NOWHERE, World, department, pod_template, world

from local.kubernetes.kubectl import NotYet, wait_for

pytestmark = pytest.mark.slow

NAMES = ("alpha", "bravo", "charlie", "delta")
REVISION = "fileprocessing.internal/pod-template"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A cluster of its own: the PodTemplate is everyone's."""
    with world(tmp_path_factory.mktemp("rollout")) as running:
        yield running


@pytest.fixture
def departments(cluster: World) -> Iterator[tuple[str, ...]]:
    cluster.kubectl.apply(pod_template("1"))
    with cluster.operator():
        cluster.kubectl.apply(*(department(name) for name in NAMES))
        for name in NAMES:
            cluster.wait_for_reason(name, Ready="Serving", UpToDate="UpToDate")
    yield NAMES
    cluster.remove(*NAMES)


def images(cluster: World) -> dict[str, str]:
    """The version that each department's Deployment is of."""
    found = cluster.kubectl.list("deployments", selector="fileprocessing.internal/department")
    return {
        each["metadata"]["labels"]["fileprocessing.internal/department"]: str(
            each["spec"]["template"]["spec"]["containers"][0]["image"]
        ).rpartition(":")[2]
        for each in found
    }


def revisions(cluster: World) -> int:
    return len(cluster.kubectl.list("controllerrevisions"))


# No simulated node has so much: the new pods never start, as with an image that does not.
BROKEN = {"resources": {"requests": {"cpu": "9000", "memory": "256Mi"}, "limits": {"memory": "1Gi"}}}


def test_every_department_is_given_a_good_template_one_after_another(
    cluster: World, departments: tuple[str, ...]
) -> None:
    before = len(_scalings(cluster))
    with cluster.operator():
        cluster.kubectl.apply(pod_template("2"))
        wait_for(lambda: set(images(cluster).values()) == {"2"}, 60, "version 2", state=lambda: images(cluster))
        for name in departments:
            cluster.wait_for_reason(name, Ready="Serving", UpToDate="UpToDate")
        steps = _scalings(cluster)[before:]
        # One has all its new pods, and none of the old, before the next begins.
        assert steps == [f"{way} {name}" for name in departments for way in ("up", "down")]
        wait_for(lambda: revisions(cluster) == 1, 10, "the old version is dropped")


def _scalings(cluster: World) -> list[str]:
    """What the Deployments did with their pods, in order."""
    events = [each for each in cluster.kubectl.list("events") if each["reason"] == "ScalingReplicaSet"]
    events.sort(key=lambda each: int(each["metadata"]["resourceVersion"]))
    return [f"{each['message'].split()[1]} {each['involvedObject']['name'].removeprefix('mcp-')}" for each in events]


def test_a_bad_template_stops_at_the_first_and_everyone_serves_on(cluster: World, departments: tuple[str, ...]) -> None:
    first, *others = departments
    with cluster.operator() as operator:
        cluster.kubectl.apply(pod_template("bad", **BROKEN))
        wait_for(lambda: images(cluster)[first] == "bad", 20, "the first has it")
        cluster.wait_for_reason(first, Ready="Serving", UpToDate="RollingOut")
        for name in others:
            cluster.wait_for_reason(name, Ready="Serving", UpToDate="WaitingForRollout")

        # A department that waits is still changed, repaired and made again, from the template that it has.
        waiting = others[0]
        cluster.kubectl.apply(department(waiting, server={"resources": {"requests": {"memory": "300Mi"}}}))
        wait_for(lambda: _memory(cluster, waiting) == "300Mi", 20, "the change")
        cluster.kubectl.delete("deployment", f"mcp-{others[1]}", wait=False)

        # A new one takes the present template, and is no obstacle to anyone.
        cluster.kubectl.apply(department("echo"))
        wait_for(lambda: images(cluster).get("echo") == "bad", 20, "the new one has it")

        # Also after a restart, nothing is forgotten.
        operator.kill()
    with cluster.operator():
        cluster.kubectl.apply(department("foxtrot"))
        wait_for(lambda: images(cluster).get("foxtrot") == "bad", 20, "the operator has looked at everything")
        now = images(cluster)
        assert {name: now[name] for name in (first, waiting, others[2])} == {first: "bad", waiting: "1", others[2]: "1"}

        # Time for new pods is over: that it has stopped is told.
        _expire(cluster, first)
        cluster.wait_for_reason(first, Ready="Serving", UpToDate="RolloutStopped")
        (event,) = wait_for(lambda: cluster.events(first, "RolloutStopped"), 10, "the event")
        assert event["type"] == "Warning"
        assert "Insufficient cpu" in event["message"]

        # A template that is right again goes to all.
        cluster.kubectl.apply(pod_template("3"))
        wait_for(lambda: set(images(cluster).values()) == {"3"}, 60, "version 3", state=lambda: images(cluster))
        for name in (*departments, "echo", "foxtrot"):
            cluster.wait_for_reason(name, Ready="Serving", UpToDate="UpToDate")
    cluster.remove("echo", "foxtrot")


def _memory(cluster: World, name: str) -> str:
    (server,) = cluster.objects(name)["deployment"]["spec"]["template"]["spec"]["containers"]
    return str(server["resources"]["requests"]["memory"])


def _expire(cluster: World, name: str) -> None:
    """As the controller says it after 300 seconds."""
    deployed = cluster.objects(name)["deployment"]
    conditions = [each for each in deployed["status"]["conditions"] if each["type"] != "Progressing"]
    conditions.append(
        {
            "type": "Progressing",
            "status": "False",
            "reason": "ProgressDeadlineExceeded",
            "message": "it has timed out",
            "lastUpdateTime": "2026-01-01T00:00:00Z",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
    )
    patch = json.dumps({"status": {"conditions": conditions}})
    cluster.kubectl.run("patch", "deployment", f"mcp-{name}", "--subresource=status", "--type=merge", "-p", patch)


def test_departments_without_data_are_no_obstacle_and_come_last(cluster: World, departments: tuple[str, ...]) -> None:
    # Its first pod never starts, so it serves nobody; by its name it would be the first in turn.
    silent = "aaa-without-data"
    with cluster.operator():
        cluster.kubectl.apply(department(silent, server=NOWHERE))
        wait_for(lambda: silent in images(cluster), 20, "its Deployment")
        cluster.kubectl.apply(pod_template("4"))
        wait_for(lambda: set(images(cluster).values()) == {"4"}, 60, "version 4", state=lambda: images(cluster))
        for name in departments:
            cluster.wait_for_reason(name, Ready="Serving", UpToDate="UpToDate")
    cluster.remove(silent)


def test_no_pod_template_yet_is_said_and_waited_for(cluster: World) -> None:
    cluster.kubectl.delete("podtemplate", "mcp-server")
    cluster.kubectl.run("delete", "controllerrevisions", "--all")
    with cluster.operator():
        cluster.kubectl.apply(department("early"))
        document = cluster.wait_for_reason("early", Ready="NotMade", Accepted="Accepted")
        assert "PodTemplate mcp-server" in str(document["status"]["conditions"])
        with pytest.raises(NotYet):
            wait_for(lambda: images(cluster), 1, "a Deployment")
        cluster.kubectl.apply(pod_template("5"))
        cluster.wait_for_reason("early", Ready="Serving", UpToDate="UpToDate")
    cluster.remove("early")
