"""Rule 16: pods come, go and move, and nobody notices. And nothing that is changed around them cuts an established connection."""
import signal
import threading
import time

import pytest

from lab.traffic import RequestLoad, TcpStream
from lab.wait import eventually

from .api import path_of
from .objects import HTTP, STREAM, UDP


def rolled(world, name, replicas):
    world.kubectl("-n", world.namespace, "rollout", "restart", "deployment", name)
    world.kubectl("-n", world.namespace, "rollout", "status", "deployment", name, "--timeout=80s")
    world.pods(name, replicas, within=60)  # the old ones are gone


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_rule_16_a_rolling_update_under_load_fails_no_request(world, policy, record_property):
    world.deploy("web", 3)
    vip = world.expose("web", externalTrafficPolicy=policy)[4]
    world.served(vip)
    old = {pod["metadata"]["name"] for pod in world.pods("web", 3)}
    with RequestLoad(world.lab.client, vip, 80, threads=3) as load:
        eventually(lambda: load.done > 100, 30, "under load")
        rolled(world, "web", 3)
        done = load.done
        eventually(lambda: load.done > done + 200, 30, "under load")
    record_property(f"rolling update, {policy}", load.report())
    assert not load.failures, load.report()
    assert len(set(load.answers) - old) == 3, f"the new pods served: {load.report()}"
    assert world.addresses("web")[4] == vip


def test_rule_16_a_node_gets_its_first_connections_once_its_kube_proxy_has_the_pod(cluster, world):
    """With policy Local. The proxies of the nodes without a pod stand still while the second pod becomes ready: the API server tells of it,
    and the node would lose what it was sent."""
    old = world.deploy("web", 1)[0]
    vip = world.expose("web", externalTrafficPolicy="Local")[4]
    world.served(vip)
    late = [proxy for number, proxy in cluster.proxies.items() if f"node{number}" != old["spec"]["nodeName"]]
    with RequestLoad(world.lab.client, vip, 80) as load:
        for proxy in late:
            proxy.signal(signal.SIGSTOP)
        try:
            world.scale("web", 2)
            new = next(pod for pod in world.pods("web", 2) if pod["metadata"]["name"] != old["metadata"]["name"])
            eventually(lambda: len({end["node"] for one in world.balancer("web")["spec"]["endpointSlices"] for end in one["endpoints"]}) == 2,
                       20, "the appliance knows of both")
            done = load.done
            eventually(lambda: load.done > done + 300, 30, "under load")
            assert set(load.answers) == {old["metadata"]["name"]} and not load.failures, load.report()
        finally:
            for proxy in late:
                proxy.signal(signal.SIGCONT)
        eventually(lambda: new["metadata"]["name"] in load.answers, 30, "the new pod serves too")
    assert not load.failures, load.report()


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_rule_16_scaling_up_and_down_under_load_fails_no_request(world, policy):
    world.deploy("web", 2)
    vip = world.expose("web", externalTrafficPolicy=policy)[6]
    world.served(vip)
    with RequestLoad(world.lab.client, vip, 80, threads=2) as load:
        for replicas in (6, 1, 4):
            world.scale("web", replicas)
            world.pods("web", replicas)
            done = load.done
            eventually(lambda done=done: load.done > done + 100, 30, "under load")
    assert not load.failures, load.report()


def test_rule_16_a_drained_node_s_pods_move_without_a_failed_request(cluster, world):
    world.deploy("web", 3)
    vip = world.expose("web", externalTrafficPolicy="Local")[4]
    world.served(vip)
    with RequestLoad(world.lab.client, vip, 80, threads=2) as load:
        try:
            world.kubectl("drain", "node2", "--ignore-daemonsets", "--delete-emptydir-data", "--force")
            world.pods("web", 3)
            done = load.done
            eventually(lambda: load.done > done + 200, 30, "under load")
        finally:
            world.kubectl("uncordon", "node2")
    assert not load.failures, load.report()
    assert "node2" not in {pod["spec"]["nodeName"] for pod in world.pods("web", 3)}


def test_rule_16_with_policy_local_all_nodes_with_pods_are_used(world):
    world.deploy("web", 3)
    vip = world.expose("web", externalTrafficPolicy="Local")[4]
    world.served(vip)
    eventually(lambda: {one[1] for one in world.answers(vip, 30)} == {"node1", "node2", "node3"}, 20, "three nodes")


