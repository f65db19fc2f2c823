"""The lab with a real Kubernetes of three nodes behind the appliance.

    with ClusterLab("gw-k8s") as lab:
        lab.kubectl("apply", "-f", "-", stdin=yaml)
        lab.pods_ready("web", 3)

    what                          IPv4              IPv6
    control                       10.0.2.5          fd00:2::5
    node<n>                       10.0.2.1<n>       fd00:2::1<n>
    pods of node<n>               10.244.<n>.0/24   fd00:10:244:<n>::/64
    Services                      10.96.0.0/16      fd00:10:96::/112
"""
import contextlib
import json

from lab.lab import Lab
from lab.namespace import Namespace
from lab.process import Process
from lab.topology import namespaces_with
from lab.traffic import fetch
from lab.wait import eventually

from . import programs
from .api import path_of
from .control import Control

POD_NETWORKS = "10.244.0.0/16,fd00:10:244::/48"
KUBELET = programs.ROOT / "tests/system/kubernetes/tools/kubelet.py"

# What a CNI does for packets of pods that leave the cluster: the world sees the node's address.
MASQUERADE = """
table {family} lab-cni {{
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        {ip} saddr {pods} {ip} daddr != {pods} oifname "eth0" masquerade
    }}
}}
"""


def pod_networks(number):
    return f"10.244.{number}.0/24", f"fd00:10:244:{number}::/64"


