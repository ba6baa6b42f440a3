"""The values of apps/platform are ones that the charts know, and lead to arguments that the programs know."""

import base64
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from tests.helpers.kustomize import ROOT

from local.kubernetes.controllers import load_balancer
from local.kubernetes.controllers.external_secrets import MODULE, NAME, NAMESPACE, arguments
from local.kubernetes.helm import application, render, values
from local.kubernetes.tools import ToolError, module_folder

pytestmark = pytest.mark.slow  # helm is built first

# 0.16.2 is what runs here; 1.3.2 is the newest whose chart can be had.
CHARTS = {"0.16": (MODULE, NAME), "1.3": (f"{MODULE}@v1.3.2", "")}
BOOLEAN = "True|False"
# Flags of cluster-autoscaler 1.35.0, the appVersion of chart 9.59.0: cluster-autoscaler/config/flags/flags.go.
AUTOSCALER_FLAGS = {
    "balance-similar-node-groups": BOOLEAN,
    "expander": "random|most-pods|least-waste|price|priority|grpc|least-nodes",
    "skip-nodes-with-local-storage": BOOLEAN,
    "skip-nodes-with-system-pods": BOOLEAN,
    "scale-down-unneeded-time": r"(\d+(h|m|s))+",
}


def chart(release: str) -> Path:
    return module_folder(*CHARTS[release]) / "deploy/charts" / NAME


def unknown(given: dict[str, Any], known: dict[str, Any], at: str = "") -> list[str]:
    """The paths of values that a chart's values.yaml does not have."""
    found = []
    for key, value in given.items():
        if key not in known:
            found.append(f"{at}{key}")
        elif isinstance(value, dict) and isinstance(known[key], dict) and known[key]:
            found += unknown(value, known[key], f"{at}{key}.")
    return found


@pytest.mark.parametrize("release", CHARTS)
def test_external_secrets_knows_each_of_our_values(release: str) -> None:
    known = yaml.safe_load((chart(release) / "values.yaml").read_text())
    assert unknown(values(NAME), known) == []


@pytest.mark.parametrize("release", CHARTS)
def test_external_secrets_watches_only_namespaced_stores(release: str) -> None:
    given = arguments(render(chart(release), NAME, NAMESPACE, values(NAME)))
    assert {each for each in given if each.endswith("=false")} == {
        "--enable-cluster-store-reconciler=false",
        "--enable-cluster-external-secret-reconciler=false",
        "--enable-cluster-push-secret-reconciler=false",
        "--enable-push-secret-reconciler=false",
    }


def test_external_secrets_has_the_account_that_pod_identity_names() -> None:
    [deployment] = [
        each
        for each in render(chart("1.3"), NAME, NAMESPACE, values(NAME))
        if each["kind"] == "Deployment" and each["metadata"]["name"] == NAME
    ]
    assert deployment["spec"]["template"]["spec"]["serviceAccountName"] == NAME


def test_a_chart_refuses_a_value_of_a_wrong_type() -> None:
    with pytest.raises(ToolError, match="replicaCount"):
        render(chart("1.3"), NAME, NAMESPACE, {**values(NAME), "replicaCount": "many"})


def test_keda_in_the_cluster_is_the_release_that_the_tests_run() -> None:
    required = re.search(r"github\.com/kedacore/keda/v2 v(\S+)", (ROOT / "tools/keda/go.mod").read_text())
    assert required is not None
    assert application("keda")["source"]["targetRevision"] == required[1]


def test_cluster_autoscaler_knows_each_of_our_flags() -> None:
    assert application("cluster-autoscaler")["source"]["targetRevision"] == "9.59.0"
    for flag, value in values("cluster-autoscaler")["extraArgs"].items():
        assert re.fullmatch(AUTOSCALER_FLAGS[flag], str(value)), flag


Rendered = list[dict[str, Any]]


@pytest.fixture(scope="module")
def renders() -> tuple[Rendered, Rendered]:
    """The load balancer controller's chart, rendered twice without a cluster, as Argo CD does it."""
    folder = module_folder(load_balancer.MODULE, load_balancer.NAME) / "helm" / load_balancer.NAME
    known = yaml.safe_load((folder / "values.yaml").read_text())
    given = values(load_balancer.NAME)
    assert unknown(given, known) == []
    first, second = (render(folder, load_balancer.NAME, load_balancer.NAMESPACE, given) for _ in range(2))
    return first, second


def identity(manifest: dict[str, Any]) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def leaves(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Each value with its path, as jq writes it."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from leaves(each, f"{at}.{key}")
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each, f"{at}[]")
    else:
        yield at, value


def ignored(kind: str, name: str, path: str) -> bool:
    """Whether Argo CD leaves that value out when it compares."""
    return any(
        rule["kind"] == kind
        and rule.get("name", name) == name
        and (
            path in rule.get("jqPathExpressions", ())
            or any(path.startswith(f"{each.replace('/', '.')}.") for each in rule.get("jsonPointers", ()))
        )
        for rule in application(load_balancer.NAME)["ignoreDifferences"]
    )


def trusts(objects: Sequence[dict[str, Any]]) -> bool:
    """Whether the API server, by the webhooks' authorities, accepts the certificate of the Secret."""
    [secret] = [each["data"] for each in objects if each["kind"] == "Secret"]
    certificate = x509.load_pem_x509_certificate(base64.b64decode(secret["tls.crt"]))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    clients = [hook["clientConfig"] for each in objects for hook in each.get("webhooks", ())]
    assert clients
    for client in clients:
        host = f"{client['service']['name']}.{client['service']['namespace']}.svc"
        assert host in names.get_values_for_type(x509.DNSName)
        try:
            certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(base64.b64decode(client["caBundle"])))
        except InvalidSignature:
            return False
    return True


def test_renders_of_the_load_balancer_controller_differ_only_where_argo_cd_does_not_compare(
    renders: tuple[Rendered, Rendered],
) -> None:
    """Else each render would start a sync, and so a new certificate."""
    first, second = renders
    differing = {
        (*identity(before), path)
        for before, after in zip(first, second, strict=True)
        for (path, value), (_, other) in zip(leaves(before), leaves(after), strict=True)
        if value != other
    }
    assert len(differing) == len({"ca.crt", "tls.crt", "tls.key"}) + len({"Mutating", "Validating"})
    assert [each for each in differing if not ignored(*each)] == []


def test_webhooks_trust_the_certificate_whichever_renders_were_synced(renders: tuple[Rendered, Rendered]) -> None:
    """A sync ends after any of the first render's objects; the retry applies the second render, as Argo CD's
    `normalizeTargetResources` does it (controller/sync.go)."""
    first, second = renders
    options = application(load_balancer.NAME)["syncPolicy"]["syncOptions"]
    assert "ApplyOutOfSyncOnly=true" not in options
    keeps_ignored = "RespectIgnoreDifferences=true" in options
    for applied in range(len(first) + 1):
        live = {identity(each): each for each in first[:applied]}
        for each in second:
            is_kept = (
                keeps_ignored
                and identity(each) in live
                and any(ignored(*identity(each), path) for path, _ in leaves(each))
            )
            live[identity(each)] = live[identity(each)] if is_kept else each
        assert trusts(list(live.values())), f"after {applied} objects of the first render"
    assert not trusts(
        [each for each in first if each["kind"] == "Secret"] + [each for each in second if "webhooks" in each]
    )
