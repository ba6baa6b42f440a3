"""What the node's programs are configured with."""

import json
import shutil
from pathlib import Path
from typing import Any, Final

import yaml

from local.kubernetes.real_node import network

NAME: Final = "real"
PAUSE_IMAGE: Final = "localhost/pause:1"
SOCKET: Final = "/run/containerd/containerd.sock"
METRICS_PORT: Final = 1338
KUBELET_HEALTH_PORT: Final = 10248
PROXY_HEALTH_PORT: Final = 10256
POLICIES_HEALTH_PORT: Final = 20244
POLICIES_ACCOUNT: Final = "kube-router"
"""Which ServiceAccount enforces NetworkPolicies, as real_node/objects.py gives it its rights."""
ZONE_LABELS: Final = {
    "topology.kubernetes.io/region": "ap-southeast-1",
    "topology.kubernetes.io/zone": "ap-southeast-1a",
}
CONTAINERD: Final = """\
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
  address = "{socket}"

[metrics]
  address = "{node}:{metrics_port}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # Without CAP_SYS_RESOURCE nobody may make a process less likely to be killed.
  restrict_oom_score_adj = true

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{cni}"

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"""


def write_files(folder: Path, *, admin: Path, certificates: Path, plugins: Path, cgroup: str) -> None:
    """Write all files of the node.

    Args:
        folder: Where.
        admin: The administrator's kubeconfig, by the address that this machine has for the API server.
        certificates: The cluster's: `ca.crt`.
        plugins: The CNI plugins.
        cgroup: The root of the node's control groups.
    """
    (folder / "cni").mkdir()
    (folder / "cni" / "10-pods.conflist").write_text(json.dumps(_cni()))
    (folder / "resolv.conf").write_text("")
    (folder / "containerd.toml").write_text(
        CONTAINERD.format(
            socket=SOCKET,
            node=network.NODE,
            metrics_port=METRICS_PORT,
            pause=PAUSE_IMAGE,
            plugins=plugins,
            cni=folder / "cni",
        )
    )
    kubeconfig = yaml.safe_load(admin.read_text())
    kubeconfig["clusters"][0]["cluster"]["server"] = f"https://{network.API_SERVER}"
    (folder / "kubeconfig.yaml").write_text(yaml.safe_dump(kubeconfig))
    (folder / "kubeconfig.yaml").chmod(0o600)
    # It may do what it may do in a real cluster, where it has a token of this account.
    kubeconfig["users"][0]["user"]["as"] = f"system:serviceaccount:kube-system:{POLICIES_ACCOUNT}"
    (folder / "kube-router.kubeconfig.yaml").write_text(yaml.safe_dump(kubeconfig))
    (folder / "kube-router.kubeconfig.yaml").chmod(0o600)
    shutil.copyfile(certificates / "ca.crt", folder / "ca.crt")
    (folder / "kubelet.yaml").write_text(yaml.safe_dump(_kubelet(folder, cgroup)))
    (folder / "kube-proxy.yaml").write_text(yaml.safe_dump(_kube_proxy(folder)))


def _cni() -> dict[str, Any]:
    """Pods are routed, each by a link of its own, as on AWS: whatever one sends another passes the node's rules."""
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                "type": "ptp",
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": network.POD_CIDR}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "dataDir": "/run/cni",
                },
            }
        ],
    }


def _kubelet(folder: Path, cgroup: str) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": network.NODE,
        "authentication": {"x509": {"clientCAFile": str(folder / "ca.crt")}, "anonymous": {"enabled": False}},
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup,
        "clusterDNS": [network.DNS_SERVICE],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "healthzBindAddress": network.NODE,
        "healthzPort": KUBELET_HEALTH_PORT,
        # The disk is not the node's own, and what its images need cannot be fetched again.
        "evictionHard": {"memory.available": "100Mi"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "makeIPTablesUtilChains": False,
        "resolvConf": str(folder / "resolv.conf"),
        # A change of a ConfigMap is seen in seconds.
        "syncFrequency": "10s",
    }


def _kube_proxy(folder: Path) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(folder / "kubeconfig.yaml")},
        # Without a clusterCIDR, requests that come from outside keep their address, as the load balancer's do.
        "healthzBindAddress": f"{network.NODE}:{PROXY_HEALTH_PORT}",
        "metricsBindAddress": f"{network.NODE}:10249",
        "hostnameOverride": NAME,
        # The machine's limits are the machine's.
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
