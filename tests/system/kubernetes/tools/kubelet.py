#!/usr/bin/env python3
"""The kubelets of all nodes and the scheduler, as far as Services can tell the difference. Runs in the control namespace.

usage: kubelet.py PREFIX KUBECONFIG NODE=PODCIDR4,PODCIDR6@ADDRESS4,ADDRESS6 ...

A pod is a network namespace PREFIX-pod<k> with a cable to its node's namespace PREFIX-<node>, and in it pod_server.py with the arguments
(args) of the pod's first container. What is done as a kubelet does it: addresses of the node's pod network, one after the other; status Running and
Ready when the server listens; deletion: lifecycle.preStop.sleep, SIGTERM, the grace period, SIGKILL, then the object goes. The annotation
guideway.test/ready: "false" makes the readiness probe fail.

The scheduler binds to the node with the fewest pods of the same owner (as the real one spreads those of a Service), then with the fewest
of all, among those that are not cordoned, fit nodeSelector and have no NoSchedule taint.
"""
import concurrent.futures
import ipaddress
import pathlib
import subprocess
import sys
import threading
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from kubernetes.api import Api, ApiError  # noqa: E402
from lab.host import die_with_parent  # noqa: E402
from lab.namespace import Namespace, run_ip  # noqa: E402

SERVER = pathlib.Path(__file__).with_name("pod_server.py")


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def owner(pod):
    """uid of the pod's owner (its ReplicaSet), or its own."""
    return next(iter(pod["metadata"].get("ownerReferences", [])), pod["metadata"])["uid"]


class Node:
    def __init__(self, prefix, name, cidrs):
        self.name = name
        self.namespace = Namespace(f"{prefix}-{name}")
        self.networks = [ipaddress.ip_network(cidr) for cidr in cidrs.split(",")]
        self.next = 10

    def gateway(self, network):
        return network[1]

    def addresses(self):
        self.next += 1
        return [network[self.next] for network in self.networks]


