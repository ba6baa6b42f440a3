"""A real API server on this machine."""

import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from local.kubernetes.control_plane import ControlPlane, ControlPlaneError, free_ports
from local.kubernetes.kubectl import Kubectl, KubectlError, NotYet, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(tmp_path_factory.mktemp("control-plane") / "state") as running:
        yield running


def test_no_port_is_given_twice_though_nobody_listens_on_it_yet() -> None:
    given = [port for _ in range(300) for port in free_ports(1)]
    assert len(set(given)) == len(given)


def a_config_map(name: str, **data: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data}


def test_objects_are_applied_changed_listed_and_deleted(control_plane: ControlPlane) -> None:
    kubectl = control_plane.kubectl
    kubectl.apply(a_config_map("one", a="1"), a_config_map("two", a="1"))
    kubectl.patch("configmap", "one", {"data": {"a": "2"}}, namespace="default")
    found = {each["metadata"]["name"]: each["data"] for each in kubectl.list("configmap", namespace="default")}
    assert (found["one"], found["two"]) == ({"a": "2"}, {"a": "1"})
    kubectl.delete("configmap", "one", "two", "never-was", namespace="default")
    assert kubectl.get("configmap", "one", namespace="default") is None


@pytest.mark.parametrize("kind", ["configmaps", "ConfigMap", "cm", "clusterroles.rbac.authorization.k8s.io", "ns,sa"])
def test_kubectl_lists_the_same_objects(control_plane: ControlPlane, kind: str) -> None:
    kubectl = control_plane.kubectl
    said = json.loads(kubectl.run("get", kind, "--all-namespaces", "-o", "json"))["items"]
    assert said
    assert kubectl.list(kind, namespace="*") == said


def test_a_read_that_fails_says_why(control_plane: ControlPlane) -> None:
    with pytest.raises(KubectlError, match="resource type 'departmints'"):
        control_plane.kubectl.get("departmints", "finance")
    with pytest.raises(KubectlError, match="unable to parse requirement"):
        control_plane.kubectl.list("pods", selector="a b")
    with pytest.raises(KubectlError, match=r"nowhere\.yaml is not a kubeconfig"):
        Kubectl(Path("nowhere.yaml")).list("pods")


def test_what_is_refused_is_said(control_plane: ControlPlane) -> None:
    with pytest.raises(KubectlError, match="must consist of lower case"):
        control_plane.kubectl.apply(a_config_map("Not A Name"), dry_run=True)
    with pytest.raises(NotYet, match="not in 0 s: a miracle"):
        wait_for(lambda: False, 0, "a miracle")


def test_a_killed_api_server_comes_back_with_what_it_knew(control_plane: ControlPlane) -> None:
    control_plane.kubectl.apply(a_config_map("kept"))
    control_plane.kill("kube-apiserver")
    with pytest.raises(KubectlError):
        control_plane.kubectl.list("namespaces")
    control_plane.start_again("kube-apiserver")
    control_plane.wait_until_ready()
    assert control_plane.kubectl.get("configmap", "kept", namespace="default")


def test_nothing_is_left_of_it(tmp_path: Path) -> None:
    with ControlPlane(tmp_path / "state") as running:
        etcd = running.process("etcd")
        assert etcd.is_running()
    assert not psutil.pid_exists(etcd.pid)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ControlPlaneError, match="no process etcd"):
        running.process("etcd")
