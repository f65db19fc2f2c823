"""The namespaces and cables of the lab.

    client                    appliance                      switch            nodes
    eth0 ------------- client0         node0 ------------- uplink, br0 ------- eth0 (node1, node2, node3)
    192.0.2.10/24      [gw-client0]    [gw-node0]                              10.0.2.11-13/24
    2001:db8:1::10/64  192.0.2.1       10.0.2.1                                fd00:2::11-13/64

The dataplane takes client0 and node0 and makes their TAP twins gw-client0 and gw-node0, which carry the appliance's own
addresses. Cables are veth pairs of two queues, so that two workers have one each.
"""
import dataclasses
import pathlib
import subprocess

from .namespace import FOLDER, Namespace, run_ip

OFFLOADS_OFF = "tx off sg off tso off gso off gro off"
# What a veth does if nobody asks it not to, apart from segments larger than the MTU: checksums are left unfinished.
CHECKSUM_OFFLOAD_ON = "tx on sg off tso off gso off gro off"


@dataclasses.dataclass(frozen=True)
class Site:
    """The addresses of the lab, as configs/guideway.cfg and configs/demo have them."""
    client: tuple = ("192.0.2.10", "2001:db8:1::10")
    client_side: tuple = ("192.0.2.1", "2001:db8:1::1")
    node_side: tuple = ("10.0.2.1", "fd00:2::1")
    snat: tuple = ("10.0.2.100", "fd00:2::100")
    vip_ranges: tuple = ("203.0.113.0/24", "2001:db8:f::/64")

    def node(self, number):
        """(IPv4, IPv6) of node 1, 2, 3."""
        return f"10.0.2.{10 + number}", f"fd00:2::{10 + number}"


class Topology:
    def __init__(self, prefix, nodes=3, queues=2, peer_offloads=OFFLOADS_OFF):
        """`peer_offloads`: what `ethtool -K` sets on the ends of the cables that the appliance does not own."""
        self.prefix = prefix
        self.site = Site()
        self.queues = queues
        self.peer_offloads = peer_offloads
        self.client = Namespace(f"{prefix}-client")
        self.appliance = Namespace(f"{prefix}-appliance")
        self.switch = Namespace(f"{prefix}-switch")
        self.nodes = [Namespace(f"{prefix}-node{i + 1}") for i in range(nodes)]

    @property
    def namespaces(self):
        return [self.client, self.appliance, self.switch, *self.nodes]

    def create(self):
        for namespace in self.namespaces:
            namespace.create()
        site = self.site
        self._cable(self.appliance, "client0", self.client, "eth0")
        self._cable(self.appliance, "node0", self.switch, "uplink")
        self.client.ip(f"addr add {site.client[0]}/24 dev eth0", f"addr add {site.client[1]}/64 dev eth0 nodad",
                       f"route add {site.vip_ranges[0]} via {site.client_side[0]}",
                       f"route add {site.vip_ranges[1]} via {site.client_side[1]}")
        self.switch.ip("link add br0 type bridge", "link set br0 up", "link set uplink master br0")
        for name in ("arptables", "iptables", "ip6tables"):
            self.switch.sysctl(f"net.bridge.bridge-nf-call-{name}", 0)
        for number, node in enumerate(self.nodes, 1):
            self._cable(self.switch, f"port{number}", node, "eth0")
            self.switch.ip(f"link set port{number} master br0")
            v4, v6 = site.node(number)
            node.ip(f"addr add {v4}/24 dev eth0", f"addr add {v6}/64 dev eth0 nodad")
        return self

    def _cable(self, left, left_name, right, right_name):
        queues = f"numrxqueues {self.queues} numtxqueues {self.queues}"
        run_ip(f"link add {left_name} {queues} netns {left.name} type veth peer name {right_name} {queues} netns {right.name}")
        for namespace, name in ((left, left_name), (right, right_name)):
            namespace.ip(f"link set {name} up")
            offloads = OFFLOADS_OFF if namespace is self.appliance else self.peer_offloads
            namespace.run("ethtool", "-K", name, *offloads.split())

    def delete(self):
        for namespace in self.namespaces:
            namespace.delete()


def namespaces_with(prefix):
    """Names of the namespaces of a lab, also of one that a killed run left."""
    if not FOLDER.is_dir():
        return []
    return [Namespace(path.name) for path in sorted(FOLDER.iterdir()) if path.name.startswith(prefix + "-")]


def is_process_alive(pid):
    return pathlib.Path(f"/proc/{pid}").exists()


def kernel_modules():
    """Asks for the modules a lab needs; where they are built in, or it is not allowed, nothing happens."""
    for module in ("tun", "veth", "bridge"):
        subprocess.run(["modprobe", "-q", module], capture_output=True, check=False)
