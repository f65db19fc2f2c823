"""Health checks, from outside: a node that fails its check gets no new connections and loses no old ones (kubernetes-contract, rule 9).

The nodes' healthz are real HTTP servers in the nodes' namespaces; who gets a connection is seen by who answers it.
"""
import contextlib
import json
import pathlib

import pytest

from health_lab import (NODES, PORT, checked, condition_of, events_of, health_of, node_object, nodes_of_new_connections,
                        restart_controlplane, wait_verdict)
from kinds import AF_PACKET_2
from lab import HealthServer, RequestLoad, ask_udp, connect, eventually, fetch, held_on
from lab.servers import BIG_FILE_BYTES

pytestmark = pytest.mark.parametrize("lab", [AF_PACKET_2], indirect=True, ids=str)

LOCAL_PORT = 31000  # a healthCheckNodePort
OTHERS = {"node1", "node3"}


@contextlib.contextmanager
def blackholed(lab, number):
    """The node's answers to the prober vanish; those to clients do not."""
    node = lab.topology.nodes[number - 1]
    node.ip(f"route add blackhole {lab.site.node_side[0]}/32")
    try:
        yield
    finally:
        node.ip(f"route del blackhole {lab.site.node_side[0]}/32")


@pytest.mark.parametrize("way, reason", [("status", "Status503"), ("refused", "Refused"), ("silent", "Timeout"), ("slow", "Timeout"),
                                         ("garbage", "BadAnswer"), ("blackholed", "Timeout")])
