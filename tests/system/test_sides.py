"""Clients' and nodes' side kept apart, with real kernels: both networks are 10.0.2.0/24 and fd00:2::/64, and the client has node1's addresses.

    client eth0 ---- client0   appliance              node0 ---- switch ---- node1 .. node3
    10.0.2.11        [gw-client0] 10.0.2.201   [gw-node0] 10.0.2.1           10.0.2.11 .. 13
    198.18.9.10                   management 172.16.0.1                      10.7.0.11 (behind node1)

The appliance's kernel forwards (ip_forward), as one does on which somebody runs a routing daemon.
"""
import contextlib
import os
import re

import pytest

from conftest import STEM
from health_lab import NODES, QUICK, node_object, wait_verdict
from lab import HealthServer, Lab, eventually, fetch
from lab.appliance import ROOT
from lab.lab import unique_name

HEALTH_PORT = 10256
OWN_CLIENT_SIDE = ("10.0.2.201", "fd00:2::c9")
CLIENT_SIDE = f'addresses = [ "{OWN_CLIENT_SIDE[0]}/24", "{OWN_CLIENT_SIDE[1]}/64" ];'
NODE_SIDE = 'addresses = [ "10.0.2.1/24", "fd00:2::1/64" ];'
CLIENT_ROUTES = 'routes = ( { to = "198.18.9.0/24"; via = "10.0.2.11"; } );'
NODE_ROUTES = 'routes = ( { to = "10.7.0.0/24"; via = "10.0.2.11"; } );'


class Sides:
    def __init__(self, workers):
        self.lab = Lab(unique_name(f"{STEM}s"), os.environ.get("GUIDEWAY_BUILD", "build"), "af_packet", workers, huge_pages=0)

    def __enter__(self):
        try:
            self._create()
        except BaseException:
            print(self.lab.logs())
            self.lab.remove()
            raise
        return self

    def __exit__(self, *_):
        self.lab.remove()

    def _create(self):
        lab = self.lab
        lab.create()
        site, appliance, client = lab.site, lab.topology.appliance, lab.client
        for family in ("ipv4.ip_forward", "ipv6.conf.all.forwarding", "ipv6.conf.default.forwarding"):
            appliance.sysctl(f"net.{family}", 1)
        appliance.ip("addr add 172.16.0.1/32 dev lo")
        node4, node6 = site.node(1)
        client.ip(f"addr del {site.client[0]}/24 dev eth0", f"addr del {site.client[1]}/64 dev eth0",
                  f"addr add {node4}/24 dev eth0", f"addr add {node6}/64 dev eth0 nodad", "addr add 198.18.9.10/32 dev lo",
                  f"route replace {site.vip_ranges[0]} via {OWN_CLIENT_SIDE[0]}", f"route replace {site.vip_ranges[1]} via {OWN_CLIENT_SIDE[1]}",
                  f"route add 10.7.0.0/24 via {OWN_CLIENT_SIDE[0]}", f"route add 172.16.0.0/24 via {OWN_CLIENT_SIDE[0]}")
        self.node1.ip("addr add 10.7.0.11/32 dev lo", "route add 198.18.9.0/24 via 10.0.2.1", "route add 172.16.0.0/24 via 10.0.2.1",
                      f"route add {site.vip_ranges[0]} via 10.0.2.1")
        self.write_config()
        lab.appliance.start()
        for name in ("pool", "nodes", "web"):
            lab.appliance.cli("apply", "-f", ROOT / f"configs/demo/{name}.yaml")
        self.vips = lab.appliance.addresses("web")
        lab.appliance.wait_in_force()
        self.wait_served()

    @property
    def node1(self):
        return self.lab.topology.nodes[0]

    def write_config(self, apart=True, sides="", **changes):
        appliance = self.lab.appliance
        appliance.write_config(huge_pages='"never"', **{**QUICK, **changes})
        text = appliance.config.read_text()
        side = (lambda name: f'side = "{name}";') if apart else (lambda name: "")
        for old, new in (('addresses = [ "192.0.2.1/24", "2001:db8:1::1/64" ];', f"{CLIENT_SIDE} {CLIENT_ROUTES} {side('clients')}"),
                         (NODE_SIDE, f"{NODE_SIDE} {NODE_ROUTES} {side('nodes')}"),
                         ("# mark = 1002;", "mark = 1002;" if apart else "# mark"),
                         ("# sides: { clients_table = 1001; nodes_table = 1002; };", sides)):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        appliance.config.write_text(text)

    def wait_served(self):
        eventually(lambda: all(fetch(self.lab.client, vip, 80).status == 200 for vip in self.vips.values()), 30, "served")

    def restart_dataplane(self, kill=False):
        dataplane = self.lab.appliance.dataplane
        dataplane.kill() if kill else dataplane.stop()
        self.lab.appliance.start_dataplane()
        self.lab.appliance.wait_in_force(40)

    def astray(self):
        return self.lab.appliance.metric("guideway_dataplane_dropped_packets_total", reason="wrong_side")

    @contextlib.contextmanager
    def counted_astray(self):
        before = self.astray()
        yield
        eventually(lambda: self.astray() > before, 20, "it is counted as wrong_side")

    def way(self, destination, *how):
        """What the appliance's kernel would do with such a packet: the interface it leaves by, or None."""
        done = self.lab.topology.appliance.run("ip", "route", "get", destination, *how, check=False)
        found = re.search(r"\bdev (\S+)", done.stdout) if done.returncode == 0 else None
        return found[1] if found else None

    def rules(self):
        return [line for family in ("-4", "-6")
                for line in self.lab.topology.appliance.run("ip", family, "rule").stdout.splitlines() if re.match(r"710[01]:", line)]