class ClusterLab(Lab):
    """The nodes' own servers of the lab are not started: here pods serve."""

    def __init__(self, name, build="build", driver="af_packet", workers=1, keep=False, huge_pages=160):
        super().__init__(name, build, driver, workers, huge_pages, keep, servers=False)
        self.control_namespace = Namespace(f"{name}-control")
        self.control_address = ("10.0.2.5", "fd00:2::5")
        self.control = Control(self.control_namespace, self.control_address, self.folder / "kubernetes", keep)
        self.proxies = {}
        self.kubelet = self.controller = None

    @property
    def api(self):
        return self.control.api

    @property
    def kubectl(self):
        return self.control.kubectl

    def create(self):
        lacking = programs.missing()
        if lacking:
            raise RuntimeError("the cluster cannot be made; missing:\n  - " + "\n  - ".join(lacking))
        super().create()
        try:
            self.create_network()
            self.control.create().start()
            self.create_nodes()
            self.start_kubelet()
            self.control.account_ready()
            for number in range(1, 4):
                self.proxies[number].wait_until(lambda number=number: self.proxy_health(number) == 200, 60, "kube-proxy is in sync")
        except BaseException as trouble:
            with contextlib.suppress(Exception):
                trouble.args = (f"{trouble.args[0] if trouble.args else ''}\n{self.logs()}", *trouble.args[1:])
            self.remove()
            raise
        return self

    __enter__ = create

    def create_network(self):
        control, site = self.control_namespace, self.site
        control.create()
        self.topology._cable(self.topology.switch, "port0", control, "eth0")
        self.topology.switch.ip("link set port0 master br0")
        control.ip(f"addr add {self.control_address[0]}/24 dev eth0", f"addr add {self.control_address[1]}/64 dev eth0 nodad")
        for number, node in enumerate(self.topology.nodes, 1):
            for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
                node.sysctl(key, 1)
            routes = [f"route add {vips} via {gateway}" for vips, gateway in zip(site.vip_ranges, site.node_side)]
            for other in range(1, 4):
                if other != number:
                    routes += [f"route add {pods} via {host}" for pods, host in zip(pod_networks(other), site.node(other))]
            node.ip(*routes)
            all4, all6 = POD_NETWORKS.split(",")
            node.run("nft", "-f", "-", input=MASQUERADE.format(family="ip", ip="ip", pods=all4)
                     + MASQUERADE.format(family="ip6", ip="ip6", pods=all6))
        for namespace, hosts in ((control, [site.node(number) for number in range(1, 4)]),):
            namespace.ip(*(f"route add {pods} via {host}" for number, host in enumerate(hosts, 1)
                           for pods, host in zip(pod_networks(number), host)))

    # Nodes.

    def node_object(self, number, labels=None):
        return {"apiVersion": "v1", "kind": "Node",
                "metadata": {"name": f"node{number}", "labels": {"kubernetes.io/hostname": f"node{number}", **(labels or {})}},
                "spec": {"podCIDR": pod_networks(number)[0], "podCIDRs": list(pod_networks(number))}}

    def register_node(self, number, **options):
        """As its kubelet would: the object, its status, and the taint that a new node has until it is ready is taken off."""
        self.api.create(self.node_object(number, **options))
        path = path_of("Node", f"node{number}")
        addresses = [{"type": "InternalIP", "address": address} for address in self.site.node(number)]
        resources = {"cpu": "8", "memory": "16Gi", "pods": "110", "ephemeral-storage": "100Gi"}
        self.api.patch(path + "/status", {"status": {
            "addresses": [*addresses, {"type": "Hostname", "address": f"node{number}"}], "capacity": resources, "allocatable": resources,
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "the lab's kubelet is ready"}]}})
        self.api.patch(path, {"spec": {"taints": None}})

    def create_nodes(self):
        for number in range(1, 4):
            self.register_node(number)
            self.start_proxy(number)

    def start_proxy(self, number):
        name = f"node{number}"
        kubeconfig = self.control.authority.kubeconfig(f"kube-proxy-{name}", self.control.server, "system:kube-proxy",
                                                       ("system:node-proxier",))
        config = self.control.folder / f"kube-proxy-{name}.json"
        config.write_text(json.dumps({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": "nftables",
            "clientConnection": {"kubeconfig": str(kubeconfig), "qps": 100, "burst": 200}, "clusterCIDR": POD_NETWORKS,
            "hostnameOverride": name, "healthzBindAddress": "0.0.0.0:10256", "metricsBindAddress": "127.0.0.1:10249",
            # The kernel's table of connections belongs to the machine, not to a namespace.
            "conntrack": {"maxPerCore": 0, "min": 0}, "nftables": {"minSyncPeriod": "100ms", "syncPeriod": "30s"}}))
        self.proxies[number] = Process(f"kube-proxy-{name}", [programs.program("kube-proxy"), "--config", config, "--v", 1],
                                       self.control.folder, self.topology.nodes[number - 1], self.keep)

    def proxy_health(self, number):
        return fetch(self.topology.nodes[number - 1], "127.0.0.1", 10256, "/healthz", timeout=2).status

    def start_kubelet(self):
        nodes = [f"node{number}={','.join(pod_networks(number))}@{','.join(self.site.node(number))}" for number in range(1, 4)]
        self.kubelet = Process("kubelet", ["/usr/bin/python3", KUBELET, self.name, self.control.admin, *nodes], self.control.folder,
                               self.control_namespace, self.keep)
        self.kubelet.wait_until(lambda: "running" in self.kubelet.output(), 20, "the kubelets run")

    # Asking.

    def pods(self, app, namespace="default"):
        return self.api.list(f"/api/v1/namespaces/{namespace}/pods?labelSelector=app%3D{app}")

    def pods_ready(self, app, count, namespace="default", within=60.0):
        """The pods with this label, once exactly `count` are there and ready."""
        def ready():
            pods = self.pods(app, namespace)
            good = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp") and
                    any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", []))]
            return good if len(good) == len(pods) == count else None
        return eventually(ready, within, f"{count} pods of {app} are ready") if count else \
            eventually(lambda: not self.pods(app, namespace) and [()], within, f"no pod of {app} is left")

    def pod_namespace(self, pod):
        """The namespace of a running Pod object, found by its address."""
        address = pod["status"]["podIP"]
        for one in namespaces_with(f"{self.name}"):
            if "-pod" in one.name and f" {address}/" in one.run("ip", "-o", "-4", "addr", check=False).stdout:
                return one
        raise LookupError(f"no namespace has {address}")

    def remove(self):
        if not self._made:
            return
        if self.controller:
            self.controller.kill()
        if self.kubelet:
            self.kubelet.kill()
        for process in self.proxies.values():
            process.kill()
        self.control.remove()
        for namespace in namespaces_with(self.name):
            if "-pod" in namespace.name or namespace.name.endswith("-control"):
                namespace.delete()
        super().remove()
