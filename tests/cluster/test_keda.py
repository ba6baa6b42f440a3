"""The real KEDA scales the worker by the real queue, with our manifests and the rights of its own ServiceAccount."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.helpers.kustomize import ROOT, build
from tests.helpers.overlays import of_kind

from local.aws.seed import client
from local.kubernetes.cluster import Cluster
from local.kubernetes.kubectl import Object, wait_for

pytestmark = pytest.mark.slow

NAMESPACE = "queue"
WORKER = "application-worker"
QUEUE = "keda-jobs"
SECONDS = 300


@pytest.fixture(scope="module")
def queue_url(cluster: Cluster) -> Iterator[str]:
    """A queue of its own, and the worker beside it: as in base/, but that it is taken back at once, without the CPU."""
    sqs = client("sqs", cluster.aws_url)
    url = str(sqs.create_queue(QueueName=QUEUE)["QueueUrl"])
    manifests = build(ROOT / "base/application/worker")
    [scaled] = of_kind(manifests, "ScaledObject")
    scaled["spec"]["pollingInterval"] = 1
    scaled["spec"]["triggers"] = [each for each in scaled["spec"]["triggers"] if each["type"] != "cpu"]
    scaled["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"] = {
        "stabilizationWindowSeconds": 0
    }
    facts = {"JOBS_QUEUE_URL": url}
    cluster.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    cluster.kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "aws-facts", "namespace": NAMESPACE},
            "data": facts,
        },
        *(
            {**each, "metadata": {**each["metadata"], "namespace": NAMESPACE}}
            for each in (*of_kind(manifests, "Deployment", "ServiceAccount", "TriggerAuthentication"), scaled)
        ),
    )
    yield url
    cluster.kubectl.delete("scaledobjects.keda.sh", WORKER, namespace=NAMESPACE)
    cluster.kubectl.delete("namespace", NAMESPACE, wait=False)


def replicas(cluster: Cluster) -> int:
    deployment = cluster.kubectl.get("deployment", WORKER, namespace=NAMESPACE)
    return int(deployment["spec"]["replicas"]) if deployment else 0


def conditions(cluster: Cluster, namespace: str) -> dict[str, Any]:
    scaled = cluster.kubectl.get("scaledobjects.keda.sh", WORKER, namespace=namespace)
    return {each["type"]: each for each in (scaled or {}).get("status", {}).get("conditions", [])}


def autoscaler(cluster: Cluster) -> Object:
    found = cluster.kubectl.get("hpa", f"keda-hpa-{WORKER}", namespace=NAMESPACE)
    return found or {}


def test_workers_follow_the_queue_up_and_down(cluster: Cluster, queue_url: str) -> None:
    def state() -> object:
        return conditions(cluster, NAMESPACE), autoscaler(cluster).get("status")

    wait_for(
        lambda: conditions(cluster, NAMESPACE).get("Ready", {}).get("status") == "True",
        SECONDS,
        "KEDA accepts the ScaledObject",
        state=state,
    )
    sqs = client("sqs", cluster.aws_url)
    for number in range(6):
        sqs.send_message(QueueUrl=queue_url, MessageBody=str(number))
    # Two jobs for each worker.
    wait_for(lambda: replicas(cluster) == 3, SECONDS, "six jobs have three workers", state=state)
    for number in range(20):
        sqs.send_message(QueueUrl=queue_url, MessageBody=str(number))
    wait_for(lambda: replicas(cluster) == 4, SECONDS, "there are never more than four workers", state=state)
    sqs.purge_queue(QueueUrl=queue_url)
    wait_for(lambda: replicas(cluster) == 1, SECONDS, "an empty queue has one worker", state=state)


def test_keda_says_that_a_queue_is_missing(cluster: Cluster, queue_url: str) -> None:
    """A person who looks at the ScaledObject reads what is wrong."""
    sqs = client("sqs", cluster.aws_url)
    sqs.delete_queue(QueueUrl=queue_url)

    def told() -> list[str]:
        events = cluster.kubectl.list("events", namespace=NAMESPACE)
        return [each["message"] for each in events if each["reason"] == "KEDAScalerFailed"]

    wait_for(lambda: any("queue" in each.lower() for each in told()), SECONDS, "an event names the queue", state=told)
    assert replicas(cluster) == 1


def test_production_has_its_autoscaler_from_keda(cluster: Cluster) -> None:
    """The worker that Argo CD deploys: its queue's address is in `aws-facts`, its credentials are KEDA's own."""
    wait_for(
        lambda: conditions(cluster, "file-processing").get("Ready", {}).get("status") == "True",
        SECONDS,
        "KEDA accepts production's ScaledObject",
        state=lambda: conditions(cluster, "file-processing"),
    )
    made = cluster.kubectl.get("hpa", f"keda-hpa-{WORKER}", namespace="file-processing")
    [scaled] = of_kind(build(ROOT / "overlays/prod/application"), "ScaledObject")
    assert made is not None
    assert made["spec"]["minReplicas"] == scaled["spec"]["minReplicaCount"]
    assert made["spec"]["maxReplicas"] == scaled["spec"]["maxReplicaCount"]
    assert {each["type"] for each in made["spec"]["metrics"]} == {"External", "Resource"}
    behavior = made["spec"]["behavior"]["scaleDown"]
    asked = scaled["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
    assert behavior["stabilizationWindowSeconds"] == asked["stabilizationWindowSeconds"]