class Chatter:
    """A UDP client that keeps its source port and never pauses, answered or not."""

    def __init__(self, namespace, address, port, source_port):
        import socket
        self.socket = namespace.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("", source_port))
        self.socket.connect((address, port))
        self.socket.settimeout(0.1)
        self.answers, self.last = [], None  # (moment, pod, node)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def _work(self):
        number = 0
        while not self._end.wait(0.02):
            number += 1
            try:
                self.socket.send(b"%d" % number)
                words = self.socket.recv(2048).decode().split()
                self.answers.append((time.monotonic(), words[0], words[1]))
            except OSError:
                pass  # refused or lost: it goes on asking

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()
        self.socket.close()


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_rule_16_a_udp_client_with_a_fixed_port_follows_its_pod(world, policy, record_property):
    world.deploy("dns", 1, node="node1", pre_stop=0, grace=1, args=["udp=5353"])
    vip = world.expose("dns", ports=(UDP,), externalTrafficPolicy=policy)[4]
    eventually(lambda: world.datagram(vip), 30, "it answers")
    with Chatter(world.lab.client, vip, 53, 5300) as client:
        eventually(lambda: client.answers, 20, "the client is served")
        assert client.answers[-1][2] == "node1"
        world.deploy("dns", 1, wait=False, node="node3", pre_stop=0, grace=1, args=["udp=5353"])
        eventually(lambda: client.answers[-1][2] == "node3", 60, "the same client is served from node3")
        moments = [one[0] for one in client.answers]
    gap = max(later - earlier for earlier, later in zip(moments, moments[1:]))
    record_property(f"UDP client, {policy}: longest silence in seconds", round(gap, 2))


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_rule_16_a_udp_client_that_sends_before_its_first_pod_exists_is_served(world, policy, record_property):
    vip = world.expose("dns", ports=(UDP,), externalTrafficPolicy=policy)[4]
    eventually(lambda: world.balancer("dns"), 20, "the appliance has it")
    with Chatter(world.lab.client, vip, 53, 5301) as client:
        world.deploy("dns", 1, args=["udp=5353"])
        ready = time.monotonic()
        eventually(lambda: client.answers, 30, "the client is served, by its own source port, without a pause")
        record_property(f"early UDP client, {policy}: seconds after the pod was ready", round(client.answers[0][0] - ready, 2))


def test_no_established_connection_is_cut_by_anything_that_is_not_its_end(cluster, world):
    """Health flaps, labels, pool edits, restarts of controller and control plane, policy, affinity, ports and ranges of the Service."""
    world.deploy("web", 3)
    vips = world.expose("web", ports=(HTTP, STREAM))
    world.served(vips[4])
    streams = [TcpStream(cluster.client, vips[family], 7, pause=0.02) for family in (4, 6) for _ in range(6)]

    def moved():
        before = [one.echoed for one in streams]
        eventually(lambda: all(one.echoed > old + 3 or one.trouble for one, old in zip(streams, before)), 30, "all connections go on")
        assert [one.trouble for one in streams if one.trouble] == []

    pool = {"metadata": {"name": "public"}, "spec": {"addresses": ["203.0.113.0/24", "2001:db8:f::1-2001:db8:f::ffff", "198.18.9.0/28"],
                                                     "avoidBuggyIPs": True}}
    original = {**pool, "spec": {**pool["spec"], "addresses": pool["spec"]["addresses"][:2]}}
    label = {"node.kubernetes.io/exclude-from-external-load-balancers": ""}

    def flap():
        cluster.proxies[1].kill()
        eventually(lambda: any(one["type"] == "Healthy" and one["status"] == "False" for one in
                               cluster.appliance.rest("GET", "/v1/nodes/node1")[1]["status"]["conditions"]), 30, "node1 fails")
        moved()
        cluster.start_proxy(1)
        eventually(lambda: any(one["type"] == "Healthy" and one["status"] == "True" for one in
                               cluster.appliance.rest("GET", "/v1/nodes/node1")[1]["status"]["conditions"]), 60, "node1 is well")

    def relabel():
        for value in ({key: "" for key in label}, {key: None for key in label}):
            for number in (1, 2, 3):
                cluster.api.patch(path_of("Node", f"node{number}"), {"metadata": {"labels": value}})
            moved()

    def control_plane():
        cluster.appliance.controlplane.kill()
        moved()
        cluster.appliance.start_controlplane()
        cluster.appliance.wait_ready()

    try:
        for what in (flap, relabel, control_plane, cluster.controller.restart,
                     lambda: cluster.appliance.put("/v1/address-pools/public", pool),
                     lambda: cluster.appliance.put("/v1/address-pools/public", original),
                     lambda: world.patch("web", {"sessionAffinity": "ClientIP"}),
                     lambda: world.patch("web", {"externalTrafficPolicy": "Local"}),
                     lambda: world.patch("web", {"externalTrafficPolicy": "Cluster", "sessionAffinity": "None", "sessionAffinityConfig": None}),
                     lambda: world.patch("web", {"loadBalancerSourceRanges": ["192.0.2.0/24", "2001:db8:1::/64"]}),
                     lambda: world.scale("web", 5)):
            what()
            moved()
    finally:
        for one in streams:
            one.close()
        cluster.appliance.put("/v1/address-pools/public", original)
    assert min(one.echoed for one in streams) > 30
