"""Nodes as back ends, their health, and policy Local: rules 8, 9 and 10."""
import contextlib

import pytest

from lab.traffic import TcpStream, fetch
from lab.wait import eventually

from .api import path_of
from .objects import HTTP, STREAM

EXCLUDE = "node.kubernetes.io/exclude-from-external-load-balancers"
DRAIN = {"key": "ToBeDeletedByClusterAutoscaler", "value": "1", "effect": "PreferNoSchedule"}


def appliance_nodes(cluster):
    return {one["metadata"]["name"]: one for one in cluster.appliance.rest("GET", "/v1/nodes")[1]["items"]}


@contextlib.contextmanager
def node_patched(cluster, number, change, back):
    path = path_of("Node", f"node{number}")
    cluster.api.patch(path, change)
    try:
        yield
    finally:
        cluster.api.patch(path, back)


def nodes_serving(cluster, world, vip, count=30):
    """Nodes whose kube-proxy takes new connections: those that the appliance's explanation names for many source ports."""
    found = set()
    for port in range(20000, 20000 + count):
        status, answer = cluster.appliance.rest("GET", f"/v1/explain?protocol=TCP&source=192.0.2.10&source_port={port}"
                                                       f"&destination={vip}&destination_port=80")
        assert status == 200, answer
        text = str(answer)
        found |= {number for number in (1, 2, 3) if f"10.0.2.1{number}" in text}
    return found


def test_rule_8_nodes_are_registered_with_their_internal_addresses(cluster, world):
    nodes = eventually(lambda: len(found := appliance_nodes(cluster)) == 3 and found, 20, "three nodes")
    for number in (1, 2, 3):
        assert set(nodes[f"node{number}"]["spec"]["addresses"]) == set(cluster.site.node(number))


@pytest.mark.parametrize("value, excluded", [("", True), ("true", True), ("false", False), ("yes-please", True)])
def test_rule_8_the_exclusion_label_counts_unless_it_parses_as_false(cluster, world, value, excluded):
    world.deploy("web", 2)
    vip = world.expose("web")[4]
    world.served(vip)
    stream_vip = world.expose("stream", app="web", ports=(STREAM,))[4]
    # The address is there before the last kube-proxy has the new node port.
    with eventually(lambda: TcpStream(cluster.client, stream_vip, 7), 20, "the stream's port serves") as stream, \
            node_patched(cluster, 3, {"metadata": {"labels": {EXCLUDE: value}}}, {"metadata": {"labels": {EXCLUDE: None}}}):
        wanted = {1, 2} if excluded else {1, 2, 3}
        eventually(lambda: nodes_serving(cluster, world, vip) == wanted, 20, f"new connections go to {wanted}")
        world.answers(vip, 10)
    eventually(lambda: nodes_serving(cluster, world, vip) == {1, 2, 3}, 20, "and back")
    assert not stream.trouble, f"a label never cuts a connection: {stream.trouble}"


def test_rule_5_8_without_any_node_an_event_says_so_and_clients_are_refused(cluster, world):
    world.deploy("web", 1)
    vip = world.expose("web")[4]
    world.served(vip)
    with contextlib.ExitStack() as excluded:
        for number in (1, 2, 3):
            excluded.enter_context(node_patched(cluster, number, {"metadata": {"labels": {EXCLUDE: ""}}}, {"metadata": {"labels": {EXCLUDE: None}}}))
        kind, _, message = world.event("web", "UnAvailableLoadBalancer")
        assert kind == "Warning" and "no node" in message, message
        world.refused(vip)
        assert world.addresses("web")[4] == vip
    world.served(vip)


def test_rule_8_the_autoscaler_s_taint_drains(cluster, world):
    world.deploy("web", 2, args=["http=8080", "tcp=7000"])
    vip = world.expose("web", ports=(HTTP, STREAM))[4]
    world.served(vip)
    streams = [TcpStream(cluster.client, vip, 7) for _ in range(9)]
    try:
        with node_patched(cluster, 2, {"spec": {"taints": [DRAIN]}}, {"spec": {"taints": None}}):
            eventually(lambda: nodes_serving(cluster, world, vip) == {1, 3}, 20, "nothing new to node2")
            before = [one.echoed for one in streams]
            eventually(lambda: all(one.echoed > old + 5 for one, old in zip(streams, before)), 20, "all connections go on")
        eventually(lambda: nodes_serving(cluster, world, vip) == {1, 2, 3}, 20, "and back")
    finally:
        for one in streams:
            one.close()
    assert [one.trouble for one in streams if one.trouble] == []


def test_rule_8_a_node_deleted_and_registered_again(cluster, world):
    world.deploy("web", 2, node="node1")
    vip = world.expose("web")[4]
    world.served(vip)
    cluster.api.delete(path_of("Node", "node3"))
    try:
        eventually(lambda: set(appliance_nodes(cluster)) == {"node1", "node2"}, 20, "node3 is gone")
        assert nodes_serving(cluster, world, vip) == {1, 2}
        world.answers(vip, 20)
    finally:
        cluster.register_node(3)
    eventually(lambda: nodes_serving(cluster, world, vip) == {1, 2, 3}, 20, "node3 is back")
    eventually(lambda: cluster.proxy_health(3) == 200, 20, "its kube-proxy too")