@pytest.fixture(scope="module", params=[1, 2], ids=["one worker", "two workers"])
def sides(request):
    with Sides(request.param) as made:
        try:
            yield made
        finally:
            print(made.lab.logs())


def answers(namespace, address, *options):
    return namespace.run("ping", "-c", "1", "-W", "1", *options, address, check=False).returncode == 0


def test_a_client_with_a_nodes_address_is_served_by_all_nodes(sides, family):
    """Also by the node that has its own address."""
    client = sides.lab.client
    assert client.run("ip", "-o", "addr", "show", "eth0").stdout.count(sides.lab.site.node(1)[family == 6]) == 1
    eventually(lambda: {fetch(client, sides.vips[family], 80).text.strip() for _ in range(12)} == set(NODES), 20, "all nodes answer")


def test_the_appliances_own_addresses_answer_on_their_side(sides, family):
    assert answers(sides.lab.client, OWN_CLIENT_SIDE[family == 6], "-W", "3")
    assert answers(sides.node1, sides.lab.site.node_side[family == 6], "-W", "3")
    assert answers(sides.lab.client, sides.vips[family], "-W", "3")
    assert answers(sides.node1, sides.lab.site.snat[family == 6], "-W", "3")


def test_a_host_of_the_clients_reaches_no_node_by_the_appliances_kernel(sides):
    appliance = sides.lab.topology.appliance
    assert answers(appliance, "10.7.0.11", "-W", "3", "-m", "1002"), "the appliance itself does, by the nodes' routes"
    with sides.counted_astray():
        assert not answers(sides.lab.client, "10.7.0.11")
    with sides.counted_astray():
        assert not answers(sides.lab.client, "172.16.0.1"), "nor its management"


def test_a_node_reaches_no_client_by_the_appliances_kernel(sides):
    assert answers(sides.lab.topology.appliance, "198.18.9.10", "-W", "3", "-m", "1001")
    with sides.counted_astray():
        assert not answers(sides.node1, "198.18.9.10")
    with sides.counted_astray():
        assert not answers(sides.node1, "172.16.0.1")


def test_the_kernels_own_tables_are_apart(sides):
    """Beneath the dataplane, which lets no such packet through: what the kernel would do with one."""
    assert sides.way("10.7.0.11", "mark", "1002") == "gw-node0"
    for how in ((), ("mark", "1001"), ("from", OWN_CLIENT_SIDE[0]), ("oif", "gw-client0"), ("from", "10.0.2.11", "iif", "gw-client0")):
        # Bound to an interface and without a route: the kernel takes it for its neighbour there.
        assert sides.way("10.7.0.11", *how) == ("gw-client0" if "oif" in how else None), how
        assert sides.way("10.0.2.12", *how) in (None, "gw-client0"), how
    assert sides.way("198.18.9.10", "from", OWN_CLIENT_SIDE[0]) == "gw-client0"
    assert sides.way("198.18.9.10", "from", "10.0.2.12", "iif", "gw-node0") is None
    assert sides.way("fd00:2::c", "mark", "1001") == "gw-client0"
    assert sides.way("fd00:2::c", "mark", "1002") == "gw-node0"
    assert sides.way("fd00:2::c") is None, "without a word of a side there is no way"


def test_vips_are_not_there_for_nodes(sides):
    """Neither packets nor ARP: the node has the VIP's network behind the appliance, then on its link."""
    vip = sides.vips[4]
    with sides.counted_astray(), pytest.raises(TimeoutError):
        fetch(sides.node1, vip, 80, timeout=1)
    sides.node1.ip(f"route add {vip}/32 dev eth0")
    try:
        assert not answers(sides.node1, vip)
        state = sides.node1.run("ip", "neigh", "show", vip).stdout
        assert "lladdr" not in state, state
    finally:
        sides.node1.ip(f"route del {vip}/32 dev eth0")


def test_explain_tells_the_side(sides):
    text = sides.lab.appliance.cli("explain", "--protocol", "tcp", "--source", "10.0.2.11:20000", "--destination", f"{sides.vips[4]}:80")
    assert "It is on the clients' side" in text, text


