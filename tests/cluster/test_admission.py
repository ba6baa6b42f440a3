"""What a real API server takes in and what it refuses: schemas, Pod Security, our own policy, tokens of services."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jose import jwt
from tests.helpers.addon_crds import definitions
from tests.helpers.kustomize import ROOT, Manifest, build, kustomizations, offline_tree
from tests.helpers.overlays import DEPLOYMENTS, NAMESPACE, OVERLAYS, departments, environment_objects, of_kind, overlay
from tests.helpers.workspace import settings_of_pods

from local.kubernetes.control_plane import ControlPlane
from local.kubernetes.kubectl import Kubectl, KubectlError, wait_for

pytestmark = pytest.mark.slow

PREFIX = "policy.fileprocessing.internal/"
ACCOUNTS = (*DEPLOYMENTS, "mcp-finance", "default")
GITOPS = [
    str(file.parent.relative_to(ROOT))
    for name in ("apps", "argocd", "clusters")
    for file in kustomizations(ROOT / name)
    if "kind: Component" not in file.read_text()
]
Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """An API server with the add-ons' and our own definitions, the namespace of prod, and the services' identities."""
    with ControlPlane(tmp_path_factory.mktemp("admission") / "cluster") as running:
        kubectl = running.kubectl
        kubectl.apply(*definitions(), *build(ROOT / "base/department-operator/crd"))
        kubectl.apply(*of_kind(overlay("prod/namespace"), "Namespace"))
        kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "argocd"}})
        kubectl.apply(*overlay("prod/namespace"))
        kubectl.apply(*of_kind(environment_objects("prod"), "ServiceAccount", "Role", "RoleBinding"))
        for account in ("mcp-finance", "default"):
            kubectl.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}})
        wait_for(lambda: refused(kubectl, deployment(image("agentgateway"))), 30, "the policy is in force")
        wait_for(lambda: not refused(kubectl, *departments()), 30, "the definitions are served")
        yield kubectl


def refused(kubectl: Kubectl, *objects: Manifest) -> str:
    """What the API server says against the objects; nothing where it would take them all."""
    try:
        kubectl.apply(*objects, dry_run=True)
    except KubectlError as error:
        return str(error)
    return ""


def deployment(change: Change = lambda _: None) -> Manifest:
    """The gateway's Deployment in prod, with one change."""
    [original] = of_kind(overlay("prod/agentgateway"), "Deployment")
    changed = copy.deepcopy(original)
    change(changed)
    return changed


def pod(changed: Manifest) -> dict[str, Any]:
    spec: dict[str, Any] = changed["spec"]["template"]["spec"]
    return spec


def container(changed: Manifest) -> dict[str, Any]:
    first: dict[str, Any] = pod(changed)["containers"][0]
    return first


def image(name: str) -> Change:
    return lambda changed: container(changed).update(image=name)


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_object_of_an_overlay_is_valid_and_breaks_no_policy(name: str, api_server: Kubectl) -> None:
    assert refused(api_server, *overlay(name)) == ""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return offline_tree(tmp_path_factory.mktemp("admission") / "tree")


@pytest.mark.parametrize("folder", GITOPS)
def test_every_object_of_the_clusters_and_of_argo_cd_is_valid(folder: str, tree: Path, api_server: Kubectl) -> None:
    assert refused(api_server, *build(tree / folder)) == ""


def test_a_field_that_does_not_exist_is_refused(api_server: Kubectl) -> None:
    wrong = deployment(lambda changed: changed["spec"].update(replica=3))
    assert "replica" in refused(api_server, wrong)


