#!/usr/bin/env python3
"""The story of ./demo --kubernetes; ./demo installs and builds first and then runs this."""
import argparse
import re
import signal
import sys
import time

from kubernetes import programs
from kubernetes.cluster import ClusterLab
from kubernetes.controller import RBAC, CloudController
from kubernetes.world import World
from lab import TimeoutExpired, eventually, fetch, missing_abilities, remove_leftovers, spread_of
from lab.appliance import ROOT
from lab.lab import exit_on_signals
from story import Story, WrongResult

NAME = "gw-kube"
PROGRAMS = ("ip", "nsenter", "ethtool", "curl", "wrk", "nft", "openssl", "etcd")

PICTURE = """\
  namespace                namespace gw-kube-appliance                             namespaces gw-kube-...
 ┌─────────────────┐      ┌─────────────────────────────────────────────────┐      ┌────────────────────────────────┐
 │ gw-kube-client  │      │ guideway-cloud-controller ── watches ───────────┼──┐   │ control  10.0.2.5              │
 │ curl wrk        │      │        │ REST                                   │  ├───┤   kube-apiserver, etcd,        │
 │                 │      │ guideway-controlplane                           │  │   │   kube-controller-manager      │
 │                 │      │        │ ForwardingState                        │  │   ├────────────────────────────────┤
 │ 192.0.2.10      │      │        ▼                                        │  │   │ node1..3  10.0.2.11 .. 13      │
 │ 2001:db8:1::10  ├──────┤client0 ══ guideway-dataplane (DPDK) ══════ node0├──┼───┤   kube-proxy                   │
 └─────────────────┘ veth └─────────────────────────────────────────────────┘  │   │   pod<k>  10.244.<n>.<i>       │
                                                                               └───┤           a server each        │
   to VIP:port ─────►  to nodeIP:NodePort ─────►  kube-proxy ─────►  pod           └────────────────────────────────┘
"""


