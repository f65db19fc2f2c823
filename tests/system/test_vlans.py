"""The appliance on a trunk, with real kernels: one port, clients in one VLAN and nodes in another, also within a provider's tag.

    client eth0 ==== clients --+                                  appliance
                               +-- tagger -- trunk ==== client0   [gw-clients] 192.0.2.1
    switch uplink == nodes ----+                                  [gw-nodes]   10.0.2.1

The kernels of tests have no VLANs: the tagger (lab/tools/tagger.py) is the switch of access ports.
"""
import hashlib
import os
import pathlib
import re
import socket
import sys

import pytest

from conftest import STEM
from lab import Lab, fetch
from lab.appliance import ROOT
from lab.lab import unique_name
from lab.namespace import Namespace
from lab.servers import BIG_FILE_BYTES
from lab.topology import OFFLOADS_OFF
from lab.wait import eventually
from test_announcements import VIPS as ON_LINK, WRONG_MAC, believe, believed, expose, mac_of

TOOL = pathlib.Path(__file__).parent / "lab" / "tools" / "tagger.py"
PORTS = """ports = ( {
        name = "trunk"; interface = "client0"; driver = "auto";
        vlans = ( { id = 100; %(outer)s name = "clients"; mtu = %(mtu)s; addresses = [ "192.0.2.1/24", "2001:db8:1::1/64" ]; },
                  { id = 200; %(outer)s name = "nodes"; addresses = [ "10.0.2.1/24", "fd00:2::1/64" ]; } );
    } );"""


class Trunk:
    """The lab, with the appliance's two cables ending at a tagger, and one from there to the appliance."""

    def __init__(self, outer, mtu):
        """`mtu`: of the clients' VLAN."""
        self.outer = outer
        self.mtu = mtu
        self.lab = Lab(unique_name(f"{STEM}v"), os.environ.get("GUIDEWAY_BUILD", "build"), "af_packet", 2, huge_pages=0)
        self.namespace = Namespace(f"{self.lab.name}-tagger")
        self.tagger = None

    def __enter__(self):
        try:
            self._create()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _create(self):
        lab, topology = self.lab, self.lab.topology
        lab.create()
        self.namespace.create()
        for old, new in (("client0", "clients"), ("node0", "nodes")):
            topology.appliance.ip(f"link set {old} down", f"link set {old} netns {self.namespace.name} name {new}")
            self.namespace.ip(f"link set {new} up")
            self.namespace.run("ethtool", "-K", new, *OFFLOADS_OFF.split())
        topology._cable(topology.appliance, "client0", self.namespace, "trunk")
        self.namespace.ip(f"link set trunk mtu {self.mtu + 8}", f"link set clients mtu {self.mtu}")
        lab.client.ip(f"link set eth0 mtu {self.mtu}")
        self.namespace.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
        within = f"{self.outer}." if self.outer else ""
        self.tagger = lab.run("tagger", sys.executable, TOOL, "trunk", f"clients={within}100", f"nodes={within}200",
                              namespace=self.namespace)
        self.tagger.wait_until(lambda: "ready" in self.tagger.output(), 20, "the tagger listens")
        lab.appliance.write_config(huge_pages='"never"')
        text, found = re.subn(r"^    ports = \(.*?^    \);",
                              "    " + PORTS % {"outer": f"outer = {self.outer};" if self.outer else "", "mtu": self.mtu},
                              lab.appliance.config.read_text(), count=1, flags=re.M | re.S)
        assert found == 1
        lab.appliance.config.write_text(text)
        lab.appliance.start()
        for name in ("pool", "nodes", "web"):
            lab.appliance.cli("apply", "-f", ROOT / f"configs/demo/{name}.yaml")
        self.vips = lab.appliance.addresses("web")
        lab.appliance.wait_in_force()
        eventually(lambda: all(fetch(lab.client, vip, 80).status == 200 for vip in self.vips.values()), 20, "served")

    def __exit__(self, *_):
        self.lab.remove()
        self.namespace.delete()


@pytest.fixture(scope="module", params=[(None, 1500), (10, 1500), (10, 9000)], ids=["trunk", "qinq", "jumbo"])
def trunk(request):
    with Trunk(*request.param) as made:
        try:
            yield made
        finally:
            print(made.lab.logs())


