"""The values of apps/platform are ones that the charts know, and lead to arguments that the programs know."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.helpers.kustomize import ROOT

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
