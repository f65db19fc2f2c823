"""What a test of the cluster has: a Kubernetes namespace of its own, gone with all in it when the test ends, and words for what is done there.

    def test_x(world):
        world.deploy("web", 3)
        world.expose("web")
        assert world.ask("web")[0].startswith("web-")
"""
import json
import time

from lab.traffic import ask_udp, connect, fetch
from lab.wait import eventually

from . import objects
from .api import path_of


class World:
    def __init__(self, lab, namespace):
        self.lab, self.namespace = lab, namespace
        self.api, self.kubectl = lab.api, lab.kubectl

    def create(self):
        self.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        self.lab.control.account_ready(self.namespace)
        return self

    def remove(self):
        """Services first, by their finalizers; pods at once."""
        services = f"/api/v1/namespaces/{self.namespace}/services"
        for one in self.api.list(services):
            self.api.delete(f"{services}/{one['metadata']['name']}")
        self.api.delete(f"/apis/apps/v1/namespaces/{self.namespace}/deployments", propagationPolicy="Background")
        self.api.delete(f"/api/v1/namespaces/{self.namespace}/pods", gracePeriodSeconds=0)
        eventually(lambda: not self.api.list(services), 40, f"the services of {self.namespace} are gone")
        self.api.delete(path_of("Namespace", self.namespace))

    # Doing, as a user does it.

    def apply(self, *manifests):
        """kubectl apply -f -"""
        for one in manifests:
            if one["kind"] not in ("Namespace", "Node"):
                one["metadata"]["namespace"] = self.namespace
        return self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-",
                            stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)}))

    def deploy(self, name="web", replicas=3, wait=True, **options):
        self.apply(objects.deployment(name, replicas, **options))
        return self.pods(name, replicas) if wait else None

    def expose(self, name="web", ports=(objects.HTTP,), wait=True, **options):
        """A Service of type LoadBalancer; {4: address, 6: address} once it has them."""
        self.apply(objects.service(name, ports, **options))
        return self.addresses(name) if wait else None

    def scale(self, name, replicas):
        self.kubectl("-n", self.namespace, "scale", "deployment", name, f"--replicas={replicas}")

    def patch(self, name, spec=None, **more):
        return self.api.patch(self.path(name), {**({"spec": spec} if spec is not None else {}), **more})

    def delete(self, name, wait=True):
        self.kubectl("-n", self.namespace, "delete", "service", name, "--wait=false")
        if wait:
            eventually(lambda: self.find(name) is None, 30, f"service {name} is gone")

    # Asking.

    def path(self, name, kind="Service"):
        return path_of(kind, name, self.namespace)

    def get(self, name):
        return self.api.get(self.path(name))

    def find(self, name):
        return self.api.find(self.path(name))

    def pods(self, name, count, within=60.0):
        return self.lab.pods_ready(name, count, self.namespace, within)

    def ingress(self, name):
        return self.get(name).get("status", {}).get("loadBalancer", {}).get("ingress", [])

    def addresses(self, name="web", within=30.0, count=None):
        wanted = count or (2 if self.get(name)["spec"].get("ipFamilyPolicy") == "RequireDualStack" else 1)

        def given():
            found = {6 if ":" in one["ip"] else 4: one["ip"] for one in self.ingress(name)}
            return found if len(found) == wanted else None
        try:
            return eventually(given, within, f"service {name} has {wanted} addresses")
        except AssertionError as trouble:
            raise AssertionError(f"{trouble}\nevents: {self.events(name)}") from None

    def finalizers(self, name):
        return self.get(name)["metadata"].get("finalizers", [])

    def events(self, name, kind="Service"):
        """[(type, reason, message)] of an object, in the order they came."""
        found = self.api.list(f"/api/v1/namespaces/{self.namespace}/events?fieldSelector=involvedObject.name%3D{name},"
                              f"involvedObject.kind%3D{kind}")
        found.sort(key=lambda one: int(one["metadata"]["resourceVersion"]))
        return [(one["type"], one["reason"], one["message"]) for one in found]

    def event(self, name, reason, within=20.0):
        """The first event with this reason, waited for."""
        return eventually(lambda: next((one for one in self.events(name) if one[1] == reason), None), within,
                          f"an event {reason} of {name}")

    def balancer(self, name, cluster="default"):
        """The appliance's object, or None."""
        status, answer = self.lab.appliance.rest("GET", f"/v1/clusters/{cluster}/load-balancers/{self.namespace}/{name}")
        return answer if status == 200 else None

    # Packets.

    def request(self, address, port=80, timeout=5.0, source=None):
        """[pod, node, client address, client port] as the server saw it."""
        return fetch(source or self.lab.client, address, port, timeout=timeout).text.split()

    def served(self, address, port=80, within=30.0, source=None):
        """Waits for the first good answer, whose time in seconds is returned, and then until it would be so by way of each node: the
        proxies of the nodes learn of a Service one after the other, and refuse until they have."""
        began = time.monotonic()
        eventually(lambda: self.request(address, port, 1.0, source), within, f"{address}:{port} answers", every=0.005)
        took = time.monotonic() - began
        eventually(lambda: self.known_to_all_proxies(address, port), within, f"each node serves {address}:{port}")
        return took

    def known_to_all_proxies(self, address, port):
        """Whether each node that may get connections for this address takes those to the Service's TCP node ports, in each family."""
        for service in self.api.list(f"/api/v1/namespaces/{self.namespace}/services"):
            spec = service["spec"]
            given = service.get("status", {}).get("loadBalancer", {}).get("ingress", [])
            if not any(one["ip"] == address for one in given) or not any(one["port"] == port for one in spec["ports"]):
                continue
            doors = [one["nodePort"] for one in spec["ports"] if one["protocol"] == "TCP" and one.get("nodePort")]
            for node, family in self.entrances(service):
                for door in doors:
                    connect(self.lab.control_namespace, node[family == "IPv6"], door, timeout=1.0).close()
        return True

    def entrances(self, service):
        """[((IPv4, IPv6) of a node, family)]: all nodes, or with policy Local those that have ready pods of this family."""
        name, spec = service["metadata"]["name"], service["spec"]
        nodes = {f"node{number}": self.lab.site.node(number) for number in range(1, 4)}
        if spec.get("externalTrafficPolicy") != "Local":
            return [(node, family) for node in nodes.values() for family in spec["ipFamilies"]]
        slices = self.api.list(f"/apis/discovery.k8s.io/v1/namespaces/{self.namespace}/endpointslices?labelSelector="
                               f"kubernetes.io%2Fservice-name%3D{name}")
        return [(nodes[end["nodeName"]], one["addressType"]) for one in slices for end in one["endpoints"] or [] if end["conditions"].get("ready")]

    def answers(self, address, count, port=80, source=None):
        return [self.request(address, port, source=source) for _ in range(count)]

    def refused(self, address, port=80, within=20.0):
        """Until a connection is refused at once: neither answered nor left hanging."""
        def told():
            try:
                connect(self.lab.client, address, port, timeout=1.0).close()
            except ConnectionRefusedError:
                return True
            return False
        return eventually(told, within, f"{address}:{port} refuses")

    def silent(self, address, port=80, within=20.0):
        """Until nobody answers there any more: refused, or nothing at all."""
        def told():
            try:
                fetch(self.lab.client, address, port, timeout=0.5)
            except OSError:
                return True
            return False
        return eventually(told, within, f"{address}:{port} is closed")

    def datagram(self, address, port=53, timeout=2.0, source_port=0):
        return ask_udp(self.lab.client, address, port, b"ping", timeout, source_port).decode().split()
