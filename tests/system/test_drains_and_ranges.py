"""What an operator and a Service take away from connections: drains with a time-out, and source ranges (kubernetes-contract, rules 8, 11, 16).

How the dataplane decides is tests/packet/worker_drain_test.cc; here is what clients and the person on call see.
"""
import contextlib
import socket

import pytest

from health_lab import condition_of, events_of, node_object, nodes_of_new_connections
from kinds import AF_PACKET_2
from lab import ask_udp, connect, eventually, fetch, held_on
from lab.servers import HTTP, UDP_ECHO

pytestmark = pytest.mark.parametrize("lab", [AF_PACKET_2], indirect=True, ids=str)

OTHERS = {"node1", "node3"}


class UdpSocket:
    """One client socket: its datagrams are one flow."""

    def __init__(self, namespace, vip, port=53):
        self.socket = namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(2)
        self.socket.connect((vip, port))

    def node(self):
        self.socket.send(b"who")
        return self.socket.recv(2048).split()[0].decode()

    def close(self):
        self.socket.close()


def udp_on(lab, node, vip):
    def one():
        made = UdpSocket(lab.client, vip)
        if made.node() == node:
            return made
        made.close()
        return None
    return eventually(one, 20, f"a UDP flow goes to {node}")


@pytest.fixture
def undrained(lab):
    yield
    lab.appliance.put("/v1/nodes/node2", node_object(lab, 2))
    lab.appliance.wait_in_force()


def test_a_drain_with_a_time_out_lets_connections_go_on_and_ends_them_at_its_end(lab, undrained):
    appliance, vip = lab.appliance, lab.vips[4]
    ended = appliance.metric("guideway_dataplane_connections_ended_total")
    with held_on("node2", lab.client, vip, 80) as held, held_on("node2", lab.client, vip, 80) as transfer, \
            contextlib.closing(udp_on(lab, "node2", vip)) as datagrams:
        answer = transfer.begin("/big")
        answer.read(10_000)
        appliance.cli("drain", "node2", "--timeout", "1h")
        appliance.wait_in_force()
        assert nodes_of_new_connections(lab, vip) == OTHERS
        assert held.ask() == "node2" and datagrams.node() == "node2", "both answer: both go on"
        answer.read(10_000)
        described = appliance.cli("describe", "node", "node2")
        assert "Draining" in described and "for 60m at most" in described, described
        assert appliance.rest("GET", "/v1/nodes/node2")[1]["status"]["drainingSince"]
        # The time is changed on the way, and is over now.
        appliance.cli("drain", "node2", "--timeout", "1s")
        eventually(lambda: appliance.rest("GET", "/v1/nodes/node2")[1]["status"].get("drainEnded"), 20, "the drain ends")
        appliance.wait_in_force()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            eventually_cut(held)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            while answer.read(100_000):
                pass
            raise AssertionError("the transfer came to its end")
        assert eventually(lambda: datagrams.node(), 20, "UDP is answered") in OTHERS, "UDP was decided anew"
    assert any(event["reason"] == "DrainEnded" for event in events_of(lab, "node2"))
    assert "over" in condition_of(lab, "node2", "Ready")["message"]
    eventually(lambda: appliance.metric("guideway_dataplane_connections_ended_total", reason="backend_closed") > 0
               or appliance.metric("guideway_dataplane_connections_ended_total") >= ended + 2, 10, "ended connections are counted")
    appliance.cli("undrain", "node2")
    appliance.wait_in_force()
    eventually(lambda: "node2" in nodes_of_new_connections(lab, vip), 20, "node2 serves again")


def eventually_cut(held):
    """Asks until the connection is cut; what cut it is raised."""
    for _ in range(200):
        held.ask()
    raise AssertionError("the connection was not cut")


def test_a_drain_without_a_time_out_ends_nothing(lab, undrained):
    with held_on("node2", lab.client, lab.vips[4], 80) as held:
        lab.appliance.cli("drain", "node2")
        lab.appliance.wait_in_force()
        assert nodes_of_new_connections(lab, lab.vips[4]) == OTHERS
        assert all(held.ask() == "node2" for _ in range(50))
        node = lab.appliance.rest("GET", "/v1/nodes/node2")[1]
        assert not node["status"].get("drainEnded") and not node["spec"].get("drainTimeoutSeconds")


def ranged(lab, name, **spec):
    return lab.appliance.put(f"/v1/load-balancers/default/{name}?wait=20", {
        "metadata": {"namespace": "default", "name": name},
        "spec": {"ipFamilyPolicy": "RequireDualStack",
                 "ports": [{"name": "http", "protocol": "TCP", "port": 80, "nodePort": HTTP},
                           {"name": "dns", "protocol": "UDP", "port": 53, "nodePort": UDP_ECHO}], **spec}})


@pytest.mark.parametrize("end_established", [False, True], ids=["kept", "ended"])
def test_rule_11_source_ranges_close_and_open_with_a_connection_there(lab, end_established):
    appliance, client = lab.appliance, lab.site.client[0]
    option = {"sourceRangesEndEstablished": True} if end_established else {}
    name = "ranged-ended" if end_established else "ranged-kept"  # a name of its own: counters of the one before may be shown a moment longer
    ranged(lab, name)
    try:
        vips = appliance.addresses(name)
        vip = vips[4]
        with held_on("node2", lab.client, vip, 80) as held:
            ranged(lab, name, sourceRanges=["198.51.100.0/24"], **option)
            appliance.wait_in_force()
            dropped = appliance.metric("guideway_service_source_not_allowed_packets_total", service=name)
            with pytest.raises(TimeoutError):  # dropped, not answered
                connect(lab.client, vip, 80, timeout=0.5)
            with pytest.raises(TimeoutError):
                connect(lab.client, vips[6], 80, timeout=0.5)  # ranges of one family close the other
            eventually(lambda: appliance.metric("guideway_service_source_not_allowed_packets_total", service=name) > dropped + 1,
                       10, "drops are counted by service")
            assert appliance.metric("guideway_dataplane_dropped_packets_total", reason="source_not_allowed") > 0
            explained = appliance.cli("explain", "--protocol", "tcp", "--source", f"{client}:40000", "--destination", f"{vip}:80", status=None)
            assert name in explained and "range" in explained, explained
            if end_established:
                held.patience(1)
                with pytest.raises(TimeoutError):  # without a word: whoever is shut out is told nothing
                    held.ask()
                assert appliance.metric("guideway_dataplane_connections_ended_total", reason="source_ranges") >= 1
            else:
                assert all(held.ask() == "node2" for _ in range(50))
            ranged(lab, name, sourceRanges=["198.51.100.0/24", f"{client}/32"], **option)
            appliance.wait_in_force()
            assert fetch(lab.client, vip, 80).status == 200
            assert ask_udp(lab.client, vip, 53)
            if not end_established:
                assert held.ask() == "node2"
            explained = appliance.cli("explain", "--protocol", "tcp", "--source", f"{client}:40000", "--destination", f"{vip}:80")
            assert "node" in explained, explained
            ranged(lab, name)
            appliance.wait_in_force()
            assert fetch(lab.client, vips[6], 80).status == 200, "without ranges both families are open"
    finally:
        appliance.rest("DELETE", f"/v1/load-balancers/default/{name}?wait=20")
