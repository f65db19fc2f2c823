"""Clients behind two routers, each by a port of its own, with real kernels.

                   +-- router A (the lab's client)  192.0.2.10 --- client0 --+
    far client ----+                                                         +-- appliance -- nodes
    198.51.100.10  +-- router B                     192.0.3.10 --- client1 --+
    2001:db8:5::10

The far client sends by the router that a test says; the appliance's kernel has a way by each. The routers count what goes to the far client.
"""
import json
import os
import re

from .appliance import ROOT
from .lab import Lab, unique_name
from .namespace import Namespace, run_ip
from .topology import OFFLOADS_OFF
from .traffic import ask_udp, fetch
from .wait import eventually

FAR = ("198.51.100.10", "2001:db8:5::10")
PREFIXES = ("198.51.100.0/24", "2001:db8:5::/64")
SECOND_PORT = """        {
            name = "client1"; interface = "client1"; driver = "af_packet"; mtu = 1500; replies = "routes";
            addresses = [ "192.0.3.1/24", "2001:db8:3::1/64" ];
        },
        {
            name = "node0";
"""
COUNTING = """table inet counting {
    counter far { }
    chain through { type filter hook forward priority 0;
        ip daddr 198.51.100.10 counter name far
        ip6 daddr 2001:db8:5::10 counter name far
    }
}
"""
KEEPING = """table inet keeping {
    chain through { type filter hook forward priority 1;
        iifname "eth0" ct state != { established, related } drop
    }
}
"""


class Router:
    """Between the far client and one port of the appliance. `own`, `appliance`: (IPv4, IPv6) on the link they share."""

    def __init__(self, name, namespace, own, appliance):
        self.name, self.namespace, self.own, self.appliance = name, namespace, own, appliance

    def forward(self, far, vip_ranges, number):
        run_ip(f"link add below netns {self.namespace.name} type veth peer name up{number} netns {far.name}")
        ends = ((self.namespace, "below", (f"10.9.{number}.1", f"fd09:{number}::1")),
                (far, f"up{number}", (f"10.9.{number}.2", f"fd09:{number}::2")))
        for namespace, name, addresses in ends:
            namespace.ip(f"link set {name} up", f"addr add {addresses[0]}/24 dev {name}", f"addr add {addresses[1]}/64 dev {name} nodad")
            namespace.run("ethtool", "-K", name, *OFFLOADS_OFF.split())
        for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            self.namespace.sysctl(key, 1)
        loose(self.namespace, "below", "eth0")
        loose(far, f"up{number}")
        self.below, self.above = ends[0][2], ends[1][2]
        for which in (0, 1):
            self.namespace.ip(f"route replace {vip_ranges[which]} via {self.appliance[which]}",
                              f"route add {FAR[which]} via {self.above[which]}")
        self.namespace.run("nft", "-f", "-", input=COUNTING)

    def keep_state(self):
        """From now on a firewall: what comes from the appliance passes where it answers what went there by this router."""
        self.namespace.run("nft", "-f", "-", input=KEEPING)
        # A connection that comes back has gone on meanwhile: its windows are not where this firewall left them.
        self.namespace.sysctl("net.netfilter.nf_conntrack_tcp_be_liberal", 1)

    def carried(self):
        """Packets to the far client so far."""
        listed = json.loads(self.namespace.run("nft", "-j", "list", "counter", "inet", "counting", "far").stdout)
        return next(one["counter"]["packets"] for one in listed["nftables"] if "counter" in one)


def loose(namespace, *interfaces):
    """Packets come by one way and answers go by another."""
    for one in ("all", *interfaces):
        namespace.sysctl(f"net.ipv4.conf.{one}.rp_filter", 0)


class TwoRouters:
    """`replies`: of both ports."""

    def __init__(self, stem, replies="routes"):
        self.replies_go_by = replies
        self.lab = Lab(unique_name(stem), os.environ.get("GUIDEWAY_BUILD", "build"), "af_packet", 2, huge_pages=0)
        self.far = Namespace(f"{self.lab.name}-far")
        self.second = Namespace(f"{self.lab.name}-second")

    def __enter__(self):
        try:
            self._create()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _create(self):
        lab, site = self.lab, self.lab.site
        lab.create()
        self.far.create()
        self.second.create()
        lab.topology._cable(lab.topology.appliance, "client1", self.second, "eth0")
        self.second.ip("addr add 192.0.3.10/24 dev eth0", "addr add 2001:db8:3::10/64 dev eth0 nodad")
        self.a = Router("A", lab.client, site.client, site.client_side)
        self.b = Router("B", self.second, ("192.0.3.10", "2001:db8:3::10"), ("192.0.3.1", "2001:db8:3::1"))
        self.far.ip(*(f"addr add {address} dev lo" for address in FAR))
        for number, router in enumerate((self.a, self.b), 1):
            router.forward(self.far, site.vip_ranges, number)
        self.send_by(self.a)
        lab.appliance.write_config(huge_pages='"never"')
        self.configure()
        lab.appliance.start()
        self.route()
        for name in ("pool", "nodes", "web"):
            lab.appliance.cli("apply", "-f", ROOT / f"configs/demo/{name}.yaml")
        self.vips = lab.appliance.addresses("web")
        lab.appliance.wait_in_force()
        self.wait_served()

    def configure(self):
        """A third port: the second router's."""
        config = self.lab.appliance.config
        text, found = re.subn(r'^        \{\n +name = "node0";\n', lambda _: SECOND_PORT, config.read_text(), count=1, flags=re.M)
        assert found == 1
        config.write_text(text.replace('replies = "routes"', f'replies = "{self.replies_go_by}"'))

    def route(self):
        """The ways to the far client, and neighbours that are asked again soon: the kernel's own times are half a minute."""
        appliance = self.lab.topology.appliance
        for family, which in (("ipv4", 0), ("ipv6", 1)):
            for twin in ("gw-client0", "gw-client1"):
                for key, value in (("base_reachable_time_ms", 1000), ("delay_first_probe_time", 1), ("retrans_time_ms", 200),
                                   ("interval_probe_time_ms", 1000)):
                    appliance.sysctl(f"net.{family}.neigh.{twin}.{key}", value)
            appliance.ip(f"route replace {PREFIXES[which]} nexthop via {self.a.own[which]} nexthop via {self.b.own[which]}")

    def send_by(self, router):
        """What the far client sends goes to this router from now on."""
        for which, to in enumerate(self.lab.site.vip_ranges):
            self.far.ip(f"route replace {to} via {router.below[which]} src {FAR[which]}")

    def wait_served(self):
        eventually(lambda: all(fetch(self.far, vip, 80, timeout=2).status == 200 for vip in self.vips.values()), 30,
                   "the far client is served")

    def replies(self, vip, questions=40):
        """(by A, by B): packets of so many UDP answers."""
        before = self.a.carried(), self.b.carried()
        for _ in range(questions):
            ask_udp(self.far, vip, 53, timeout=5)
        return self.a.carried() - before[0], self.b.carried() - before[1]

    def wait_for_both(self):
        eventually(lambda: all(min(self.replies(vip)) > 0 for vip in self.vips.values()), 40, "both routers carry replies")

    def explained(self, family, port):
        source, to = (f"[{FAR[1]}]:{port}", f"[{self.vips[6]}]:53") if family == 6 else (f"{FAR[0]}:{port}", f"{self.vips[4]}:53")
        return self.lab.appliance.cli("explain", "--protocol", "udp", "--source", source, "--destination", to)

    def __exit__(self, *_):
        self.lab.remove()
        self.far.delete()
        self.second.delete()
