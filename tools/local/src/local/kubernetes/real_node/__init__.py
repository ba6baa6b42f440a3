"""A real node beside the simulated ones: containerd, kubelet, kube-proxy and kube-router in namespaces of their own."""