class Demo:
    def __init__(self, lab, story):
        self.lab, self.story = lab, story
        self.appliance, self.client = lab.appliance, lab.client
        self.world = World(lab, "default")
        self.vip = {}

    # What is typed.

    def kubectl(self, *arguments, show=True, most=20):
        self.story.command("kubectl " + " ".join(str(one).replace(str(ROOT) + "/", "") for one in arguments))
        output = self.lab.kubectl(*arguments)
        if show:
            self.story.show(output, most)
        return output

    def guideway(self, *arguments, show=True):
        self.story.command("guideway " + " ".join(str(one).replace(str(ROOT) + "/", "") for one in arguments))
        output = self.appliance.cli(*arguments)
        if show:
            self.story.show(output)
        return output

    def answers(self, vip, count):
        """The pods that answer `count` requests by curl, each a connection of its own."""
        host = f"[{vip}]" if ":" in vip else vip
        self.story.command(f'curl -H "Connection: close" "http://{host}/?[1-{count}]"      (in the client\'s namespace)')
        done = self.client.run("curl", "-sS", "--max-time", "20", "-H", "Connection: close", f"http://{host}/?[1-{count}]", check=False)
        self.story.check(done.returncode == 0, f"curl succeeded {count} times", done.stderr.strip())
        return [line.split() for line in done.stdout.splitlines()]

    def pods(self, count):
        pods = self.world.pods("web", count, within=90)
        return {pod["metadata"]["name"]: pod["spec"].get("nodeName") for pod in pods if pod}

    def wrk(self, seconds):
        """Started; opens a connection for each request."""
        vip = self.vip[4]
        self.story.command(f'wrk -t1 -c16 -d{seconds}s -H "Connection: close" http://{vip}/ &')
        before = self.forwarded()
        load = self.lab.run("wrk", "wrk", "-t1", "-c16", f"-d{seconds}s", "--timeout", "5s", "-H", "Connection: close",
                            f"http://{vip}/", namespace=self.client)
        eventually(lambda: self.forwarded() > before + 100, 10, "wrk is at work")
        return load

    def no_failure(self, load, least):
        self.story.check(load.running, "wrk was at work all the time")
        eventually(lambda: not load.running, 60, "wrk ends")
        report = load.output()
        self.story.show("\n".join(line for line in report.splitlines() if re.search("requests in|Requests/sec|errors|Non-2xx", line)))
        found = re.search(r"(\d+) requests in", report)
        total = int(found[1]) if found else 0
        failed = re.search("Socket errors.*|Non-2xx.*", report)
        self.story.check(total > least and not failed, f"0 failed requests of {total}", failed[0] if failed else report)

    def forwarded(self):
        return self.appliance.metric("guideway_service_connections_total")

    # The chapters.

    def start(self):
        story, lab = self.story, self.lab
        story.chapter("A cluster and an appliance", "kube-apiserver, kube-controller-manager, kube-proxy: Kubernetes' own programs, built "
                      "from its Go modules. A small program plays the kubelets: a pod is a network namespace with a server in it.")
        self.kubectl("version")
        self.kubectl("get", "nodes", "-o", "wide")
        self.appliance.write_config()
        self.appliance.start()
        self.guideway("apply", "-f", ROOT / "configs/demo/pool.yaml")
        story.check(True, "the appliance is ready, and has addresses to give")

    def install(self):
        story, lab = self.story, self.lab
        story.chapter("The cloud controller", "Its account in the cluster may do what it needs and nothing else; its token of the appliance "
                      "reaches this cluster's load balancers and nodes alone.")
        self.kubectl("apply", "-f", RBAC)
        lab.controller = CloudController(lab).install()
        story.command("guideway-cloud-controller --kubeconfig guideway.kubeconfig --appliance http://127.0.0.1:8870 --appliance-token-file appliance.token")
        lab.controller.start()
        eventually(lambda: len(self.appliance.rest("GET", "/v1/nodes")[1]["items"]) == 3, 20, "the appliance knows the nodes")
        self.appliance.wait_in_force()
        self.guideway("get", "nodes")
        story.check(True, "the appliance knows the cluster's three nodes; nobody typed an address")

    def expose(self):
        story = self.story
        story.chapter("kubectl apply", "Three pods, and a Service of type LoadBalancer.")
        self.kubectl("apply", "-f", ROOT / "configs/demo/kubernetes.yaml")
        began = time.monotonic()
        self.vip = self.world.addresses("web")
        took = time.monotonic() - began
        story.check(set(self.vip) == {4, 6}, f"{self.vip.get(4)} and {self.vip.get(6)}, {took * 1000:.0f} ms after kubectl", self.vip)
        self.pods(3)
        for vip in self.vip.values():
            self.world.served(vip)
        self.kubectl("get", "services", "web")
        self.world.event("web", "EnsuredLoadBalancer")
        self.kubectl("events", "--for", "service/web", most=10)
        story.check(True, "and it serves")

    def spread(self):
        story = self.story
        story.chapter("Who answers")
        for family, vip in self.vip.items():
            names = spread_of(one[0][-5:] for one in self.answers(vip, 120))
            story.bars(names)
            story.check(len(names) == 3, f"IPv{family}: all three pods", names)
            words = self.world.datagram(vip)
            story.check(words[0].startswith("web-"), f"IPv{family}: UDP comes back from {words[0]}", words)

    def scale(self):
        story = self.story
        story.chapter("Scaled up and down")
        for count in (6, 2):
            self.kubectl("scale", "deployment", "web", f"--replicas={count}")
            pods = self.pods(count)
            eventually(lambda pods=pods: {one[0] for one in self.world.answers(self.vip[4], 60)} == set(pods), 30, "all pods serve")
            story.check(True, f"{count} pods, and all of them answer, and nobody else")
        self.kubectl("scale", "deployment", "web", "--replicas=3", show=False)
        self.pods(3)

    def roll(self):
        story = self.story
        story.chapter("Rolling updates under load", "wrk opens connections as fast as it can while every pod is replaced; once with each "
                      "traffic policy. Pods that end are served to their end.")
        for policy in ("Cluster", "Local"):
            self.kubectl("patch", "service", "web", "-p", f'{{"spec": {{"externalTrafficPolicy": "{policy}"}}}}')
            eventually(lambda policy=policy: self.world.balancer("web")["spec"].get("externalTrafficPolicy", "Cluster") == policy, 20, policy)
            self.world.served(self.vip[4])
            before = self.pods(3)
            load = self.wrk(24)
            self.kubectl("rollout", "restart", "deployment", "web")
            self.kubectl("rollout", "status", "deployment", "web", "--timeout=60s", show=False)
            after = self.pods(3)
            story.check(not set(before) & set(after), f"policy {policy}: every pod is another one now")
            self.no_failure(load, 500)
        story.check(self.world.addresses("web") == self.vip, "the addresses never changed")

    def drain(self):
        story = self.story
        story.chapter("A node is drained", "Its pods move; policy Local, so the appliance has to follow them.")
        load = self.wrk(14)
        self.kubectl("drain", "node2", "--ignore-daemonsets")
        where = self.pods(3)
        story.check("node2" not in where.values(), "no pod is left on node2", where)
        self.no_failure(load, 300)
        nodes = spread_of(one[1] for one in self.answers(self.vip[4], 60))
        story.bars(nodes)
        story.check("node2" not in nodes, "nothing goes to node2", nodes)
        self.kubectl("uncordon", "node2")

    def hairpin(self):
        story = self.story
        story.chapter("A pod uses the external address", "Through the appliance, also where client and server share a node.")
        pod = self.world.pods("web", 3)[0]
        inside = self.lab.pod_namespace(pod)
        seen = spread_of(fetch(inside, self.vip[4], 80).text.split()[0][-5:] for _ in range(60))
        story.bars(seen)
        story.check(len(seen) == 3, f"{pod['metadata']['name']} reached all three pods, itself too", seen)

    def controller_dies(self):
        story = self.story
        story.chapter("The controller is killed", "Traffic needs it as little as the API server; what changed meanwhile is done when it is back.")
        self.lab.controller.kill()
        self.kubectl("expose", "deployment", "web", "--name", "second", "--type", "LoadBalancer", "--port", "80", "--target-port", "8080",
                     show=False)
        story.check(self.world.request(self.vip[4])[0].startswith("web-"), "killed: the first Service goes on")
        began = time.monotonic()
        self.lab.controller.start(wait=False)
        second = self.world.addresses("second", count=1)[4]
        self.world.served(second)
        story.check(True, f"started: the Service made meanwhile serves at {second}, {time.monotonic() - began:.2f} s later")

    def delete(self):
        story = self.story
        story.chapter("The Service is deleted")
        self.kubectl("delete", "service", "web")
        for vip in self.vip.values():
            self.world.silent(vip)
        story.check(self.world.balancer("web") is None, "gone from the appliance, and the addresses are free again")
        self.guideway("get", "lb")

    def tell(self):
        for chapter in (self.start, self.install, self.expose, self.spread, self.scale, self.roll, self.drain, self.hairpin,
                        self.controller_dies):
            chapter()

    def end(self, keep):
        if not keep:
            self.delete()


