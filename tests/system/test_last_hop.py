"""Clients behind two firewalls (lab/routers.py): replies go back by the one that the client's packets came by, and by no other.

The firewalls pass what belongs to a connection that they saw. The routing table would send half of the replies by the other.
"""
import pytest

from conftest import STEM
from lab import ask_udp, fetch
from lab.held import HeldConnection
from lab.routers import PREFIXES, TwoRouters
from lab.wait import eventually


@pytest.fixture(scope="module")
def network():
    with TwoRouters(f"{STEM}h", "last_hop") as made:
        try:
            for router in (made.a, made.b):
                router.keep_state()
            yield made
        finally:
            print(made.lab.logs())


@pytest.fixture(params=["A", "B"])
def router(network, request):
    """Which the far client sends by."""
    chosen = network.a if request.param == "A" else network.b
    network.send_by(chosen)
    return chosen


def expect_replies_by(network, router, vip):
    by_a, by_b = network.replies(vip)
    assert (by_a, by_b) == ((40, 0) if router is network.a else (0, 40))


def test_replies_come_by_the_firewall_that_saw_the_request(network, family, router):
    vip = network.vips[family]
    expect_replies_by(network, router, vip)
    for _ in range(10):
        assert fetch(network.far, vip, 80).status == 200


def test_no_route_to_the_client_is_needed(network, family, router):
    appliance, prefix = network.lab.topology.appliance, PREFIXES[family == 6]
    ask_udp(network.far, network.vips[family], 53)
    appliance.ip(f"route del {prefix}")
    try:
        expect_replies_by(network, router, network.vips[family])
        assert fetch(network.far, network.vips[family], 80).status == 200
    finally:
        network.route()


def test_explain_tells_the_last_hop(network, family, router):
    ask_udp(network.far, network.vips[family], 53, source_port=24100 + family)
    shown = network.explained(family, 24100 + family)
    assert "the router that the client's last packet came by (last_hop)" in shown, shown
    assert f"leave by port client{0 if router is network.a else 1} to" in shown, shown


def test_a_connection_whose_router_changes_is_followed(network, family):
    vip = network.vips[family]
    network.send_by(network.a)
    with HeldConnection(network.far, vip, 80, timeout=20) as held:
        for router in (network.b, network.a, network.b):
            network.send_by(router)
            before = network.a.carried(), network.b.carried()
            held.ask()
            moved = network.a.carried() - before[0], network.b.carried() - before[1]
            assert (moved[0] > 0, moved[1] > 0) == (router is network.a, router is network.b), moved


def test_a_router_with_another_mac_address_is_followed(network, family):
    """Nobody told the appliance's kernel of it: it is learned from the client's packets."""
    vip, appliance, prefix = network.vips[family], network.lab.topology.appliance, PREFIXES[family == 6]
    network.send_by(network.b)
    with HeldConnection(network.far, vip, 80, timeout=30) as held:
        appliance.ip(f"route del {prefix}")
        try:
            network.second.ip("link set eth0 address 02:00:00:00:98:%02x" % family)
            held.ask()
            eventually(lambda: network.replies(vip) == (0, 40), 20, "all replies come by B")
        finally:
            network.route()


def test_changes_of_routes_leave_a_download_where_it_is(network, family):
    vip, appliance = network.vips[family], network.lab.topology.appliance
    network.send_by(network.b)
    with HeldConnection(network.far, vip, 80, timeout=20) as held:
        answer = held.begin("/big")
        other = ("198.18.0.0/24", "2001:db8:77::/64")[family == 6]
        before = network.a.carried()
        for _ in range(10):
            appliance.ip(f"route add {other} via {network.a.own[family == 6]}")
            assert len(answer.read(500_000)) == 500_000
            appliance.ip(f"route del {other}")
        answer.read()
        assert network.a.carried() == before