def test_rule_9_a_failing_node_gets_nothing_new_and_loses_nothing_old(lab, way, reason):
    vip = lab.vips[4]
    with checked(lab) as servers, held_on("node2", lab.client, vip, 80) as idle, held_on("node2", lab.client, vip, 80) as busy:
        transfer = busy.begin("/big")  # 10 MB that stand still when the buffers are full
        received = transfer.read(100_000)
        with blackholed(lab, 2) if way == "blackholed" else contextlib.nullcontext():
            if way != "blackholed":
                servers["node2"].answers(way, 503)
            found = wait_verdict(lab, "node2", False, reason)
            assert found["port"] == PORT and found["message"]
            assert nodes_of_new_connections(lab, vip) == OTHERS
            assert nodes_of_new_connections(lab, lab.vips[6]) == OTHERS
            assert {ask_udp(lab.client, vip, 53).split()[0].decode() for _ in range(20)} == OTHERS
            assert idle.ask() == "node2"
            received += transfer.read(BIG_FILE_BYTES // 2)
        servers["node2"].answers("status", 200)
        wait_verdict(lab, "node2", True, "Ok")
        eventually(lambda: "node2" in nodes_of_new_connections(lab, vip), 20, "node2 gets new connections again")
        received += transfer.read()
        assert received == (lab.servers[1].www / "big").read_bytes()
        assert idle.ask() == "node2"


def test_a_failing_node_is_seen_in_the_api_the_command_events_and_metrics(lab):
    appliance = lab.appliance
    with checked(lab) as servers:
        assert appliance.metric("guideway_node_healthy", node="node2") == 1
        ok = appliance.metric("guideway_health_probes_total", result="ok")
        servers["node2"].answers("status", 503)
        found = wait_verdict(lab, "node2", False, "Status503")
        since = found["since"]
        assert "503" in found["message"] and since
        healthy, ready = condition_of(lab, "node2", "Healthy"), condition_of(lab, "node2", "Ready")
        assert healthy["status"] == "False" and healthy["reason"] == "Status503", healthy
        assert ready["status"] == "False" and ready["reason"] == "Unhealthy", ready
        assert appliance.metric("guideway_node_healthy", node="node2") == 0
        assert appliance.metric("guideway_node_healthy") == 2, "the two others are well"
        eventually(lambda: appliance.metric("guideway_health_probes_total", result="ok") > ok
                   and appliance.metric("guideway_health_probes_total", result="status") > 1, 20, "probes are counted by result")
        told = [event for event in events_of(lab, "node2") if event["reason"] == "NodeUnhealthy"]
        assert told and "503" in told[-1]["message"], events_of(lab, "node2")
        line = next(line for line in appliance.cli("get", "nodes").splitlines() if line.startswith("node2"))
        assert "nhealthy" in line or "503" in line, line
        described = appliance.cli("describe", "node", "node2")
        assert "Status503" in described and str(PORT) in described, described
        servers["node2"].answers("status", 200)
        assert wait_verdict(lab, "node2", True, "Ok")["since"] >= since
        eventually(lambda: any(event["reason"] == "NodeHealthy" for event in events_of(lab, "node2")), 10, "that it is well is told")


def test_rule_9_one_failure_alone_turns_nothing(lab):
    """Each second answer is 503: never two in a row. Not one new state goes to the dataplane."""
    with checked(lab) as servers:
        generation, asked = lab.appliance.generation, servers["node2"].times_asked
        servers["node2"].script = lambda number: 503 if number % 2 else 200
        eventually(lambda: servers["node2"].times_asked > asked + 12, 30, "it was asked a dozen times")
        assert lab.appliance.generation == generation
        assert condition_of(lab, "node2", "Healthy")["status"] == "True"


def test_a_node_that_flaps_fills_neither_the_events_nor_the_dataplane(lab):
    """Two failures, one success, and so on: it turns with each. The states are at most the turns; the events have a brake."""
    with checked(lab) as servers, RequestLoad(lab.client, lab.vips[4], 80, pause=0.01) as load:
        generation, asked = lab.appliance.generation, servers["node2"].times_asked
        already = told_turns(lab)
        servers["node2"].script = lambda number: 200 if number % 3 == 0 else 503
        eventually(lambda: servers["node2"].times_asked > asked + 30, 60, "it turned about twenty times")
        probes = servers["node2"].times_asked - asked
        assert 2 <= lab.appliance.generation - generation <= probes, "not more states than probes"
        assert 2 <= told_turns(lab) - already <= 8, "six at once and one a minute (controlplane/health/brake.h)"
        servers["node2"].answers("status", 200)
        wait_verdict(lab, "node2", True, "Ok")
    assert not load.failures, load.report()


def told_turns(lab):
    return sum(event.get("count", 1) for event in events_of(lab, "node2") if event["reason"] in ("NodeHealthy", "NodeUnhealthy"))


@pytest.mark.parametrize("option", ["all", "none"])
def test_rule_9_10_where_all_nodes_fail_all_serve_or_clients_are_refused(lab, option):
    vip = lab.vips[4]
    with checked(lab, all_failing=f'"{option}"') as servers, held_on("node2", lab.client, vip, 80) as held:
        for name in NODES:
            servers[name].answers("status", 503)
        for name in NODES:
            wait_verdict(lab, name, False, "Status503")
        if option == "all":
            assert nodes_of_new_connections(lab, vip, count=60) == set(NODES)
        else:
            for address in lab.vips.values():
                with pytest.raises(ConnectionRefusedError):  # and not a timeout
                    connect(lab.client, address, 80)
                with pytest.raises(ConnectionRefusedError):
                    ask_udp(lab.client, address, 53)
        assert held.ask() == "node2", "what is established goes on in either case"
        servers["node3"].answers("status", 200)
        wait_verdict(lab, "node3", True, "Ok")
        assert nodes_of_new_connections(lab, vip) == {"node3"}


def test_rule_9_10_policy_local_goes_by_the_health_check_node_port(lab):
    appliance = lab.appliance
    local = {"metadata": {"namespace": "default", "name": "local"},
             "spec": {"ports": [{"name": "http", "protocol": "TCP", "port": 80, "nodePort": 30080}],
                      "externalTrafficPolicy": "Local", "healthCheckNodePort": LOCAL_PORT,
                      "endpointSlices": [{"ports": [{"protocol": "TCP", "port": 80, "targetPort": 8080}],
                                          "endpoints": [{"address": "10.244.1.1", "node": "node1"},
                                                        {"address": "10.244.2.1", "node": "node2"}]}]}}
    with contextlib.ExitStack() as stack:
        stack.enter_context(checked(lab))
        pods = {name: stack.enter_context(HealthServer(namespace, LOCAL_PORT)) for name, namespace in zip(NODES, lab.topology.nodes)}
        for server in pods.values():
            server.answers("status", 200, b'{"localEndpoints": 1}')
        appliance.put("/v1/load-balancers/default/local", local)
        stack.callback(appliance.rest, "DELETE", "/v1/load-balancers/default/local?wait=20")
        vip = appliance.addresses("local")[4]
        check = check_of(lab, "node1")
        for name in ("node1", "node2"):
            wait_verdict(lab, name, True, "Ok", check)
        assert nodes_of_new_connections(lab, vip) == {"node1", "node2"}
        held = stack.enter_context(held_on("node2", lab.client, vip, 80))
        pods["node2"].answers("status", 503, b'{"localEndpoints": 0}')
        wait_verdict(lab, "node2", False, "Status503", check)
        assert nodes_of_new_connections(lab, vip) == {"node1"}
        assert "node2" in nodes_of_new_connections(lab, lab.vips[4], count=60), "it is a failure of this load balancer alone"
        assert held.ask() == "node2", "KEP-1669: pods that end are served"
        assert appliance.metric("guideway_service_nodes", service="local", state="well") == 1
        assert appliance.metric("guideway_service_nodes", service="local", state="failing") == 1
        assert any("default/local" in event["message"] for event in events_of(lab, "node2"))
        assert pods["node3"].times_asked == 0, "a node without a pod is not asked"
        pods["node2"].answers("status", 200, b'{"localEndpoints": 1}')
        wait_verdict(lab, "node2", True, "Ok", check)
        eventually(lambda: "node2" in nodes_of_new_connections(lab, vip), 20, "node2 serves again")


def check_of(lab, node):
    """The name of the other check than the node's own."""
    def found():
        health = lab.appliance.rest("GET", f"/v1/nodes/{node}")[1]["status"].get("health", [])
        return next((one["check"] for one in health if one["check"] != "node"), None)
    return eventually(found, 20, "the load balancer's check is there")


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_i1_a_control_plane_that_starts_again_sends_nobody_to_a_failing_node(lab, kill):
    """The dataplane goes on by what it knew until the nodes were asked anew: node2 gets not one connection at any time."""
    with checked(lab) as servers:
        servers["node2"].answers("status", 503)
        wait_verdict(lab, "node2", False, "Status503")
        with RequestLoad(lab.client, lab.vips[4], 80, pause=0.005) as load:
            restart_controlplane(lab.appliance, kill)
            wait_verdict(lab, "node2", False, "Status503")
            done = load.done
            eventually(lambda: load.done > done + 50, 20, "load goes on")
        assert not load.failures, load.report()
        assert set(load.answers) == OTHERS, load.report()


def test_i1_without_a_control_plane_the_failing_node_stays_out_and_traffic_goes_on(lab):
    with checked(lab) as servers:
        servers["node2"].answers("status", 503)
        wait_verdict(lab, "node2", False, "Status503")
        with held_on("node1", lab.client, lab.vips[4], 80) as held:
            lab.appliance.controlplane.kill()
            assert nodes_of_new_connections(lab, lab.vips[4], count=60) == OTHERS
            servers["node2"].answers("status", 200)  # nobody asks
            assert nodes_of_new_connections(lab, lab.vips[4], count=60) == OTHERS
            assert held.ask() == "node1"
        lab.appliance.start_controlplane()
        lab.appliance.wait_ready()
        wait_verdict(lab, "node2", True, "Ok")
        eventually(lambda: "node2" in nodes_of_new_connections(lab, lab.vips[4]), 20, "node2 serves again")


def test_probes_come_from_the_configured_address(lab):
    """Another one than the kernel would choose: a firewall on the nodes lets that one in."""
    source = "10.0.2.7"
    lab.topology.appliance.ip(f"addr add {source}/24 dev gw-node0")
    try:
        with checked(lab, all_failing=f'"all"; source_ipv4 = "{source}"') as servers:
            for server in servers.values():
                assert {peer for _, peer, _ in server.asked} == {source}
    finally:
        lab.topology.appliance.ip(f"addr del {source}/24 dev gw-node0")


def test_three_hundred_nodes_are_asked_by_one_thread(lab, record_property):
    """Each at a moment of its own in the interval (reported, not judged)."""
    appliance, here, cluster, count = lab.appliance, lab.topology.appliance, "many", 300
    addresses = [f"198.18.{i // 250}.{i % 250 + 1}" for i in range(count)]

    with checked(lab, interval_ms=2000, timeout_ms=1500):
        before = threads_of(appliance)
        here.ip("link add many type bridge", "link set many up", *[f"addr add {address}/32 dev many" for address in addresses])
        try:
            with HealthServer(here, PORT) as server:
                for i, address in enumerate(addresses):
                    appliance.put(f"/v1/clusters/{cluster}/nodes/n{i}", {"spec": {"addresses": [address], "healthCheckPort": PORT}})
                eventually(lambda: appliance.metric("guideway_node_healthy", cluster=cluster) == count, 60, "all are found well")
                during = threads_of(appliance)
                begin = server.times_asked
                eventually(lambda: server.times_asked > begin + 2 * count, 60, "each is asked twice more")
                moments = sorted(moment for moment, _, _ in server.asked[begin:begin + count])
                assert len({there for _, _, there in server.asked[begin:begin + 2 * count]}) == count, "none is forgotten"
        finally:
            for i in range(count):
                appliance.rest("DELETE", f"/v1/clusters/{cluster}/nodes/n{i}")
            here.ip("link del many")
    # Threads of connections to REST come and go; those of probes would be hundreds.
    assert len(during) <= len(before) + 8, sorted(during)
    busiest = max(sum(1 for other in moments if moment <= other < moment + 0.1) for moment in moments)
    record_property("spread", f"{count} probes in {moments[-1] - moments[0]:.2f} s, at most {busiest} in any 100 ms")
    print(f"\n{count} nodes, interval 2 s: {count} probes in {moments[-1] - moments[0]:.2f} s, at most {busiest} in any 100 ms; "
          f"{len(before)} threads before, {len(during)} with them")


def threads_of(appliance):
    return [path.name for path in pathlib.Path(f"/proc/{appliance.controlplane.pid}/task").iterdir()]
