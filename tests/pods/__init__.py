"""The services as real pods on a real node: containerd, kubelet, kube-proxy, with production's manifests.

NetworkPolicies are applied, and nothing enforces them: none of the engines can be built from its Go module within the
time that these tests have. What they say is compared with what each service needs in tests/test_manifests_network.py.
"""
