"""A department is one file: pushed, it has its Application, its project, its server, and people who may look."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.helpers.documents import ROOT
from tests.helpers.gitops import ARGOCD, SERVICES, ArgoCD, WorkCopy

from local.kubernetes.cluster import Cluster
from local.kubernetes.kubectl import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

HOW_TO = ROOT / "docs/how-to/add-a-department.md"


def test_one_file_pushed_is_all_that_a_department_needs_and_nothing_stays_when_it_is_taken_away(
    cluster: Cluster, tmp_path: Path, report_figure: Callable[[str], None]
) -> None:
    kubectl, argocd = cluster.kubectl, ArgoCD(cluster.kubectl, cluster.argocd_url)
    cluster.wait_until_synced()
    (file,) = re.findall(r"<<'YAML'\n(.*?)^YAML$", HOW_TO.read_text(), re.MULTILINE | re.DOTALL)
    work = WorkCopy.clone(cluster.git_url, tmp_path / "clone")
    with work.until_reverted():
        (work.folder / "base/departments/treasury.yaml").write_text(file)
        assert work.git("status", "--porcelain", "--untracked-files=all").split() == [
            "??",
            "base/departments/treasury.yaml",
        ]
        revision = work.push("departments: add treasury")
        pushed = time.monotonic()
        argocd.wait_synced("department-treasury", revision, 120)
        wait_for(lambda: kubectl.get("deployment", "mcp-treasury", namespace=SERVICES), 60, "its server")
        report_figure(f"git push of a department to its server's Deployment: {time.monotonic() - pushed:.0f} s")
        readers = wait_for(
            lambda: kubectl.get("rolebinding", "mcp-treasury", namespace=SERVICES) or {}, 60, "who may look"
        )
        assert [each["name"] for each in readers["subjects"]] == ["treasury"]
        project = kubectl.get("appprojects.argoproj.io", "department-treasury", namespace=ARGOCD) or {}
        (role,) = project["spec"]["roles"]
        assert role["groups"] == ["treasury"]
        kinds = {each["kind"] for each in argocd.tree("department-treasury")}
        assert {"Department", "Deployment", "Role", "RoleBinding", "Service"} <= kinds
        argocd.wait(
            "department-finance", "is synced to it as well", lambda each: each["status"]["sync"]["revision"] == revision
        )
    # prod prunes nothing by itself: what the page says is typed, and nothing is left.
    wait_for(
        lambda: (
            argocd.application("department-treasury").get("status", {}).get("sync", {}).get("status") == "OutOfSync"
        ),
        120,
        "the Application shows that its file is gone",
    )
    kubectl.delete("department", "treasury", namespace=SERVICES)
    kubectl.delete("applications.argoproj.io", "department-treasury", "project-department-treasury", namespace=ARGOCD)
    kubectl.delete("appprojects.argoproj.io", "department-treasury", namespace=ARGOCD)
    made = "deployments,services,configmaps,serviceaccounts,networkpolicies,roles,rolebindings"
    label = "fileprocessing.internal/department=treasury"
    wait_for(lambda: not kubectl.list(made, selector=label, namespace=SERVICES), 120, "nothing is left of it")
    assert not kubectl.get("appprojects.argoproj.io", "department-treasury", namespace=ARGOCD)
