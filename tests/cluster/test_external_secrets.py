"""The real External Secrets makes Secrets of what Secrets Manager holds, by our SecretStores and ExternalSecrets."""

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.helpers.kustomize import ROOT, build
from tests.helpers.overlays import of_kind

from local import names
from local.aws.seed import client
from local.kubernetes.cluster import Cluster
from local.kubernetes.controllers.external_secrets import rendered
from local.kubernetes.kubectl import wait_for

pytestmark = pytest.mark.slow

SERVICES = "file-processing"
KIND = "externalsecrets.external-secrets.io"
WEBHOOK_SECRET = "prod/argocd/notifications"
SECONDS = 180


@pytest.fixture(scope="module")
def manager(cluster: Cluster) -> Any:
    return client("secretsmanager", cluster.aws_url)


@pytest.fixture(scope="module")
def notifications(cluster: Cluster, manager: Any) -> Iterator[str]:
    """What argocd/integration has of External Secrets; upstream's Secret is there already, as in an install."""
    name = "argocd-notifications-secret"
    metadata = {"name": name, "namespace": "argocd"}
    cluster.kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
    manager.create_secret(Name=WEBHOOK_SECRET, SecretString=json.dumps({"webhook-url": "https://hooks.example.com/a"}))
    cluster.kubectl.apply(*of_kind(build(ROOT / "argocd/integration/prod"), "SecretStore", "ExternalSecret"))
    yield name
    cluster.kubectl.delete(KIND, "argocd-notifications", namespace="argocd")


def data(cluster: Cluster, name: str, namespace: str = SERVICES) -> dict[str, str]:
    found = cluster.kubectl.get("secret", name, namespace=namespace) or {}
    return {key: base64.b64decode(value).decode() for key, value in found.get("data", {}).items()}


def ready(cluster: Cluster, name: str, namespace: str = SERVICES) -> dict[str, Any]:
    found = cluster.kubectl.get(KIND, name, namespace=namespace) or {}
    conditions = found.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == "Ready"), {})


def look_again(cluster: Cluster, name: str, namespace: str = SERVICES) -> None:
    """What docs/deployment.md tells people to do."""
    cluster.kubectl.run("annotate", KIND, name, "-n", namespace, f"force-sync={time.time_ns()}", "--overwrite")


def test_the_pages_settings_come_from_secrets_manager(cluster: Cluster, manager: Any) -> None:
    def stored() -> dict[str, str]:
        value: dict[str, str] = json.loads(manager.get_secret_value(SecretId=names.FRONTEND_SECRET)["SecretString"])
        return value

    wait_for(
        lambda: data(cluster, "frontend") == stored(),
        SECONDS,
        "the Secret has what Secrets Manager has",
        state=lambda: ready(cluster, "frontend"),
    )
    manager.put_secret_value(SecretId=names.FRONTEND_SECRET, SecretString=json.dumps({**stored(), "ADDED": "later"}))
    look_again(cluster, "frontend")
    wait_for(lambda: data(cluster, "frontend").get("ADDED") == "later", SECONDS, "a new value arrives when asked for")


def test_the_api_server_takes_the_whole_chart(cluster: Cluster) -> None:
    """The chart of the release that runs here, with the values of apps/platform."""
    objects = rendered()
    assert {"Deployment", "ServiceAccount", "ClusterRole"} <= {each["kind"] for each in objects}
    cluster.kubectl.apply(*objects, dry_run=True)


def test_argo_cds_secret_keeps_its_other_keys(cluster: Cluster, manager: Any, notifications: str) -> None:
    wait_for(
        lambda: data(cluster, notifications, "argocd").get("webhook-url") == "https://hooks.example.com/a",
        SECONDS,
        "the address is in Argo CD's Secret",
        state=lambda: ready(cluster, "argocd-notifications", "argocd"),
    )
    cluster.kubectl.patch("secret", notifications, {"stringData": {"by-hand": "stays"}}, namespace="argocd")
    manager.put_secret_value(
        SecretId=WEBHOOK_SECRET, SecretString=json.dumps({"webhook-url": "https://hooks.example.com/b"})
    )
    look_again(cluster, "argocd-notifications", "argocd")
    expected = {"webhook-url": "https://hooks.example.com/b", "by-hand": "stays"}
    wait_for(lambda: data(cluster, notifications, "argocd") == expected, SECONDS, "only the address changed")


def test_a_missing_secret_is_reported_and_heals(cluster: Cluster, manager: Any) -> None:
    [external] = of_kind(build(ROOT / "overlays/prod/frontend"), "ExternalSecret")
    external["metadata"] = {"name": "absent", "namespace": SERVICES}
    external["spec"]["target"]["name"] = "absent"
    external["spec"]["dataFrom"] = [{"extract": {"key": "prod/absent"}}]
    cluster.kubectl.apply(external)

    def told() -> list[str]:
        events = cluster.kubectl.list("events", namespace=SERVICES)
        return [each["message"] for each in events if each["involvedObject"]["name"] == "absent"]

    try:
        wait_for(
            lambda: ready(cluster, "absent").get("reason") == "SecretSyncedError",
            SECONDS,
            "the condition says that it failed",
            state=lambda: ready(cluster, "absent"),
        )
        wait_for(lambda: any("exist" in each for each in told()), SECONDS, "an event says why", state=told)
        assert not data(cluster, "absent")
        manager.create_secret(Name="prod/absent", SecretString=json.dumps({"key": "value"}))
        look_again(cluster, "absent")
        wait_for(lambda: data(cluster, "absent") == {"key": "value"}, SECONDS, "it heals once the secret is there")
    finally:
        cluster.kubectl.delete(KIND, "absent", namespace=SERVICES)
    wait_for(
        lambda: cluster.kubectl.get("secret", "absent", namespace=SERVICES) is None,
        SECONDS,
        "the Secret goes with its ExternalSecret",
    )
