"""What documents tell people to type at a cluster is typed at this one."""

import re
from pathlib import Path

import pytest
from tests.helpers.documents import blocks, clone, documents, run
from tests.helpers.gitops import SERVICES, ArgoCD, WorkCopy

from local.kubernetes.cluster import Cluster
from local.kubernetes.kubectl import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

QUICK_START = "docs/quick-start.md"
GIT = "http://127.0.0.1:8750/internal-file-processing-system.git"
ARGOCD_SERVER = "127.0.0.1:8751"
USE_IT = "PATH=$PWD/.local/cluster/bin:$PATH KUBECONFIG=$PWD/.local/cluster/kubeconfig.yaml"


def test_the_quick_starts_change_is_followed_and_its_department_comes_and_goes(
    cluster: Cluster, tmp_path: Path
) -> None:
    told = [document for document in documents() if any(block.place == "cluster" for block in blocks(document))]
    assert told == [QUICK_START]
    cluster.wait_until_synced()
    argocd = ArgoCD(cluster.kubectl, cluster.argocd_url)
    argocd.wait_healthy("agentgateway", 180)
    folder = clone(tmp_path / "repository")
    own = {
        GIT: cluster.git_url,
        USE_IT: f"PATH={cluster.commands}:$PATH KUBECONFIG={cluster.kubectl.kubeconfig}",
        ARGOCD_SERVER: cluster.argocd_url.removeprefix("http://"),
    }
    try:
        said = run("cluster", QUICK_START, folder, {}, own)
    finally:
        taken_back = take_back(WorkCopy(tmp_path / "change"))
    assert re.search(r"^> +image: .*/agentgateway:9\.9\.9$", said, re.MULTILINE), "Argo CD shows what was proposed"
    assert "successfully rolled out" in said
    assert "department.fileprocessing.internal/treasury condition met" in said
    gone = "what was made of the department is gone"
    wait_for(lambda: cluster.kubectl.get("deployment", "mcp-treasury", namespace=SERVICES) is None, 120, gone)
    argocd.wait_synced("agentgateway", taken_back)
    argocd.wait_healthy("agentgateway", 180)


def take_back(change: WorkCopy) -> str:
    """Revert the page's commit, for the tests that come after; returns the commit that does."""
    change.git("config", "user.name", "A developer")
    change.git("config", "user.email", "developer@example.com")
    change.git("revert", "--no-edit", "HEAD")
    change.git("push", "--quiet", "origin", "HEAD:main")
    return change.git("rev-parse", "HEAD")
