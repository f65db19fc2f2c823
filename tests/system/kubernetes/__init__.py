"""A real Kubernetes in network namespaces, beside the lab's appliance, client and nodes.

    control                    kube-apiserver, kube-controller-manager, etcd: 10.0.2.5, fd00:2::5, on the nodes' network
    node1 .. node3             kube-proxy (nftables) each, its own NodePorts, :10256/healthz, pod network 10.244.<n>.0/24
    pod<k>                     one for each pod: a cable to its node, a real server in it

What would be the kubelets and the scheduler is tools/kubelet.py; endpoint slices, Deployments, NodePorts and health checks are Kubernetes' own.
The programs come from tests/install-kubernetes (build/kubernetes, or the folder that GUIDEWAY_KUBERNETES names). See cluster.py.
"""
