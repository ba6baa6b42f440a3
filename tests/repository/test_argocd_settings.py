"""What Argo CD is told: asked of Argo CD itself, by its offline commands, with the settings as they are deployed."""

import json
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest
import yaml
from tests.helpers.kustomize import BUILD_SECONDS, Manifest, build, find, offline_tree

from local.kubernetes.tools import tool

pytestmark = [pytest.mark.slow, pytest.mark.timeout(BUILD_SECONDS)]


@pytest.fixture(scope="module", autouse=True)
def no_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The argocd command wants a cluster to be named, though these questions need none: one that cannot be reached."""
    nowhere = tmp_path_factory.mktemp("kube") / "config"
    nowhere.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "nowhere",
                "clusters": [{"name": "nowhere", "cluster": {"server": "http://127.0.0.1:1"}}],
                "contexts": [{"name": "nowhere", "context": {"cluster": "nowhere", "user": "nobody"}}],
                "users": [{"name": "nobody", "user": {}}],
            }
        )
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(nowhere))
        yield


@pytest.fixture(scope="module", params=["dev", "prod"])
def install(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    """All objects of one environment's Argo CD."""
    tree = offline_tree(tmp_path_factory.mktemp("tree") / "tree")
    return build(tree / "argocd/install" / request.param)


@pytest.fixture(scope="module")
def settings(install: list[Manifest], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with each ConfigMap of the install as a file of its own."""
    folder = tmp_path_factory.mktemp("settings")
    for name in ("argocd-cm", "argocd-rbac-cm", "argocd-notifications-cm"):
        write(folder / f"{name}.yaml", find(install, "ConfigMap", name))
    return folder


def write(file: Path, manifest: Manifest) -> Path:
    file.write_text(yaml.safe_dump(manifest))
    return file


def argocd(*arguments: str | Path, ok: bool = True) -> str:
    """What the argocd command prints; with ok=False it may fail."""
    run = subprocess.run([tool("argocd"), *arguments], check=False, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0 or not ok, run.stderr
    return run.stdout


def department(observed: int, **conditions: tuple[str, str, str]) -> Manifest:
    """A Department of generation 2 with these conditions: type=(status, reason, message)."""
    return {
        "apiVersion": "fileprocessing.internal/v1alpha1",
        "kind": "Department",
        "metadata": {"name": "finance", "namespace": "file-processing", "generation": 2},
        "status": {
            "observedGeneration": observed,
            "conditions": [
                {"type": kind, "status": status, "reason": reason, "message": message}
                for kind, (status, reason, message) in conditions.items()
            ],
        },
    }


def binding(status: dict[str, Any]) -> Manifest:
    return {
        "apiVersion": "elbv2.k8s.aws/v1beta1",
        "kind": "TargetGroupBinding",
        "metadata": {"name": "agentgateway", "namespace": "file-processing", "generation": 2},
        "status": status,
    }


def application(status: dict[str, Any]) -> Manifest:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "keda", "namespace": "argocd"},
        "status": status,
    }


ACCEPTED = ("True", "Accepted", "The specification is right")
LOADED = ("True", "Loaded", "vendors: 500 rows")
CURRENT = ("True", "UpToDate", "Runs the newest template")
SERVING = ("True", "Serving", "1 of 1 replicas serve")
HEALTH: dict[str, tuple[Manifest, str, str]] = {
    "a department nobody has looked at yet is Progressing": (
        {**department(0), "status": {}},
        "Progressing",
        "Waiting for the department operator",
    ),
    "a department whose change was not looked at yet is Progressing": (
        department(1, Accepted=ACCEPTED, Ready=SERVING),
        "Progressing",
        "Waiting for the department operator",
    ),
    "a department that is refused is Degraded": (
        department(2, Accepted=("False", "Invalid", "toolset nonsense is not known"), Ready=("False", "Invalid", "-")),
        "Degraded",
        "toolset nonsense is not known",
    ),
    "a department without data yet is Suspended": (
        department(
            2, Accepted=ACCEPTED, DataAvailable=("False", "DataMissing", "-"), Ready=("False", "DataMissing", "no data")
        ),
        "Suspended",
        "no data",
    ),
    "a department whose server starts is Progressing": (
        department(2, Accepted=ACCEPTED, DataAvailable=LOADED, Ready=("False", "NotAvailable", "0 of 1 replicas")),
        "Progressing",
        "0 of 1 replicas",
    ),
    "a department that serves is Healthy": (
        department(2, Accepted=ACCEPTED, DataAvailable=LOADED, UpToDate=CURRENT, Ready=SERVING),
        "Healthy",
        "1 of 1 replicas serve",
    ),
    "a department whose rollout stopped is Degraded, though it serves": (
        department(2, Accepted=ACCEPTED, UpToDate=("False", "RolloutStopped", "new pods crash"), Ready=SERVING),
        "Degraded",
        "new pods crash",
    ),
    "a target group whose targets are registered is Healthy": (
        binding({"observedGeneration": 2}),
        "Healthy",
        "Targets are registered",
    ),
    "a target group that the controller has not reached is Progressing": (
        binding({}),
        "Progressing",
        "Waiting for the AWS Load Balancer Controller",
    ),
    "a target group that changed is Progressing": (
        binding({"observedGeneration": 1}),
        "Progressing",
        "Waiting for the AWS Load Balancer Controller",
    ),
    "an Application that was not compared yet is Progressing": (application({}), "Progressing", "Not compared yet"),
    "an Application has the health of what it deploys": (
        application({"health": {"status": "Degraded", "message": "a pod crashes"}}),
        "Degraded",
        "a pod crashes",
    ),
}


@pytest.mark.parametrize("claim", HEALTH)
def test_health(claim: str, settings: Path, tmp_path: Path) -> None:
    manifest, status, message = HEALTH[claim]
    printed = argocd(
        *("admin", "settings", "resource-overrides", "health", write(tmp_path / "object.yaml", manifest)),
        *("--argocd-cm-path", settings / "argocd-cm.yaml"),
    )
    assert f"STATUS: {status}\nMESSAGE: {message}\n" in printed


def can(settings: Path, group: str, action: str, resource: str, name: str) -> bool:
    """Whether Argo CD lets that group do it; its own answer."""
    printed = argocd(
        *("admin", "settings", "rbac", "can", group, action, resource, name),
        *("--policy-file", settings / "argocd-rbac-cm.yaml"),
        ok=False,
    )
    assert printed.strip() in {"Yes", "No"}, printed
    return printed.strip() == "Yes"


@pytest.mark.parametrize(
    ("action", "resource", "name"),
    [
        ("sync", "applications", "file-processing/agentgateway"),
        ("delete", "applications", "departments/department-finance"),
        ("update", "projects", "platform"),
        ("get", "logs", "file-processing/application"),
    ],
)
def test_the_platform_team_may_do_everything(settings: Path, action: str, resource: str, name: str) -> None:
    assert can(settings, "platform", action, resource, name)


def test_who_is_in_no_known_group_may_do_nothing(settings: Path) -> None:
    # What a department's people may see is in its project: tests/cluster/test_single_sign_on.py.
    for group in ("interns", "finance"):
        assert not can(settings, group, "get", "applications", "department-finance/department-finance")
    assert not can(settings, "", "get", "applications", "file-processing/agentgateway")


def test_argocd_accepts_its_settings_and_policy(settings: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((settings / "argocd-cm.yaml").read_text())
    # What Terraform adds in a cluster; this command looks no references up.
    config["data"]["url"] = "https://argocd.example.com"
    config["data"]["oidc.config"] = config["data"]["oidc.config"].replace(
        "$argocd-sso:issuer", "https://id.example.com"
    )
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "argocd-secret"},
        "data": {"server.secretkey": "MDEyMzQ1Njc4OQ=="},
    }
    validated = argocd(
        *("admin", "settings", "validate", "--argocd-cm-path", write(tmp_path / "argocd-cm.yaml", config)),
        *("--argocd-secret-path", write(tmp_path / "argocd-secret.yaml", secret)),
    )
    assert "✅ general\nOIDC is configured\n" in validated
    assert "❌" not in validated
    assert "Policy is valid." in argocd(
        *("admin", "settings", "rbac", "validate", "--policy-file", settings / "argocd-rbac-cm.yaml")
    )


def test_single_sign_on_needs_no_secret(install: list[Manifest]) -> None:
    oidc = yaml.safe_load(find(install, "ConfigMap", "argocd-cm")["data"]["oidc.config"])
    assert oidc["enablePKCEAuthentication"] is True
    assert "clientSecret" not in oidc
    assert (oidc["issuer"], oidc["clientID"]) == ("$argocd-sso:issuer", "$argocd-sso:clientID")
    secrets = [each for each in install if each["kind"] == "Secret"]
    assert secrets
    assert all("data" not in each and "stringData" not in each for each in secrets)


def test_every_container_is_of_a_pinned_version_and_says_what_it_needs(install: list[Manifest]) -> None:
    pods = [each["spec"]["template"]["spec"] for each in install if each["kind"] in {"Deployment", "StatefulSet"}]
    containers = [container for pod in pods for container in (*pod["containers"], *pod.get("initContainers", []))]
    assert len(pods) >= 6
    assert not [each["image"] for each in containers if ":" not in each["image"] or each["image"].endswith(":latest")]


def test_each_part_serves_its_metrics(install: list[Manifest]) -> None:
    served = {
        each["metadata"]["name"]
        for each in install
        if each["kind"] == "Service" and any(port.get("name") == "metrics" for port in each["spec"].get("ports", []))
    }
    assert served >= {
        "argocd-metrics",
        "argocd-server-metrics",
        "argocd-repo-server",
        "argocd-applicationset-controller",
    }


class Alerts(BaseHTTPRequestHandler):
    """Keeps what is posted to it."""

    received: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Type"] == "application/json"
        self.received.append(json.loads(body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def synced(phase: str, **operation: Any) -> Manifest:
    """An Application whose last sync stands like this."""
    state = {
        "phase": phase,
        "message": 'one or more objects failed: "agentgateway" is invalid',
        "operation": {"sync": {"revision": "4f2a"}},
        "syncResult": {"revision": "4f2a"},
        **operation,
    }
    return application({"operationState": state, "health": {"status": "Healthy"}, "sync": {"revision": "4f2a"}})


TRIGGERS: dict[str, tuple[str, Manifest, bool]] = {
    "a failed sync is told": ("on-sync-failed", synced("Failed"), True),
    "a sync that is being retried for the third time is told": (
        "on-sync-failed",
        synced("Running", retryCount=3),
        True,
    ),
    "a sync that goes on is not": ("on-sync-failed", synced("Running"), False),
    "a sync that succeeded is not": ("on-sync-failed", synced("Succeeded"), False),
    "manifests that do not build are told": (
        "on-manifests-broken",
        application({"conditions": [{"type": "ComparisonError", "message": "kustomize build failed"}]}),
        True,
    ),
    "manifests that build are not": ("on-manifests-broken", application({}), False),
    "bad health is told": ("on-health-degraded", application({"health": {"status": "Degraded"}}), True),
    "good health is not": ("on-health-degraded", application({"health": {"status": "Healthy"}}), False),
}


@pytest.mark.parametrize("claim", TRIGGERS)
def test_notifications(claim: str, settings: Path, tmp_path: Path) -> None:
    trigger, manifest, told = TRIGGERS[claim]
    printed = argocd(
        *("admin", "notifications", "trigger", "run", trigger, write(tmp_path / "application.yaml", manifest)),
        *("--config-map", settings / "argocd-notifications-cm.yaml", "--secret", ":empty"),
    )
    assert ("true" in printed) is told, printed


@pytest.mark.parametrize("template", ["sync-failed", "manifests-broken", "health-degraded"])
def test_a_notification_says_which_application_and_what_is_wrong(template: str, settings: Path, tmp_path: Path) -> None:
    manifest = synced("Failed")
    manifest["status"]["conditions"] = [{"type": "ComparisonError", "message": 'a "quoted" message'}]
    with HTTPServer(("127.0.0.1", 0), Alerts) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "argocd-notifications-secret"},
            "stringData": {"webhook-url": f"http://127.0.0.1:{server.server_port}/"},
        }
        try:
            argocd(
                *("admin", "notifications", "template", "notify", template),
                *(write(tmp_path / "application.yaml", manifest), "--recipient", "alerts"),
                *("--config-map", settings / "argocd-notifications-cm.yaml"),
                *("--secret", write(tmp_path / "secret.yaml", secret)),
            )
        finally:
            server.shutdown()
            thread.join()
    received = Alerts.received.pop()
    assert received["application"] == "keda"
    assert received["event"] == template
    assert not Alerts.received