def test_health_checks_go_to_nodes_not_to_clients(sides):
    """The client has node1's address and answers there; the nodes' side is asked."""
    appliance = sides.lab.appliance
    servers = [HealthServer(namespace, HEALTH_PORT) for namespace in (*sides.lab.topology.nodes, sides.lab.client)]
    with contextlib.ExitStack() as stack:
        for server in servers:
            stack.enter_context(server)
        try:
            for number in (1, 2, 3):
                appliance.put(f"/v1/nodes/node{number}", node_object(sides.lab, number, healthCheckPort=HEALTH_PORT))
            for name in NODES:
                wait_verdict(sides.lab, name, True, "Ok")
            assert servers[0].times_asked > 0 and servers[3].times_asked == 0
            assert {peer for server in servers[:3] for _, peer, _ in server.asked} == {"10.0.2.1"}
            servers[0].answers("status", 503)
            wait_verdict(sides.lab, "node1", False, "Status503")
        finally:
            for number in (1, 2, 3):
                appliance.put(f"/v1/nodes/node{number}", node_object(sides.lab, number))


def test_routes_to_pods_are_the_nodes_sides(sides):
    appliance, run = sides.lab.appliance, sides.lab.topology.appliance.run

    def in_table(table):
        return "10.244.1.0/24 via 10.0.2.11" in run("ip", "route", "show", "table", table).stdout
    try:
        appliance.put("/v1/nodes/node1", node_object(sides.lab, 1, podCidrs=["10.244.1.0/24"]))
        appliance.wait_in_force()
        assert in_table("1002") and not in_table("1001") and not in_table("main")
        assert sides.way("10.244.1.9", "mark", "1002") == "gw-node0" and sides.way("10.244.1.9", "mark", "1001") is None
    finally:
        appliance.put("/v1/nodes/node1", node_object(sides.lab, 1))
        appliance.wait_in_force()
    assert not in_table("1002")


@pytest.mark.parametrize("on", [1, 2], ids=["strict", "loose"])
def test_a_reverse_path_filter_of_the_kernel_finds_the_side(sides, on):
    """As distributions set it for all interfaces."""
    appliance = sides.lab.topology.appliance
    appliance.sysctl("net.ipv4.conf.all.rp_filter", on)
    try:
        assert answers(sides.lab.client, OWN_CLIENT_SIDE[0], "-W", "3")
        assert answers(sides.lab.client, OWN_CLIENT_SIDE[0], "-W", "3", "-I", "198.18.9.10"), "behind a router, for the appliance"
        assert answers(sides.node1, sides.lab.site.node_side[0], "-W", "3")
    finally:
        appliance.sysctl("net.ipv4.conf.all.rp_filter", 0)


@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
def test_a_restart_leaves_the_same_rules_and_routes(sides, killed):
    def kernel():
        run = sides.lab.topology.appliance.run
        return sorted(sides.rules()), [sorted(run("ip", family, "route", "show", "table", table).stdout.splitlines())
                                       for family in ("-4", "-6") for table in ("1001", "1002")]
    before = kernel()
    assert len(before[0]) == 2 * 2 * 2 * (2 + 1 + 1)  # sides, families, to the table and no further: two by twin, by address, by mark
    sides.restart_dataplane(kill=killed)
    sides.wait_served()
    assert kernel() == before
    with sides.counted_astray():
        assert not answers(sides.lab.client, "10.7.0.11")


def test_a_configuration_without_sides_takes_them_away_and_with_them_brings_them_back(sides):
    run = sides.lab.topology.appliance.run
    try:
        sides.write_config(apart=False)
        sides.restart_dataplane()
        assert sides.rules() == []
        for table in ("1001", "1002"):
            assert run("ip", "route", "show", "table", table, check=False).stdout == ""
        routes = run("ip", "route").stdout
        assert "10.0.2.0/24 dev gw-node0" in routes and "10.7.0.0/24 via 10.0.2.11 dev gw-node0" in routes
    finally:
        sides.write_config()
        sides.restart_dataplane()
    assert "gw-" not in run("ip", "route").stdout
    sides.wait_served()


def test_a_table_that_somebody_else_uses_is_refused_by_name(sides):
    appliance = sides.lab.topology.appliance
    appliance.ip("rule add from 198.51.100.0/24 lookup 2002")
    try:
        sides.write_config(sides="sides: { clients_table = 2001; nodes_table = 2002; };")
        sides.lab.appliance.dataplane.stop()
        dataplane = sides.lab.appliance.start_dataplane()
        eventually(lambda: not dataplane.running, 20, "it refuses")
        assert "dataplane.sides.nodes_table: found 2002, allowed a table of routes that nobody else uses" in dataplane.output()
    finally:
        appliance.ip("rule del from 198.51.100.0/24 lookup 2002")
        sides.write_config()
        sides.lab.appliance.start_dataplane()
        sides.lab.appliance.wait_in_force(40)
    sides.wait_served()