class Pod:
    """One pod on one of the nodes; its steps are done one after the other in a thread of the pool."""

    def __init__(self, kubelet, node, one):
        self.kubelet, self.node, self.object = kubelet, node, one
        self.uid = one["metadata"]["uid"]
        self.lock = threading.RLock()
        self.process = self.namespace = None
        self.addresses = []
        self.reported = None
        self.ending = threading.Event()   # deletion was asked for
        self.forced = threading.Event()   # the object is gone: nothing to wait for

    @property
    def path(self):
        meta = self.object["metadata"]
        return f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"

    def start(self):
        with self.lock:
            if self.ending.is_set():
                return
            number = self.kubelet.number()
            meta = self.object["metadata"]
            self.namespace = Namespace(f"{self.kubelet.prefix}-pod{number}")
            self.namespace.create()
            self.addresses = self.node.addresses()
            cable = f"pod{number}"
            run_ip(f"link add {cable} netns {self.node.namespace.name} type veth peer name eth0 netns {self.namespace.name}")
            inside, outside = ["link set eth0 up"], [f"link set {cable} up"]
            for address, network in zip(self.addresses, self.node.networks):
                gateway, size = self.node.gateway(network), address.max_prefixlen
                flag = " nodad" if size == 128 else ""
                inside += [f"addr add {address}/{size} dev eth0{flag}", f"route add {gateway}/{size} dev eth0",
                           f"route add {'::/0' if size == 128 else 'default'} via {gateway} dev eth0"]
                outside += [f"addr add {gateway}/{size} dev {cable}{flag}", f"route add {address}/{size} dev {cable}"]
            self.node.namespace.ip(*outside)
            self.namespace.ip(*inside)
            container = self.object["spec"]["containers"][0]
            arguments = container.get("args") or ["http=80" if container["image"].startswith("nginx") else "http=8080"]
            self.process = subprocess.Popen(
                self.namespace.command("/usr/bin/python3", "-S", "-E", SERVER, meta["name"], self.node.name, *arguments),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=sys.stderr, preexec_fn=die_with_parent, text=True)
            if self.process.stdout.readline() != "ready\n":
                raise RuntimeError(f"{meta['name']}: its server did not start")
            threading.Thread(target=self.relay, daemon=True).start()
            self.report()

    def relay(self):
        for line in self.process.stdout:
            print(f"{self.object['metadata']['name']}: {line.rstrip()}", flush=True)

    def report(self):
        """Status, when something about it changed."""
        with self.lock:
            ready = self.object["metadata"].get("annotations", {}).get("guideway.test/ready") != "false"
            wanted = (ready, tuple(self.addresses))
            if self.process is None or wanted == self.reported:
                return
            condition = "True" if ready else "False"
            address4, _ = map(str, self.node.host_addresses)
            container = self.object["spec"]["containers"][0]
            status = {"phase": "Running", "hostIP": address4, "hostIPs": [{"ip": str(one)} for one in self.node.host_addresses],
                      "podIP": str(self.addresses[0]), "podIPs": [{"ip": str(one)} for one in self.addresses],
                      "startTime": now(),
                      "conditions": [{"type": kind, "status": condition, "lastTransitionTime": now()} for kind in
                                     ("Ready", "ContainersReady")]
                      + [{"type": kind, "status": "True", "lastTransitionTime": now()} for kind in ("Initialized", "PodScheduled")],
                      "containerStatuses": [{"name": container["name"], "image": container["image"], "imageID": "", "ready": ready,
                                             "restartCount": 0, "started": True, "state": {"running": {"startedAt": now()}}}]}
            self.kubelet.api.patch(self.path + "/status", {"metadata": {"uid": self.uid}, "status": status})
            self.reported = wanted

    def end(self):
        """As asked by the deletion: pre-stop, SIGTERM, grace, SIGKILL, gone."""
        spec = self.object["spec"]
        grace = self.object["metadata"].get("deletionGracePeriodSeconds", spec.get("terminationGracePeriodSeconds", 30))
        deadline = time.monotonic() + grace
        with self.lock:  # a start under way ends first
            if self.process is not None:
                sleep = spec["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
                self.forced.wait(min(sleep, grace))
                self.process.terminate()
                while self.process.poll() is None and time.monotonic() < deadline and not self.forced.wait(0.02):
                    pass
            self.remove()
        if not self.forced.is_set():
            self.kubelet.api.delete(self.path, gracePeriodSeconds=0, preconditions={"uid": self.uid})
        self.kubelet.forget(self)

    def remove(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
        if self.namespace is not None:
            self.namespace.delete()  # with it the cable, and the node's route


class Kubelet:
    def __init__(self, prefix, kubeconfig, nodes):
        self.prefix, self.nodes = prefix, nodes
        self.api = Api(kubeconfig)
        self.pods = {}
        self.cluster_nodes = {}
        self.assigned = {}     # uid -> (node, uid of the owner), of all pods there are
        self.waiting = {}      # uid -> pod that has no node yet
        self.lock = threading.Lock()
        self.scheduling = threading.Lock()
        self.count = 0
        self.pool = concurrent.futures.ThreadPoolExecutor(64)

    def number(self):
        with self.lock:
            self.count += 1
            return self.count

    def forget(self, pod):
        with self.lock:
            self.pods.pop(pod.uid, None)

    def run(self, what, *arguments):
        def told():
            try:
                what(*arguments)
            except ApiError as trouble:
                if trouble.status != 404:  # deleted meanwhile
                    print(f"{what.__qualname__}: {trouble}", flush=True)
            except Exception:
                traceback.print_exc()
        self.pool.submit(told)

    def follow(self, path, changed, listed):
        """List, then watch; again from the list when the server wants it so or is not there."""
        while True:
            try:
                answer = self.api.get(path)
                listed({one["metadata"]["uid"] for one in answer["items"]})
                for one in answer["items"]:
                    changed("ADDED", one)
                since = answer["metadata"]["resourceVersion"]
                while True:
                    for kind, one in self.api.watch(path, since):
                        since = one["metadata"]["resourceVersion"]
                        if kind != "BOOKMARK":
                            changed(kind, one)
            except Exception as trouble:
                print(f"{path}: {type(trouble).__name__}: {trouble}", flush=True)
                time.sleep(0.2)  # the API server is away, or the watch is too old

    def node_changed(self, kind, one):
        name = one["metadata"]["name"]
        if kind == "DELETED":
            self.cluster_nodes.pop(name, None)
        else:
            self.cluster_nodes[name] = one
        self.schedule_all()

    def schedule_all(self):
        for one in list(self.waiting.values()):
            self.schedule(one)

    def pods_listed(self, uids):
        with self.lock:
            gone = [pod for uid, pod in self.pods.items() if uid not in uids]
            for uid in [uid for uid in self.assigned if uid not in uids]:
                del self.assigned[uid]
            for uid in [uid for uid in self.waiting if uid not in uids]:
                del self.waiting[uid]
        for pod in gone:
            self.gone(pod)

    def gone(self, pod):
        pod.forced.set()
        if not pod.ending.is_set():
            pod.ending.set()
            self.run(pod.end)

    def pod_changed(self, kind, one):
        uid = one["metadata"]["uid"]
        with self.lock:
            pod = self.pods.get(uid)
        self.waiting.pop(uid, None)
        if kind == "DELETED":
            self.assigned.pop(uid, None)
            if pod:
                self.gone(pod)
            return
        node = one["spec"].get("nodeName")
        if not node:
            if not one["metadata"].get("deletionTimestamp"):
                self.waiting[uid] = one
                self.schedule(one)
            return
        self.assigned[uid] = (node, owner(one))
        if node not in self.nodes:
            return
        if pod is None:
            pod = Pod(self, self.nodes[node], one)
            with self.lock:
                self.pods[uid] = pod
            if one["metadata"].get("deletionTimestamp"):
                pod.ending.set()
                self.run(pod.end)
            else:
                self.run(pod.start)
            return
        pod.object = one
        if one["metadata"].get("deletionTimestamp"):
            if not pod.ending.is_set():
                pod.ending.set()
                self.run(pod.end)
        else:
            self.run(pod.report)

    def schedule(self, one):
        with self.scheduling:
            if one["metadata"]["uid"] in self.waiting:
                self.choose(one)

    def choose(self, one):
        wanted = one["spec"].get("nodeSelector", {})
        counts = {}
        for name, node in self.cluster_nodes.items():
            spec = node.get("spec", {})
            if (name in self.nodes and not spec.get("unschedulable") and not node["metadata"].get("deletionTimestamp")
                    and not any(taint["effect"] != "PreferNoSchedule" for taint in spec.get("taints", []))
                    and all(node["metadata"].get("labels", {}).get(key) == value for key, value in wanted.items())):
                counts[name] = (0, 0)
        if not counts:
            return  # a change of the nodes asks again
        for name, whose in self.assigned.values():
            if name in counts:
                own, all_ = counts[name]
                counts[name] = (own + (whose == owner(one)), all_ + 1)
        chosen = min(sorted(counts), key=counts.get)
        meta = one["metadata"]
        self.assigned[meta["uid"]] = (chosen, owner(one))
        self.waiting.pop(meta["uid"], None)
        self.run(self.api.must, "POST", f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/binding",
                 {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": meta["name"], "uid": meta["uid"]},
                  "target": {"apiVersion": "v1", "kind": "Node", "name": chosen}})


def main(prefix, kubeconfig, *nodes):
    kubelet = Kubelet(prefix, kubeconfig, {})
    for one in nodes:
        name, _, rest = one.partition("=")
        cidrs, _, hosts = rest.partition("@")
        node = kubelet.nodes[name] = Node(prefix, name, cidrs)
        node.host_addresses = hosts.split(",")
    threading.Thread(target=kubelet.follow, daemon=True,
                     args=("/api/v1/nodes", kubelet.node_changed, lambda _: kubelet.cluster_nodes.clear())).start()
    print("running", flush=True)
    kubelet.follow("/api/v1/pods", kubelet.pod_changed, kubelet.pods_listed)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
