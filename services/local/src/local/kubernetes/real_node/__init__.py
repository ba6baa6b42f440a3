"""A real node beside the simulated ones: containerd, kubelet and kube-proxy in namespaces of their own."""
