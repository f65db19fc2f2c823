"""What changes around a running appliance is followed without a restart, and connections live through it: neighbours with another MAC, links
down and up, the ports' addresses and MTU. And nodes are clients too.

Real kernels are the clients, the nodes and the judges. A connection is an echo over TCP: what it said comes back, or it is dead.
"""
import os
import socket

import pytest

from conftest import STEM, STREAM
from lab import Lab, connect, fetch, receive, spread_of
from lab.appliance import ROOT
from lab.lab import unique_name
from lab.wait import eventually

NODES = {"node1", "node2", "node3"}
PATIENCE = 60  # seconds: TCP sends again after ever longer pauses


@pytest.fixture(scope="module")
def net():
    with Lab(unique_name(f"{STEM}n"), os.environ.get("GUIDEWAY_BUILD", "build"), "af_packet", 2, huge_pages=0) as lab:
        lab.appliance.write_config(huge_pages='"never"')
        lab.appliance.start()
        for name in ("pool", "nodes", "web"):
            lab.appliance.cli("apply", "-f", ROOT / f"configs/demo/{name}.yaml")
        lab.appliance.put("/v1/load-balancers/default/stream", STREAM)
        lab.vips = lab.appliance.addresses("web")
        lab.stream_vips = lab.appliance.addresses("stream")
        lab.appliance.wait_in_force()
        yield lab


@pytest.fixture
def connections(net):
    """Twelve, of both families: at all three nodes, most likely, and at both workers."""
    opened = [connect(net.client, net.stream_vips[family], 7, PATIENCE) for family in (4, 6) for _ in range(6)]
    yield Connections(opened)
    for one in opened:
        one.close()


class Connections:
    def __init__(self, opened):
        self.opened = opened
        self.said = 0
        self.must_live()

    def say(self):
        """Each says something new; nobody waits for the answers."""
        self.said += 1
        for one in self.opened:
            one.sendall(self.word)

    def hear(self):
        for number, one in enumerate(self.opened):
            try:
                assert receive(one, len(self.word)) == self.word
            except OSError as error:
                raise AssertionError(f"connection {number} of {len(self.opened)} ended: {error}") from error

    def must_live(self):
        self.say()
        self.hear()

    @property
    def word(self):
        return b"word %6d" % self.said


def set_mac(namespace, interface, mac, announced):
    """As by a new network card or a router that takes over; `announced`: with a gratuitous ARP and an unsolicited advertisement."""
    namespace.sysctl(f"net.ipv4.conf.{interface}.arp_notify", int(announced))
    namespace.sysctl(f"net.ipv6.conf.{interface}.ndisc_notify", int(announced))
    namespace.ip(f"link set {interface} address {mac}")


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "silent"])
def test_nodes_with_other_macs_are_followed(net, connections, announced):
    """Silent ones are found by the kernel's probes of its neighbours."""
    for number, node in enumerate(net.topology.nodes):
        set_mac(node, "eth0", f"02:00:00:00:0{int(announced)}:1{number}", announced)
    connections.must_live()
    assert {fetch(net.client, net.vips[family], 80, timeout=PATIENCE).text.strip() for family in (4, 6) for _ in range(30)} == NODES


def test_a_client_s_router_with_another_mac_is_followed(net, connections):
    set_mac(net.client, "eth0", "02:00:00:00:02:10", announced=True)
    connections.must_live()


def test_a_cable_out_and_in_again_loses_no_connection(net, connections):
    """At the node side: the switch's end goes, then the port's own interface."""
    for namespace, interface in ((net.topology.switch, "uplink"), (net.topology.appliance, "node0")):
        namespace.ip(f"link set {interface} down")
        connections.say()
        namespace.ip(f"link set {interface} up")
        connections.hear()
    assert fetch(net.client, net.vips[4], 80, timeout=PATIENCE).status == 200


def test_a_port_s_addresses_may_change(net, connections):
    appliance, node = net.topology.appliance, net.topology.nodes[0]
    old, new = net.site.node_side, ("10.0.2.9", "fd00:2::9")
    try:
        appliance.ip(f"addr del {old[0]}/24 dev gw-node0", f"addr del {old[1]}/64 dev gw-node0",
                     f"addr add {new[0]}/24 dev gw-node0", f"addr add {new[1]}/64 dev gw-node0 nodad")
        connections.must_live()
        for address in new:
            assert node.run("ping", "-c", "1", "-W", "5", address).returncode == 0
        for family in (4, 6):
            assert fetch(net.client, net.vips[family], 80, timeout=PATIENCE).status == 200
    finally:
        appliance.ip(*(f"addr del {address} dev gw-node0" for address in (f"{new[0]}/24", f"{new[1]}/64")),
                     f"addr add {old[0]}/24 dev gw-node0", f"addr add {old[1]}/64 dev gw-node0 nodad")
    connections.must_live()


@pytest.mark.parametrize("family", [4, 6], ids=["v4", "v6"])
def test_a_port_s_mtu_may_change(net, connections, family):
    """Smaller: nodes are told, and send smaller segments, in the middle of a transfer too."""
    appliance = net.topology.appliance
    with connect(net.client, net.vips[family], 80, PATIENCE) as transfer:
        transfer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # so that it is not over at once
        transfer.sendall(b"GET /big HTTP/1.0\r\n\r\n")
        head = receive(transfer, 500_000)
        before = too_big(net)
        appliance.ip("link set gw-client0 mtu 1320")
        try:
            size = len(head)
            while part := transfer.recv(1 << 18):
                size += len(part)
            header = head.index(b"\r\n\r\n") + 4
            assert size == header + (net.servers[0].www / "big").stat().st_size
            eventually(lambda: too_big(net) > before, 10, "the nodes were told")
            connections.must_live()
        finally:
            appliance.ip("link set gw-client0 mtu 1500")
    connections.must_live()


def too_big(net):
    return net.appliance.metric("guideway_dataplane_icmp_errors_total", kind="packet_too_big", origin="made")


@pytest.mark.parametrize("family", [4, 6], ids=["v4", "v6"])
def test_a_node_is_a_client_of_its_own_service_too(net, family):
    """In and out by one port; some of its connections come back to itself, from the SNAT address."""
    node = net.topology.nodes[0]
    prefix = net.site.vip_ranges[family == 6]
    node.ip(f"route add {prefix} via {net.site.node_side[family == 6]}")
    try:
        counts = spread_of(fetch(node, net.vips[family], 80, timeout=PATIENCE).text.strip() for _ in range(60))
        assert set(counts) == NODES, counts
        seen = {fetch(node, net.vips[family], 80, "/source", timeout=PATIENCE).text.split()[1] for _ in range(10)}
        assert seen == {net.site.snat[family == 6]}
        assert node.run("ping", "-c", "1", "-W", "5", net.vips[family]).returncode == 0
    finally:
        node.ip(f"route del {prefix}")


def test_what_a_dead_link_swallows_is_counted(net, connections):
    """Nothing is silent: what cannot leave the port has a number."""
    def lost():
        return sum(float(line.rsplit(" ", 1)[1]) for line in net.appliance.metrics().splitlines()
                   if line.startswith(("guideway_port_errors", "guideway_dataplane_dropped_packets_total")))
    before = lost()
    net.topology.appliance.ip("link set node0 down")
    try:
        connections.say()
        eventually(lambda: lost() > before, 20, "a counter tells of what was lost")
    finally:
        net.topology.appliance.ip("link set node0 up")
    connections.hear()
