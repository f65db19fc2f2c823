"""Clients behind two routers (lab/routers.py): replies go by the kernel's routing table, which has a way by each."""
import pytest

from conftest import STEM
from lab import ask_udp
from lab.held import HeldConnection
from lab.routers import PREFIXES, TwoRouters
from lab.wait import eventually


@pytest.fixture(scope="module")
def network():
    with TwoRouters(f"{STEM}r") as made:
        try:
            yield made
        finally:
            print(made.lab.logs())


def test_replies_use_both_routers_whichever_the_client_came_by(network, family):
    by_a, by_b = network.replies(network.vips[family], 60)
    assert by_a + by_b == 60 and min(by_a, by_b) >= 10, f"{by_a} by A, {by_b} by B"


def test_explain_names_the_router(network, family):
    network.wait_for_both()
    ask_udp(network.far, network.vips[family], 53, source_port=24000 + family)
    shown = network.explained(family, 24000 + family)
    assert "one of 2 that serve, by the hash of the connection" in shown, shown


def test_a_routers_cable_is_pulled_and_plugged(network, family):
    vip = network.vips[family]
    network.wait_for_both()
    with HeldConnection(network.far, vip, 80, timeout=20) as held:
        network.second.ip("link set eth0 down")
        eventually(lambda: network.replies(vip)[1] == 0, 20, "all replies come by A")
        held.ask()
    network.second.ip("link set eth0 up")
    # What the kernel takes away with the link.
    network.second.ip("addr replace 2001:db8:3::10/64 dev eth0 nodad", "route replace 203.0.113.0/24 via 192.0.3.1",
                      "route replace 2001:db8:f::/64 via 2001:db8:3::1")
    network.wait_for_both()


def test_a_router_that_answers_nobody_is_left_when_the_kernel_knows(network, family):
    vip = network.vips[family]
    network.wait_for_both()
    with HeldConnection(network.far, vip, 80, timeout=30) as one, HeldConnection(network.far, vip, 80, timeout=30) as other:
        network.second.ip("link set eth0 arp off")
        try:
            eventually(lambda: network.replies(vip)[1] == 0, 40, "all replies come by A")
            one.ask()
            other.ask()
        finally:
            network.second.ip("link set eth0 arp on")
    network.wait_for_both()


def test_a_router_with_another_mac_address_is_followed(network, family):
    vip = network.vips[family]
    network.wait_for_both()
    network.second.ip("link set eth0 address 02:00:00:00:99:%02x" % family)
    network.wait_for_both()
    assert sum(network.replies(vip, 60)) == 60


def test_a_route_that_loses_a_way_is_followed(network, family):
    which = family == 6
    appliance, prefix = network.lab.topology.appliance, PREFIXES[which]
    network.wait_for_both()
    appliance.ip(f"route replace {prefix} via {network.b.own[which]}")
    eventually(lambda: network.replies(network.vips[family])[0] == 0, 20, "all replies come by B")
    appliance.ip(f"route replace {prefix} nexthop via {network.a.own[which]} nexthop via {network.b.own[which]}")
    network.wait_for_both()


@pytest.mark.parametrize("compat", [1, 0], ids=["ids-and-ways", "ids-alone"])
def test_next_hop_objects(network, family, compat):
    """As FRR has its routes; `compat`: whether the kernel tells the ways beside the object's number."""
    which = family == 6
    appliance, vip, prefix = network.lab.topology.appliance, network.vips[family], PREFIXES[which]
    network.wait_for_both()
    appliance.sysctl("net.ipv4.nexthop_compat_mode", compat)
    try:
        appliance.ip(f"nexthop add id 1 via {network.a.own[which]} dev gw-client0", f"nexthop add id 2 via {network.b.own[which]} dev gw-client1",
                     "nexthop add id 10 group 1/2", f"route del {prefix}", f"route add {prefix} nhid 10")
        network.wait_for_both()
        appliance.ip("nexthop del id 2")
        eventually(lambda: network.replies(vip)[1] == 0, 20, "all replies come by A")
    finally:
        appliance.sysctl("net.ipv4.nexthop_compat_mode", 1)
        appliance.run("ip", "nexthop", "flush", check=False)
        network.route()
    network.wait_for_both()