def farewell(story, demo, keep):
    story.line()
    story.line(story.paint("1;32", f"All {story.right} results are right ({story.seconds:.0f} s)."))
    if not keep:
        story.line("Next: ./demo --kubernetes --keep leaves it up to play with; docs/kubernetes.md says how to join your own cluster.")
        return
    lab = demo.lab
    inside = f"nsenter --net=/run/netns/{lab.control_namespace.name}"
    guideway = " ".join(lab.appliance.namespace.command(*lab.appliance.command()))
    story.line(f"""It is left up. Look around (as root):

    alias kubectl='{inside} {programs.program("kubectl")} --kubeconfig {lab.control.admin}'
    alias guideway='{guideway}'
    kubectl get services,pods -o wide; kubectl describe service web; guideway get lb
    nsenter --net=/run/netns/{demo.client.name} curl http://{demo.vip[4]}/
    less {lab.folder}/cloud-controller/cloud-controller.log

    ./demo --clean      removes everything""")


def main():
    parser = argparse.ArgumentParser(prog="./demo --kubernetes", description="Shows Guideway behind a real Kubernetes API server.")
    parser.add_argument("--kubernetes", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--keep", action="store_true", help="leave it up at the end, with commands to look around")
    parser.add_argument("--clean", action="store_true", help="remove what a kept or killed demo left")
    parser.add_argument("--driver", choices=("af_packet", "af_xdp"), default="af_packet", help="how the dataplane drives its ports")
    parser.add_argument("--workers", type=int, choices=(1, 2), default=1)
    parser.add_argument("--build", default="build", help="meson's build folder (default: build)")
    parser.add_argument("--name", default=NAME, help=argparse.SUPPRESS)
    parser.add_argument("--preflight", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.clean:
        print("removed" if remove_leftovers(options.name) else "nothing to remove")
        return 0
    missing = missing_abilities(PROGRAMS) + ([] if options.preflight else programs.missing())
    if missing:
        print("The demo cannot run here. Missing:", *missing, sep="\n  - ", file=sys.stderr)
        return 2
    if options.preflight:
        return 0
    exit_on_signals()
    story = Story()
    story.line(story.paint("1", "Guideway and a real Kubernetes. Everything happens in network namespaces of this machine."))
    story.line()
    story.line(PICTURE)
    lab = ClusterLab(options.name, options.build, options.driver, options.workers, keep=options.keep)
    status = 1
    try:
        with lab:
            demo = Demo(lab, story)
            try:
                demo.tell()
                demo.end(options.keep)
                farewell(story, demo, options.keep)
                status = 0
                if options.keep:
                    lab.leave_it_up()
            except (WrongResult, TimeoutExpired, OSError, RuntimeError) as trouble:
                print(f"\nThe demo failed: {trouble}\n\n{lab.logs()}", file=sys.stderr)
            finally:
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # the cleaning up is short, and must be whole
    except (RuntimeError, TimeoutExpired) as trouble:
        print(f"\nThe cluster could not be made: {trouble}", file=sys.stderr)
    except KeyboardInterrupt:
        status = 130
    if status == 130:
        print("\ninterrupted; everything is removed", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
