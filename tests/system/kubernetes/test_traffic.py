"""What the fields of a Service mean for packets: rules 11 to 15."""
import statistics
import time

import pytest

from lab.traffic import RequestLoad, TcpStream, fetch
from lab.wait import eventually

from .objects import HTTP, STREAM, UDP


def test_rule_11_source_ranges_open_and_close_and_take_effect_at_once(world):
    world.deploy("web", 1)
    vips = world.expose("web", loadBalancerSourceRanges=["198.51.100.0/24", "2001:db8:99::/64"])
    for vip in vips.values():
        world.silent(vip)
    world.patch("web", {"loadBalancerSourceRanges": ["192.0.2.0/24"]})
    world.served(vips[4])
    world.silent(vips[6])  # ranges of one family alone close the other
    world.patch("web", {"loadBalancerSourceRanges": ["192.0.2.10/32", "2001:db8:1::10/128"]})
    world.served(vips[6])
    stream_vip = world.expose("stream", app="web", ports=(STREAM,))[4]
    # The address is there before the proxies of the nodes have the new node port.
    with eventually(lambda: TcpStream(world.lab.client, stream_vip, 7), 20, "the stream's port serves") as stream:
        world.patch("stream", {"loadBalancerSourceRanges": ["198.51.100.0/24"]})
        world.silent(world.addresses("stream")[4], 7)
    world.patch("web", {"loadBalancerSourceRanges": None})
    world.served(vips[4])
    world.served(vips[6])
    assert stream.echoed > 0


def test_rule_11_the_annotation_counts_where_the_field_is_not(world):
    world.deploy("web", 1)
    key = "service.beta.kubernetes.io/load-balancer-source-ranges"
    vip = world.expose("web", annotations={key: "198.51.100.0/24"})[4]
    world.silent(vip)
    world.patch("web", metadata={"annotations": {key: "198.51.100.0/24, 192.0.2.0/24"}})
    world.served(vip)


def test_rule_11_an_invalid_range_does_not_get_past_the_api_server(world):
    # This version refuses it itself; what the controller makes of one from an older version is a unit test (translate_test.cc).
    world.deploy("web", 1)
    with pytest.raises(RuntimeError, match="must be a valid CIDR"):
        world.expose("web", wait=False, annotations={"service.beta.kubernetes.io/load-balancer-source-ranges": "192.0.2.0/24,no-range"})


def test_rule_12_a_service_without_node_ports_reaches_its_pods(cluster, world):
    world.deploy("web", 3)
    vips = world.expose("web", allocateLoadBalancerNodePorts=False, ports=(HTTP, UDP))
    assert all("nodePort" not in port or not port["nodePort"] for port in world.get("web")["spec"]["ports"])
    for vip in vips.values():
        world.served(vip)
    answers = world.answers(vips[4], 60)
    assert len({one[0] for one in answers}) == 3, "all pods"
    assert {one[2] for one in answers} == {cluster.site.snat[0]}, "straight from the appliance"
    assert eventually(lambda: world.datagram(vips[6]), 20, "UDP answers")[0].startswith("web-")
    world.scale("web", 1)
    world.pods("web", 1)
    assert len({one[0] for one in world.answers(vips[4], 20)}) == 1
    # Node ports given later are used.
    world.patch("web", {"allocateLoadBalancerNodePorts": True})
    world.patch("web", {"ports": [{**HTTP, "nodePort": 32112}, UDP]})
    eventually(lambda: any(one[2] != cluster.site.snat[0] for one in world.answers(vips[4], 10)), 20, "by way of the node port")
    assert world.addresses("web") == vips


def test_rule_12_where_pods_cannot_be_reached_it_fails_visibly(cluster, world):
    options = dict(cluster.controller.options)
    cluster.controller.stop()
    cluster.controller.options["pods"] = "unreachable"
    cluster.controller.start()
    try:
        world.deploy("web", 1)
        world.expose("web", allocateLoadBalancerNodePorts=False)

        def told():
            return [port["error"] for one in world.ingress("web") for port in one.get("ports", []) if port.get("error")]
        assert eventually(told, 20, "ports[].error says it")
        eventually(lambda: any(kind == "Warning" for kind, _, _ in world.events("web")), 20, "a warning says it")
    finally:
        cluster.controller.stop()
        cluster.controller.options = options
        cluster.controller.start()


def test_rule_12_pod_mode_by_annotation_follows_the_endpoints(cluster, world):
    world.deploy("web", 2)
    vip = world.expose("web", annotations={"guideway.io/mode": "pod"})[4]
    world.served(vip)
    eventually(lambda: {one[2] for one in world.answers(vip, 20)} == {cluster.site.snat[0]}, 20, "straight to the pods")
    world.scale("web", 4)
    world.pods("web", 4)
    eventually(lambda: len({one[0] for one in world.answers(vip, 60)}) == 4, 20, "all four serve")


