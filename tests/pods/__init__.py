"""The services as real pods on a real node: containerd, kubelet, kube-proxy, kube-router, with production's manifests.

NetworkPolicies are enforced: what these tests do is done by the flows that the manifests name, and by no other.
"""