BROKEN: dict[str, tuple[str, Change]] = {
    "an image without a version": ("image-version", image("agentgateway")),
    "an image of latest": ("image-version", image("registry.example.com:5000/agentgateway:latest")),
    "a port of the registry is no version": ("image-version", image("registry.example.com:5000/agentgateway")),
    "a short digest": ("image-version", image("agentgateway@sha256:abc")),
    "no request of memory": ("requests", lambda d: container(d)["resources"]["requests"].pop("memory")),
    "no request of a processor": ("requests", lambda d: container(d)["resources"]["requests"].pop("cpu")),
    "no limit of memory": ("memory-limit", lambda d: container(d)["resources"].pop("limits")),
    "a limit of a processor": ("no-cpu-limit", lambda d: container(d)["resources"]["limits"].update(cpu="2")),
    "a root file system that can be written to": (
        "read-only",
        lambda d: container(d)["securityContext"].pop("readOnlyRootFilesystem"),
    ),
    "an init container that can write": (
        "read-only",
        lambda d: pod(d).update(
            initContainers=[{"name": "init", "image": "init:1", "resources": container(d)["resources"]}]
        ),
    ),
    "no readiness probe": ("probes", lambda d: container(d).pop("readinessProbe")),
    "no liveness probe": ("probes", lambda d: container(d).pop("livenessProbe")),
    "one probe for both questions": (
        "probes",
        lambda d: container(d).update(livenessProbe=container(d)["readinessProbe"]),
    ),
    "no time to drain": ("drain", lambda d: pod(d).update(terminationGracePeriodSeconds=20)),
    "a folder without a bound": ("volumes", lambda d: pod(d).update(volumes=[{"name": "temporary", "emptyDir": {}}])),
    "a port without a name": ("named-ports", lambda d: container(d)["ports"].append({"containerPort": 7000})),
    "nobody's identity": ("identity", lambda d: pod(d).pop("serviceAccountName")),
    "no priority": ("priority", lambda d: pod(d).pop("priorityClassName")),
    "a priority of the system": ("priority", lambda d: pod(d).update(priorityClassName="system-cluster-critical")),
    "other Services as settings": ("no-service-links", lambda d: pod(d).pop("enableServiceLinks")),
    "a pod that no NetworkPolicy knows": (
        "labels",
        lambda d: d["spec"]["template"]["metadata"]["labels"].pop("app.kubernetes.io/part-of"),
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_the_policy_refuses_in_words(case: str, api_server: Kubectl) -> None:
    rule, change = BROKEN[case]
    assert f"{rule}: " in refused(api_server, deployment(change))


@pytest.mark.parametrize("case", ["agentgateway:1.4.2", f"registry.example.com:5000/agentgateway@sha256:{'0' * 64}"])
def test_the_policy_accepts_a_version_or_a_digest(case: str, api_server: Kubectl) -> None:
    assert refused(api_server, deployment(image(case))) == ""


def test_an_exception_needs_a_written_reason_beside_the_object(api_server: Kubectl) -> None:
    def excused(reason: str) -> Manifest:
        def change(changed: Manifest) -> None:
            container(changed)["resources"]["limits"]["cpu"] = "2"
            changed["metadata"].setdefault("annotations", {})[f"{PREFIX}no-cpu-limit"] = reason

        return deployment(change)

    assert refused(api_server, excused("a licence counts processors, see its contract")) == ""
    assert "reason: " in refused(api_server, excused("because"))


def test_no_object_of_ours_makes_use_of_an_exception() -> None:
    named = [
        (name, manifest["metadata"]["name"], annotation)
        for name in OVERLAYS
        for manifest in overlay(name)
        for annotation in manifest["metadata"].get("annotations", {})
        if annotation.startswith(PREFIX)
    ]
    assert named == []


UNRESTRICTED: dict[str, tuple[str, Change]] = {
    "privileged": (
        "privileged",
        lambda s: s["containers"][0]["securityContext"].update(privileged=True, allowPrivilegeEscalation=True),
    ),
    "root": ("runAsNonRoot", lambda s: s["securityContext"].pop("runAsNonRoot")),
    "user 0": ("runAsUser", lambda s: s["securityContext"].update(runAsUser=0)),
    "escalation": (
        "allowPrivilegeEscalation",
        lambda s: s["containers"][0]["securityContext"].pop("allowPrivilegeEscalation"),
    ),
    "capabilities": ("capabilities", lambda s: s["containers"][0]["securityContext"].pop("capabilities")),
    "no seccomp profile": ("seccompProfile", lambda s: s["securityContext"].pop("seccompProfile")),
    "the host's network": ("host namespaces", lambda s: s.update(hostNetwork=True)),
    "the host's files": ("hostPath", lambda s: s.update(volumes=[{"name": "host", "hostPath": {"path": "/"}}])),
}


@pytest.mark.parametrize("case", UNRESTRICTED)
def test_a_pod_that_breaks_restricted_is_refused_by_admission(case: str, api_server: Kubectl) -> None:
    word, change = UNRESTRICTED[case]
    spec = copy.deepcopy(pod(deployment()))
    metadata = {"name": "agentgateway", "namespace": NAMESPACE}
    as_it_is: Manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    assert refused(api_server, as_it_is) == ""
    change(spec)
    answer = refused(api_server, as_it_is)
    assert 'violates PodSecurity "restricted' in answer
    assert word in answer


def review(account: str, **asked: str) -> Manifest:
    """A question to the API server, as `kubectl auth can-i` puts it."""
    attributes = {"nonResourceAttributes": asked} if "path" in asked else {"resourceAttributes": asked}
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{NAMESPACE}:{account}",
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}", "system:authenticated"],
            **attributes,
        },
    }