def test_rule_8_a_node_s_address_changes(cluster, world):
    path = path_of("Node", "node2") + "/status"
    before = cluster.api.get(path)["status"]["addresses"]
    changed = [{"type": "InternalIP", "address": "10.0.2.112"}, *[one for one in before if one["address"] != "10.0.2.12"]]
    cluster.topology.nodes[1].ip("addr add 10.0.2.112/24 dev eth0")
    try:
        cluster.api.patch(path, {"status": {"addresses": changed}})
        eventually(lambda: "10.0.2.112" in appliance_nodes(cluster)["node2"]["spec"]["addresses"], 20, "the appliance follows")
    finally:
        cluster.api.patch(path, {"status": {"addresses": before}})
        cluster.topology.nodes[1].ip("addr del 10.0.2.112/24 dev eth0")
    eventually(lambda: set(appliance_nodes(cluster)["node2"]["spec"]["addresses"]) == set(cluster.site.node(2)), 20, "and back")


def test_rule_9_a_node_whose_kube_proxy_dies_gets_nothing_new_and_loses_nothing_old(cluster, world):
    world.deploy("web", 3)
    vip = world.expose("web", ports=(HTTP, STREAM))[4]
    world.served(vip)
    streams = [TcpStream(cluster.client, vip, 7) for _ in range(9)]
    try:
        cluster.proxies[2].kill()
        eventually(lambda: nodes_serving(cluster, world, vip) == {1, 3}, 30, "nothing new to node2")
        before = [one.echoed for one in streams]
        world.answers(vip, 30)
        eventually(lambda: all(one.echoed > old + 5 for one, old in zip(streams, before)), 20, "all connections go on")
    finally:
        cluster.start_proxy(2)
        for one in streams:
            one.close()
    assert [one.trouble for one in streams if one.trouble] == []
    eventually(lambda: nodes_serving(cluster, world, vip) == {1, 2, 3}, 40, "node2 is back")


def test_rule_9_all_nodes_failing_keeps_all(cluster, world):
    world.deploy("web", 2)
    vip = world.expose("web")[4]
    world.served(vip)
    for number in (1, 2, 3):
        cluster.proxies[number].kill()  # its rules stay in the kernel: traffic would flow
    try:
        def all_unhealthy():
            return all(any(one["type"] == "Healthy" and one["status"] == "False" for one in node["status"]["conditions"])
                       for node in appliance_nodes(cluster).values())
        eventually(all_unhealthy, 30, "all three are known to fail")
        assert nodes_serving(cluster, world, vip) == {1, 2, 3}
        world.answers(vip, 10)
    finally:
        for number in (1, 2, 3):
            cluster.start_proxy(number)


def test_rule_9_10_policy_local_goes_where_pods_are_by_their_number(cluster, world):
    world.deploy("web", 3, node="node1")
    world.deploy("more", 1, node="node2", labels={"role": "both"})
    world.api.patch(world.path("web", "Deployment").replace("/api/v1", "/apis/apps/v1"),
                    {"spec": {"template": {"metadata": {"labels": {"role": "both"}}}}})
    world.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "both"}, "spec": {
        "type": "LoadBalancer", "externalTrafficPolicy": "Local", "selector": {"role": "both"}, "ipFamilyPolicy": "RequireDualStack",
        "ports": [HTTP]}})
    vip = world.addresses("both")[4]
    world.served(vip)

    def settled():
        slices = world.api.list(f"/apis/discovery.k8s.io/v1/namespaces/{world.namespace}/endpointslices?labelSelector="
                                "kubernetes.io%2Fservice-name%3Dboth")
        return sorted(end["nodeName"] for one in slices for end in one["endpoints"] if ":" not in end["addresses"][0]
                      and end["conditions"]["ready"]) == ["node1"] * 3 + ["node2"]
    eventually(settled, 40, "three ready on node1, one on node2")
    eventually(lambda: nodes_serving(cluster, world, vip, 60) == {1, 2}, 20, "not to node3, which has none")
    answers = world.answers(vip, 120)
    share = sum(1 for one in answers if one[1] == "node1") / len(answers)
    assert 0.6 < share < 0.9, f"rule 9: three of four pods are on node1, which got {share:.2f}"
    assert {one[2] for one in answers} == {cluster.site.snat[0]}, "policy Local: the pod sees the appliance's address, not a node's"


def test_rule_9_health_check_node_port_says_what_the_appliance_reads(cluster, world):
    world.deploy("web", 2, node="node1")
    world.expose("web", externalTrafficPolicy="Local")
    port = world.get("web")["spec"]["healthCheckNodePort"]
    eventually(lambda: fetch(cluster.control_namespace, "10.0.2.11", port, "/healthz", timeout=2).status == 200, 20, "node1 has some")
    assert fetch(cluster.control_namespace, "10.0.2.12", port, "/healthz", timeout=2).status == 503
    assert world.balancer("web")["spec"]["healthCheckNodePort"] == port


def test_rule_10_without_endpoints_clients_are_refused_and_the_address_is_there(cluster, world):
    vips = world.expose("web", externalTrafficPolicy="Local")
    for vip in vips.values():
        world.refused(vip)
    world.deploy("web", 1)
    for vip in vips.values():
        world.served(vip)
    world.scale("web", 0)
    world.pods("web", 0)
    for vip in vips.values():
        world.refused(vip)
    assert world.addresses("web") == vips, "rule 16: the same address"
