"""The services as real pods on a real node: containerd, kubelet, kube-proxy, with production's manifests."""