def test_requests_come_by_one_vlan_and_go_by_the_other(trunk, family):
    for _ in range(10):
        assert fetch(trunk.lab.client, trunk.vips[family], 80).text.strip() in ("node1", "node2", "node3")


def test_ten_megabytes_in_full_segments(trunk, family):
    wanted = (trunk.lab.servers[0].www / "big").read_bytes()
    reply = fetch(trunk.lab.client, trunk.vips[family], 80, "/big", timeout=120)
    assert reply.status == 200 and len(reply.body) == BIG_FILE_BYTES
    assert hashlib.sha256(reply.body).digest() == hashlib.sha256(wanted).digest()


@pytest.mark.parametrize("size", ["56", "1400"])
def test_pings_reach_vip_and_the_appliances_own_address_of_the_vlan(trunk, family, size):
    lab = trunk.lab
    for namespace, address in ((lab.client, trunk.vips[family]), (lab.client, lab.site.client_side[family == 6]),
                               (lab.topology.nodes[0], lab.site.node_side[family == 6])):
        done = namespace.run("ping", "-c", "3", "-i", "0.1", "-W", "3", "-s", size, address, check=False)
        assert " 0% packet loss" in done.stdout, f"{address}: {done.stdout}"


def test_full_packets_pass(trunk, family):
    size = str(trunk.mtu - (28 if family == 4 else 48))
    done = trunk.lab.client.run("ping", "-M", "do", "-c", "3", "-i", "0.1", "-W", "3", "-s", size,
                                trunk.lab.site.client_side[family == 6], check=False)
    assert " 0% packet loss" in done.stdout, done.stdout


def test_a_closed_port_is_refused_through_the_tags(trunk, family):
    with pytest.raises(ConnectionRefusedError):
        fetch(trunk.lab.client, trunk.vips[family], 81)


def test_an_unknown_vlan_is_counted_by_name(trunk):
    """A broadcast with a tag that nobody configured, put on the trunk beside the tagger."""
    lab = trunk.lab

    def counted():
        return lab.appliance.metric("guideway_dataplane_dropped_packets_total", reason="vlan_unknown")
    before = counted()
    with trunk.namespace.entered():
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        wire.bind(("trunk", 0))
    with wire:
        wire.send(b"\xff" * 6 + bytes([2, 0, 0, 0, 0, 0x77]) + b"\x81\x00\x00\x07\x08\x06" + bytes(46))
    eventually(lambda: counted() > before, 20, "vlan_unknown is counted")


def test_frames_and_bytes_are_counted_by_vlan(trunk, family):
    lab = trunk.lab

    def counted(port, what, direction):
        return lab.appliance.metric(f"guideway_port_{what}_total", port=port, direction=direction)
    kinds = [(port, what, direction) for port in ("clients", "nodes") for what in ("packets", "bytes") for direction in ("rx", "tx")]
    before = {kind: counted(*kind) for kind in kinds}
    assert fetch(lab.client, trunk.vips[family], 80, "/big", timeout=120).status == 200
    eventually(lambda: all(counted(port, "bytes", way) - before[port, "bytes", way] >= BIG_FILE_BYTES
                           for port, way in (("nodes", "rx"), ("clients", "tx"))), 20, "the file's bytes are counted in both VLANs")
    assert all(counted(*kind) > before[kind] for kind in kinds)


def test_an_address_in_a_vlans_subnet_is_announced_in_that_vlan(trunk):
    """The tagger lets nothing through to the client but what has its VLAN's tags."""
    lab = trunk.lab
    appliance = lab.appliance
    appliance.put("/v1/address-pools/on-link", {"metadata": {"name": "on-link"},
                                                "spec": {"addresses": [f"{ON_LINK[4]}/32", f"{ON_LINK[6]}/128"], "autoAssign": False}})
    believe(lab, WRONG_MAC)
    expose(lab)
    ours = mac_of(lab.topology.appliance, "client0")
    eventually(lambda: believed(lab) == {4: ours, 6: ours}, 15, f"the client knows {ours} for both: {believed(lab)}")
    for vip in ON_LINK.values():
        assert fetch(lab.client, vip, 80).status == 200


def test_nothing_left_with_wrong_tags(trunk):
    """What the kernel says by the port's own twin, untagged, to all: it has IPv6, and looks for routers."""
    strays = {line for line in trunk.tagger.output().splitlines() if line.startswith("stray")}
    assert strays <= {"stray untagged multicast"}, trunk.tagger.output()
