"""VIPs of some ports alone: an address in the nodes' own subnet that is bound to the clients' port. Real kernels ask for it on both sides."""
import pytest

from kinds import AF_PACKET_2
from lab import CommandFailed, connect, fetch
from lab.wait import eventually

pytestmark = pytest.mark.parametrize("lab", [AF_PACKET_2], indirect=True)

VIPS = {4: "10.0.2.210", 6: "fd00:2::210"}


def pool(lab, *ports):
    lab.appliance.put("/v1/address-pools/bound", {
        "metadata": {"name": "bound"}, "spec": {"addresses": [f"{VIPS[4]}/32", f"{VIPS[6]}/128"], "autoAssign": False, "ports": list(ports)}})
    lab.appliance.wait_in_force()


@pytest.fixture
def bound(lab):
    """On client0, and a client that is routed to them."""
    appliance, site = lab.appliance, lab.site
    pool(lab, "client0")
    appliance.put("/v1/load-balancers/default/bound", {
        "metadata": {"namespace": "default", "name": "bound"},
        "spec": {"ipFamilyPolicy": "RequireDualStack", "addressPool": "bound",
                 "ports": [{"name": "http", "protocol": "TCP", "port": 80, "nodePort": 30080}]}})
    appliance.wait_in_force()
    lab.client.ip(f"route add {VIPS[4]}/32 via {site.client_side[0]}", f"route add {VIPS[6]}/128 via {site.client_side[1]}")
    yield
    lab.client.ip(f"route del {VIPS[4]}/32", f"route del {VIPS[6]}/128")
    appliance.rest("DELETE", "/v1/load-balancers/default/bound")
    eventually(lambda: appliance.rest("DELETE", "/v1/address-pools/bound")[0] in (200, 204, 404), 10, "the pool is gone")
    for node in lab.topology.nodes:
        node.run("ip", "neigh", "flush", "dev", "eth0", check=False)


def answers(namespace, vip):
    return namespace.run("ping", "-c", "1", "-W", "1", vip, check=False).returncode == 0


def not_on_port(lab):
    return lab.appliance.metric("guideway_dataplane_dropped_packets_total", reason="vip_not_on_port")


def test_an_address_is_served_on_its_port_and_unknown_on_the_other(lab, bound):
    node = lab.topology.nodes[2]
    for vip in VIPS.values():
        assert fetch(lab.client, vip, 80).status == 200
        assert answers(lab.client, vip)
        assert not answers(node, vip), "nobody tells node3 where it is"
    asked = node.run("arping", "-c", "2", "-w", "3", "-I", "eth0", VIPS[4], check=False).stdout
    assert "Received 0 response" in asked, asked
    assert lab.client.run("arping", "-c", "1", "-w", "5", "-I", "eth0", VIPS[4], check=False).returncode == 0


def test_what_comes_by_another_port_is_dropped_by_name_and_known_connections_are_not_asked(lab, bound):
    node, site = lab.topology.nodes[2], lab.site
    before = not_on_port(lab)
    node.ip(f"route add {VIPS[4]}/32 via {site.node_side[0]}", f"route add {VIPS[6]}/128 via {site.node_side[1]}")
    try:
        for vip in VIPS.values():
            assert not answers(node, vip)
            with pytest.raises(TimeoutError):
                connect(node, vip, 80, timeout=1.0)
        eventually(lambda: not_on_port(lab) >= before + 4, 10, "two pings and two SYN, at least")
        # Bound to the other port the connection that is there stays, and new ones come by the nodes' side.
        with connect(lab.client, VIPS[4], 80) as stream:
            pool(lab, "node0")
            stream.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert stream.recv(100).startswith(b"HTTP/1.1 200")
        assert fetch(node, VIPS[4], 80).status == 200
        with pytest.raises(TimeoutError):
            connect(lab.client, VIPS[4], 80, timeout=1.0)
    finally:
        node.ip(f"route del {VIPS[4]}/32", f"route del {VIPS[6]}/128")


def test_a_port_that_is_not_there_is_refused_by_its_name(lab, bound):
    with pytest.raises(CommandFailed, match='/spec/ports/1.*found "nod0", allowed the dataplane\'s ports: "client0", "node0"'):
        lab.appliance.cli("apply", "-f", "-", input=f"""
kind: AddressPool
metadata: {{name: bound}}
spec: {{addresses: ["{VIPS[4]}/32", "{VIPS[6]}/128"], autoAssign: false, ports: [client0, nod0]}}
""")
    assert "client0 alone" in lab.appliance.cli("describe", "address-pool", "bound")
    explained = lab.appliance.cli("explain", "--source", "192.0.2.10:20000", "--destination", f"{VIPS[4]}:80")
    assert "takes new connections by client0 alone" in explained
