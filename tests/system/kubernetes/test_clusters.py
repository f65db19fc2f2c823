"""Item 6: several clusters on one appliance, and a large one: API servers of their own, where nodes are objects only."""
import time

import pytest

from lab.appliance import Appliance
from lab.namespace import Namespace
from lab.wait import eventually

from .control import Control
from .controller import CloudController
from .objects import service

ADDRESS = ("10.0.2.6", "fd00:2::6")
SERVICES, NODES = 1000, 100


@pytest.fixture(scope="module")
def second(cluster):
    """Another cluster's API server, on the nodes' network of the lab. Without controllers: nothing here has pods."""
    namespace = Namespace(f"{cluster.name}-control2").create()
    control = Control(namespace, ADDRESS, cluster.folder / "second")
    try:
        cluster.topology._cable(cluster.topology.switch, "port9", namespace, "eth0")
        cluster.topology.switch.ip("link set port9 master br0")
        namespace.ip(f"addr add {ADDRESS[0]}/24 dev eth0", f"addr add {ADDRESS[1]}/64 dev eth0 nodad")
        control.create()
        control.start_etcd()
        control.start_api_server()
        yield control
    finally:
        control.remove()
        namespace.delete()


def add_node(control, number):
    name = f"n{number}"
    control.api.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    control.api.patch(f"/api/v1/nodes/{name}/status", {"status": {"addresses": [
        {"type": "InternalIP", "address": f"10.9.{number // 200}.{number % 200 + 10}"},
        {"type": "InternalIP", "address": f"fd00:9::{number + 10:x}"}]}})


def test_item_6_two_clusters_share_an_appliance_and_neither_touches_the_other_s(cluster, world, second):
    world.deploy("web", 1)
    vips = world.expose("web")
    world.served(vips[4])
    other = CloudController(cluster, "second-controller", cluster="second", metrics_port=8895, control=second).install()
    try:
        other.start()
        second.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": world.namespace}})
        add_node(second, 1)
        second.api.create(service("web", namespace=world.namespace))
        path = world.path("web")
        theirs = eventually(lambda: [one["ip"] for one in second.api.get(path)["status"]["loadBalancer"].get("ingress", [])], 30,
                            "the second cluster's Service has addresses")
        assert not set(theirs) & set(vips.values()), "the same name, and not the same Service"
        assert world.balancer("web", "second") and world.balancer("web", "default")
        second.api.delete(path)
        eventually(lambda: second.api.find(path) is None, 30, "deleted there")
        assert world.addresses("web") == vips and world.request(vips[4]), "and here it goes on"
        # By its token it could not, either.
        token = {"Authorization": "Bearer " + other.token_file.read_text().strip()}
        status, answer = cluster.appliance.rest("DELETE", f"/v1/clusters/default/load-balancers/{world.namespace}/web", headers=token)
        assert status == 403, answer
        nodes = {one["metadata"]["name"] for one in cluster.appliance.rest("GET", "/v1/clusters/second/nodes")[1]["items"]}
        assert nodes == {"n1"}
    finally:
        other.stop()
        for one in cluster.appliance.rest("GET", "/v1/clusters/second/nodes")[1].get("items", []):
            cluster.appliance.rest("DELETE", f"/v1/clusters/second/nodes/{one['metadata']['name']}")


class AlonePlane:
    """Looks like a lab to CloudController: an appliance without a dataplane, beside the second cluster's API server."""

    def __init__(self, cluster, control):
        self.folder = cluster.folder / "large"
        self.folder.mkdir()
        self.keep, self.control = False, control
        self.appliance = Appliance(control.namespace, self.folder, cluster.appliance.build, "af_packet", 1)


def test_a_thousand_services_and_a_hundred_nodes(cluster, second, record_property):
    """Time and memory are reported; the bound is on work: one node's change must not cost writes of Services."""
    plane = AlonePlane(cluster, second)
    controller = None
    try:
        plane.appliance.write_config()
        plane.appliance.start_controlplane()
        plane.appliance.controlplane.wait_until(lambda: plane.appliance.rest("GET", "/healthz")[0] == 200, 30, "it serves")
        plane.appliance.put("/v1/address-pools/large", {"metadata": {"name": "large"}, "spec": {"addresses": ["198.18.0.0/16"]}})
        for number in range(NODES):
            add_node(second, number + 100)
        second.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "large"}})
        for number in range(SERVICES):
            second.api.create(service(f"s{number}", namespace="large", dual=False))
        controller = CloudController(plane, "large-controller", control=second).install()
        began = time.monotonic()
        controller.start(wait=False)

        def done():
            items = second.api.list("/api/v1/namespaces/large/services")
            return sum(1 for one in items if one["status"]["loadBalancer"].get("ingress")) == SERVICES
        eventually(done, 180, "all have addresses", every=0.25)
        took = time.monotonic() - began
        eventually(lambda: len(plane.appliance.rest("GET", "/v1/nodes?limit=1000")[1]["items"]) >= NODES, 30, "all nodes")
        controller.settled()
        now, most = controller.memory_kilobytes()
        record_property(f"{SERVICES} Services x {NODES} nodes: seconds until all have addresses; controller's memory now, at most (KB)",
                        (round(took, 2), now, most))
        # One node changes: one write to the appliance, none to Services.
        version = second.api.get("/api/v1/namespaces/large/services")["items"]
        before = {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in version}
        balancers = plane.appliance.rest("GET", "/v1/load-balancers?limit=2000")[1]["items"]
        spent = cpu_seconds(controller)
        second.api.patch("/api/v1/nodes/n100/status", {"status": {"addresses": [{"type": "InternalIP", "address": "10.9.200.1"}]}})
        eventually(lambda: plane.appliance.rest("GET", "/v1/nodes/n100")[1]["spec"]["addresses"] == ["10.9.200.1"], 20, "the node follows")
        controller.settled()
        record_property("one node's change: seconds of CPU of the controller", round(cpu_seconds(controller) - spent, 3))
        after = {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in second.api.list("/api/v1/namespaces/large/services")}
        assert after == before, "no Service was written"
        changed = {one["metadata"]["name"]: one["metadata"]["generation"] for one in balancers if "generation" in one["metadata"]}
        again = {one["metadata"]["name"]: one["metadata"].get("generation") for one in
                 plane.appliance.rest("GET", "/v1/load-balancers?limit=2000")[1]["items"]}
        assert all(again[name] == generation for name, generation in changed.items()), "no load balancer was written"
    finally:
        if controller:
            controller.kill()
        plane.appliance.remove()


def cpu_seconds(controller):
    fields = open(f"/proc/{controller.process.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100