def test_rule_12_a_pod_that_becomes_ready_serves_soon_and_one_that_goes_gets_nothing_new(cluster, world, record_property):
    """From the EndpointSlice that says so, as a client of the API server sees it, to the packet. Reported, not asserted."""
    world.deploy("web", 1, pre_stop=3)
    vip = world.expose("web", annotations={"guideway.io/mode": "pod"})[4]
    world.served(vip)
    eventually(lambda: {one[2] for one in world.answers(vip, 10)} == {cluster.site.snat[0]}, 20, "straight to the pod")

    def ready():
        slices = world.api.list(f"/apis/discovery.k8s.io/v1/namespaces/{world.namespace}/endpointslices?labelSelector="
                                "kubernetes.io%2Fservice-name%3Dweb")
        return {point["targetRef"]["name"] for one in slices if one["addressType"] == "IPv4" for point in one["endpoints"]
                if point["conditions"].get("ready")}
    in_force, out_of_force = [], []
    for replicas in (2, 3, 4):
        before = ready()
        world.scale("web", replicas)
        new = eventually(lambda before=before: ready() - before, 60, "a pod more is ready", every=0.002)
        began = time.monotonic()
        eventually(lambda new=new: world.request(vip)[0] in new, 20, "it serves", every=0.001)
        in_force.append(time.monotonic() - began)
    for replicas in (3, 2):
        before = ready()
        world.scale("web", replicas)
        gone = eventually(lambda before=before: before - ready(), 60, "a pod is to go", every=0.002)
        began, last = time.monotonic(), 0.0
        for _ in range(100):  # it still listens, for preStop's three seconds: whoever reaches it is answered
            if world.request(vip)[0] in gone:
                last = time.monotonic() - began
        assert not {one[0] for one in world.answers(vip, 60)} & gone, "nothing new for a pod that goes"
        out_of_force.append(last)
    for what, seconds in (("ready to served", in_force), ("not ready to its last new connection", out_of_force)):
        record_property(f"pod mode, {what}, ms: median and worst of {len(seconds)}",
                        f"{statistics.median(seconds) * 1000:.0f} {max(seconds) * 1000:.0f}")


def test_rule_13_one_number_on_tcp_and_udp_together(world):
    world.deploy("web", 2)
    vips = world.expose("web", ports=({**HTTP, "port": 53}, UDP))
    for vip in vips.values():
        world.served(vip, 53)
        assert eventually(lambda vip=vip: world.datagram(vip, 53), 20, "UDP answers")[0].startswith("web-")


def test_rule_13_affinity_holds_over_a_thousand_connections_and_can_be_switched(world):
    world.deploy("web", 3)
    vip = world.expose("web")[4]
    world.served(vip)
    assert len({one[0] for one in world.answers(vip, 40)}) == 3
    world.patch("web", {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 600}}})
    eventually(lambda: len({one[0] for one in world.answers(vip, 30)}) == 1, 20, "affinity is in force")
    assert len({one[0] for one in world.answers(vip, 1000)}) == 1, "one client, one pod, a thousand connections"
    world.patch("web", {"sessionAffinity": "None", "sessionAffinityConfig": None})
    eventually(lambda: len({one[0] for one in world.answers(vip, 40)}) == 3, 20, "and off again")


def test_rule_13_affinity_is_remembered_over_a_drain_and_over_a_restart_of_the_dataplane(cluster, world):
    """Policy Local: the appliance alone chooses the pod's node, and kube-proxy cannot choose another."""
    for number in (1, 2, 3):
        world.deploy(f"web{number}", 1, node=f"node{number}", labels={"role": "web"}, wait=False)
    for number in (1, 2, 3):
        name = f"web{number}"
        world.api.patch(world.path(name, "Deployment").replace("/api/v1", "/apis/apps/v1"),
                        {"spec": {"template": {"metadata": {"labels": {"role": "web"}}}}})
        world.pods(name, 1)
    world.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {
        "type": "LoadBalancer", "externalTrafficPolicy": "Local", "selector": {"role": "web"}, "ipFamilyPolicy": "RequireDualStack",
        "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 600}}, "ports": [HTTP]}})
    vips = world.addresses("web")
    for vip in vips.values():
        world.served(vip)

    def node(count=20):
        seen = {one[1] for one in world.answers(vips[4], count)}
        return seen.pop() if len(seen) == 1 else None
    first = eventually(node, 30, "one node serves the client")
    cluster.appliance.cli("drain", f"default/{first}")
    try:
        second = eventually(lambda: (found := node()) and found != first and found, 30, "another node serves it")
    finally:
        cluster.appliance.cli("undrain", f"default/{first}")
    cluster.appliance.wait_in_force()
    assert node(200) == second, "its first choice is back, and the client stays where it is"
    cluster.appliance.dataplane.stop()
    cluster.appliance.start_dataplane()
    cluster.appliance.wait_ready()
    world.served(vips[4])
    assert node(200) == second, "remembered over a restart"


def test_rule_14_policy_switches_under_load_without_a_failed_request(world):
    world.deploy("web", 3)
    vips = world.expose("web")
    world.served(vips[4])
    with RequestLoad(world.lab.client, vips[4], 80, threads=2, pause=0.002) as load:
        eventually(lambda: load.done > 100, 30, "under load")
        for policy in ("Local", "Cluster", "Local", "Cluster"):
            world.patch("web", {"externalTrafficPolicy": policy})
            eventually(lambda policy=policy: world.balancer("web")["spec"].get("externalTrafficPolicy", "Cluster") == policy, 20, policy)
            done = load.done
            eventually(lambda done=done: load.done > done + 300, 30, "under load")
    assert not load.failures, load.report()
    assert world.addresses("web") == vips, "rule 14: without a new address"


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_rule_15_pods_reach_the_address_through_the_appliance_on_their_own_node_too(cluster, world, policy):
    pods = world.deploy("web", 3)
    vips = world.expose("web", externalTrafficPolicy=policy)
    for vip in vips.values():
        world.served(vip)
        for pod in pods:
            inside = cluster.pod_namespace(pod)
            # An endpoint may become known a moment after the first one served.
            eventually(lambda vip=vip, inside=inside: len({fetch(inside, vip, 80).text.split()[1] for _ in range(40)}) == 3, 20,
                       f"a client on {pod['spec']['nodeName']} reaches the pods of all nodes, its own too")
            assert len({fetch(inside, vip, 80).text.split()[1] for _ in range(40)}) == 3, "and each answer is good"