def answers(kubectl: Kubectl, reviews: list[Manifest]) -> list[bool]:
    items = json.dumps({"apiVersion": "v1", "kind": "List", "items": reviews})
    answered = yaml.safe_load_all(kubectl.run("create", "-f", "-", "-o", "yaml", stdin=items))
    return [bool(each["status"]["allowed"]) for each in answered]


def callers() -> set[str]:
    """The services that others let in by their tokens."""
    return {caller for settings in settings_of_pods().values() for caller in settings.get("allowed_callers", ())}


def test_each_service_gets_tokens_for_itself_and_for_nobody_else(api_server: Kubectl) -> None:
    pairs = [(asks, whose) for asks in ACCOUNTS for whose in ACCOUNTS]
    token = {"namespace": NAMESPACE, "verb": "create", "resource": "serviceaccounts", "subresource": "token"}
    allowed = answers(api_server, [review(asks, name=whose, **token) for asks, whose in pairs])
    assert {pair for pair, yes in zip(pairs, allowed, strict=True) if yes} == {(each, each) for each in callers()}


def test_a_services_token_names_it_and_its_one_receiver(api_server: Kubectl) -> None:
    for account in callers():
        user = f"--as=system:serviceaccount:{NAMESPACE}:{account}"
        token = api_server.run("create", "token", account, "--audience=mcp-finance", "--duration=10m", user)
        claims = jwt.get_unverified_claims(token)
        assert claims["sub"] == f"system:serviceaccount:{NAMESPACE}:{account}"
        assert claims["aud"] == ["mcp-finance"]
        assert claims["exp"] - claims["iat"] == 600
        other = next(each for each in ACCOUNTS if each != account)
        with pytest.raises(KubectlError, match="forbidden"):
            api_server.run("create", "token", other, "--audience=mcp-finance", user)


def test_who_may_read_departments_and_verify_tokens_and_nothing_more(api_server: Kubectl) -> None:
    department = {"namespace": NAMESPACE, "group": "fileprocessing.internal", "resource": "departments"}
    watches = [review(each, verb="watch", **department) for each in ACCOUNTS]
    readers = [account for account, yes in zip(ACCOUNTS, answers(api_server, watches), strict=True) if yes]
    followers = {name for name, settings in settings_of_pods().items() if "departments_dir" in settings}
    assert {*readers} == {*followers, "department-operator"}
    assert all(answers(api_server, [review(each, verb="get", path="/openid/v1/jwks") for each in ACCOUNTS]))
    forbidden = [
        review(each, namespace=NAMESPACE, verb=verb, resource=resource, subresource=subresource)
        for each in ACCOUNTS
        for verb, resource, subresource in (
            ("get", "secrets", ""),
            ("list", "secrets", ""),
            ("create", "pods", ""),
            ("create", "pods", "exec"),
            ("delete", "configmaps", ""),
            ("impersonate", "serviceaccounts", ""),
        )
    ]
    forbidden += [review(each, verb=verb, **department) for each in ACCOUNTS for verb in ("create", "update", "delete")]
    assert not any(answers(api_server, forbidden))
