#!/usr/bin/env python3
"""The demo's story; ./demo installs and builds first and then runs this."""
import argparse
import json
import re
import signal
import sys
import time

from lab import (Lab, TimeoutExpired, ask_udp, connect, eventually, fetch, missing_abilities,
                 remove_leftovers, spread_of)
from lab.appliance import ROOT
from lab.lab import exit_on_signals
from story import Story, WrongResult

NAME = "gw-demo"
PROGRAMS = ("ip", "nsenter", "ethtool", "nginx", "curl", "wrk", "iperf3", "ping")

PICTURE = """\
  namespace                namespace gw-demo-appliance                              namespaces
  gw-demo-client                                                                    gw-demo-node1..3
 ┌─────────────────┐      ┌──────────────────────────────────────────────────┐      ┌──────────────────────┐
 │ curl wrk iperf3 │      │ guideway-controlplane  REST /v1, /metrics, SQLite│    ┌─┤ node1  nginx, echo,  │
 │                 │      │          │ ForwardingState (Unix socket)         │    │ │  10.0.2.11  iperf3   │
 │ 192.0.2.10      │      │          ▼                                       │    │ ├──────────────────────┤
 │ 2001:db8:1::10  ├──────┤client0 ══ guideway-dataplane (DPDK) ══════ node0 ├────┼─┤ node2  10.0.2.12     │
 └─────────────────┘ veth │    ║                                        ║    │    │ ├──────────────────────┤
                          │gw-client0 192.0.2.1        gw-node0 10.0.2.1     │    └─┤ node3  10.0.2.13     │
                          │    TAP twins: the appliance's own addresses      │      │  fd00:2::11 .. ::13  │
                          └──────────────────────────────────────────────────┘      └──────────────────────┘
   to VIP:port  ──────►  from 10.0.2.100 or fd00:2::100 (SNAT)  to nodeIP:NodePort  ──────►
"""


class Demo:
    def __init__(self, lab, story):
        self.lab, self.story = lab, story
        self.appliance = lab.appliance
        self.client = lab.client
        self.vip = {}

    def guideway(self, *arguments, show=True, most=30):
        self.story.command("guideway " + " ".join(str(one).replace(str(ROOT) + "/", "") for one in arguments))
        output = self.appliance.cli(*arguments)
        if show:
            self.story.show(output, most)
        return output

    def in_force(self):
        eventually(lambda: self.appliance.in_force, 10, "the dataplane has the new state")

    def names_of(self, vip, count):
        """Who answers `count` requests by curl, each a connection of its own."""
        host = f"[{vip}]" if ":" in vip else vip
        command = ["curl", "-sS", "--max-time", "20", "-H", "Connection: close", f"http://{host}/?[1-{count}]"]
        self.story.command(f'curl -H "Connection: close" "http://{host}/?[1-{count}]"      (in the client\'s namespace)')
        done = self.client.run(*command, check=False, timeout=60)
        self.story.check(done.returncode == 0, f"curl succeeded {count} times", done.stderr.strip())
        return spread_of(done.stdout.split())

    # The chapters.

    def start(self):
        story, appliance, lab = self.story, self.appliance, self.lab
        story.chapter("The appliance starts", "Two programs with one configuration file (configs/guideway.cfg). The "
                      "dataplane takes the ports, the control plane opens its store.")
        if lab.huge_pages_free < lab.huge_pages_wanted:
            told = f" ({lab.huge_pages.trouble})" if lab.huge_pages.trouble else ""
            story.say(f"Huge pages: {lab.huge_pages_free} of 2 MiB are free, {lab.huge_pages_wanted} wanted{told}: "
                      "going on with less.")
        appliance.write_config()
        appliance.start_dataplane()
        appliance.start_controlplane()
        appliance.wait_ready()
        story.check(True, f"both are ready; driver {appliance.driver}, {appliance.workers} worker(s)")
        self.guideway("status")

    def configure(self):
        story = self.story
        story.chapter("Addresses, nodes, a load balancer", "What Kubernetes would ask for by its cloud controller, here by "
                      "hand. Each answer means that it is committed to the store.")
        for name in ("pool", "nodes", "web"):
            self.guideway("apply", "-f", ROOT / f"configs/demo/{name}.yaml")
        self.vip = self.appliance.addresses()
        self.in_force()
        self.guideway("get", "lb")
        story.check(set(self.vip) == {4, 6}, f"default/web was given {self.vip.get(4)} and {self.vip.get(6)}", self.vip)

    def spread(self):
        story = self.story
        story.chapter("300 requests, and who answered", "Each request is a connection of its own; Maglev gives each node "
                      "the same share of the connections.")
        for family, vip in self.vip.items():
            counts = self.names_of(vip, 150)
            story.bars(counts)
            story.check(len(counts) == 3 and min(counts.values()) >= 25,
                        f"IPv{family}: all three nodes took a fair share of 150", counts)
        for family, vip in self.vip.items():
            source = fetch(self.client, vip, 80, "/source").text.split()
            story.check(source[1] == self.lab.site.snat[family == 6],
                        f"the server sees the SNAT address {source[1]}: nothing is needed on the nodes", source)

    def datagrams(self):
        story = self.story
        story.chapter("UDP", "90 datagrams from 90 source ports to port 53; each node's echo server signs its answer.")
        for family, vip in self.vip.items():
            answers = [ask_udp(self.client, vip, 53, b"%d" % i).decode().split() for i in range(90)]
            story.check(all(int(answer[3]) == i for i, answer in enumerate(answers)), f"IPv{family}: 90 of 90 came back")
            counts = spread_of(answer[0] for answer in answers)
            story.bars(counts)
            story.check(len(counts) == 3, f"IPv{family}: from all three nodes", counts)

    def refusals(self):
        story = self.story
        story.chapter("What is closed is refused at once", "A client that waits for a timeout is a support call. The "
                      "dataplane itself answers for addresses that exist on no machine.")
        for family, vip in self.vip.items():
            began = time.monotonic()
            refused = False
            try:
                connect(self.client, vip, 81).close()
            except ConnectionRefusedError:
                refused = True
            took = (time.monotonic() - began) * 1000
            story.check(refused and took < 1000, f"TCP to [{vip}]:81 is refused by RST after {took:.1f} ms")
            done = self.client.run("ping", "-c", "3", "-i", "0.2", "-W", "2", vip, check=False)
            story.check(done.returncode == 0 and " 0% packet loss" in done.stdout, f"{vip} answers ping", done.stdout)

    def explain(self):
        story = self.story
        story.chapter("Where would this connection go, and why?", "The answer comes from the dataplane's own table, and the "
                      "real connection goes the same way.")
        vip, port = self.vip[4], 20404
        before = self.guideway("explain", "--protocol", "tcp", "--source", f"{self.lab.site.client[0]}:{port}",
                               "--destination", f"{vip}:80")
        stream = connect(self.client, vip, 80, source_port=port)
        stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while part := stream.recv(4096):
            answer += part
        stream.close()
        name = answer.decode().split()[-1]
        number = int(name.removeprefix("node"))
        story.check(name in before or self.lab.site.node(number)[0] in before, f"and {name} it was")

    def throughput(self):
        story = self.story
        story.chapter("iperf3", "Its two connections must meet at one server, so two nodes are drained meanwhile: they get no "
                      "new connections, the ones they have go on.")
        self.guideway("drain", "node2", show=False)
        self.guideway("drain", "node3", show=False)
        self.in_force()
        for family, vip in self.vip.items():
            story.command(f"iperf3 -c {vip} -t 3")
            done = self.client.run("iperf3", "-c", vip, "-p", 5201, "-t", 3, "-J", check=False, timeout=30)
            report = json.loads(done.stdout or "{}")
            received = report.get("end", {}).get("sum_received", {}).get("bits_per_second", 0)
            story.check(done.returncode == 0 and received > 1e7, f"IPv{family}: {received / 1e9:.2f} Gbit/s through one "
                        "load balancer, client and servers on the same cores", report.get("error", done.stderr))
        for name in ("node2", "node3"):
            self.guideway("undrain", name, show=False)
        self.in_force()

    def withdraw(self):
        story = self.story
        story.chapter("A node goes and comes back under load", "wrk opens new connections as fast as it can while node2 is "
                      "drained, deleted, and registered again.")
        vip = self.vip[4]
        with_node = self.lab.run("wrk", "wrk", "-t1", "-c16", "-d9s", "--timeout", "5s", "-H", "Connection: close",
                                 f"http://{vip}/", namespace=self.client)
        story.command(f'wrk -c16 -d9s -H "Connection: close" http://{vip}/ &')
        requests = self.forwarded
        eventually(lambda: requests() > 100, 10, "wrk is at work")
        self.guideway("drain", "node2")
        self.in_force()
        without = self.names_of(vip, 60)
        story.check("node2" not in without, "node2 gets no new connection", without)
        self.guideway("delete", "node", "node2")
        self.in_force()
        self.guideway("apply", "-f", ROOT / "configs/demo/nodes.yaml")
        self.in_force()
        again = self.names_of(vip, 60)
        story.bars(again)
        story.check(again.get("node2", 0) > 5, "node2 serves again", again)
        story.check(with_node.running, "wrk was at work all the time")
        eventually(lambda: not with_node.running, 20, "wrk ends")
        report = with_node.output()
        story.show("\n".join(line for line in report.splitlines() if re.search("requests in|Requests/sec|errors|Non-2xx", line)))
        total = int(re.search(r"(\d+) requests in", report)[1])
        failed = re.search("Socket errors.*|Non-2xx.*", report)
        story.check(total > 1000 and not failed, f"0 failed requests of {total}", failed[0] if failed else total)

    def forwarded(self):
        return self.appliance.metric("guideway_service_connections_total")

    def crash(self):
        story = self.story
        story.chapter("The dataplane is killed and started again", "kill -9; its state is on disk, so it waits for nobody, and its "
                      "connections are in memory that outlives it.")
        stream = connect(self.client, self.vip[4], 80, timeout=30)
        stream.sendall(b"GET / HTTP/1.1\r\n")
        self.appliance.dataplane.kill()
        story.check(not self.answers(), "killed: nothing answers")
        took = self.restart()
        story.check(took < 20, f"traffic again {took:.2f} s after the start")
        stream.sendall(b"Host: demo\r\nConnection: close\r\n\r\n")
        story.check(b"200 OK" in stream.recv(4096), "a request begun before was ended now, over the same connection")
        stream.close()
        story.check(eventually(lambda: self.appliance.in_force, 10, "control plane reconnects"),
                    "the control plane found it again by itself")

    def static_stability(self):
        story = self.story
        story.chapter("Static stability", "Now the control plane dies too. Forwarding needs nothing but the dataplane.")
        self.appliance.controlplane.kill()
        story.check(all(self.answers(family) for family in self.vip), "control plane killed: traffic goes on")
        self.appliance.dataplane.kill()
        took = self.restart()
        story.check(True, f"dataplane restarted with the control plane dead: traffic again after {took:.2f} s, from its disk")
        self.appliance.start_controlplane()
        self.appliance.wait_ready()
        story.check(self.appliance.addresses() == self.vip, "control plane back: the addresses are the same")

    def answers(self, family=4):
        try:
            return fetch(self.client, self.vip[family], 80, timeout=0.5).status == 200
        except OSError:
            return False

    def restart(self):
        """Starts the dataplane; seconds until the first request is answered."""
        began = time.monotonic()
        self.appliance.start_dataplane().wait_until(self.answers, 30, "a request is answered")
        return time.monotonic() - began

    def kernel_path(self):
        story = self.story
        story.chapter("The appliance's own addresses", "What is not for a VIP goes to the kernel through the ports' TAP "
                      "twins: ping, ssh, BGP work as ever.")
        for address in self.lab.site.client_side:
            done = self.client.run("ping", "-c", "3", "-i", "0.2", "-W", "2", address, check=False)
            story.check(done.returncode == 0, f"{address} answers ping", done.stdout)

    def metrics(self):
        story = self.story
        story.chapter("Numbers", "A piece of /metrics, as Prometheus scrapes it.")
        story.command("curl http://127.0.0.1:8871/metrics      (in the appliance's namespace)")
        wanted = [line for line in self.appliance.metrics().splitlines()
                  if re.match(r"guideway_(service_connections|backend_connections|port_packets|dataplane_flows|forwarding_gen)", line)]
        story.show("\n".join(wanted), most=24)
        story.check(self.forwarded() > 0, "each service, node, port, worker and drop reason has its counters")

    def tell(self):
        self.start()
        self.configure()
        self.spread()
        self.datagrams()
        self.refusals()
        self.kernel_path()
        self.explain()
        self.throughput()
        self.withdraw()
        self.metrics()
        self.crash()
        self.static_stability()


def farewell(story, demo, keep):
    story.line()
    story.line(story.paint("1;32", f"All {story.right} results are right ({story.seconds:.0f} s)."))
    vip = demo.vip
    if not keep:
        story.line("Next: ./demo --keep leaves it up to play with; ./demo --driver af_xdp --workers 2 runs it another way;")
        story.line("      ./check passes every test; README.md says how to run it on your machine.")
        return
    guideway = " ".join(demo.appliance.namespace.command(*demo.appliance.command()))
    client = f"nsenter --net=/run/netns/{demo.client.name}"
    story.line("It is left up. Look around (as root):")
    story.line(f"""
    alias guideway='{guideway}'
    guideway get lb; guideway get nodes; guideway describe lb default/web
    guideway drain node1; guideway top; guideway undrain node1
    {client} curl http://{vip[4]}/
    {client} curl -g 'http://[{vip[6]}]/'
    {client} wrk -c8 -d10s -H 'Connection: close' http://{vip[4]}/
    nsenter --net=/run/netns/{demo.appliance.namespace.name} curl -s http://127.0.0.1:8871/metrics | less
    nsenter --net=/run/netns/{demo.appliance.namespace.name} ip address
    less {demo.lab.folder}/dataplane.log {demo.lab.folder}/controlplane.log {demo.appliance.config}

    ./demo --clean      removes everything""")


def main():
    parser = argparse.ArgumentParser(prog="./demo", description="Shows Guideway at work in network namespaces.")
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
    missing = missing_abilities(PROGRAMS)
    if missing:
        print("The demo cannot run here. Missing:", *missing, sep="\n  - ", file=sys.stderr)
        return 2
    if options.preflight:
        return 0
    exit_on_signals()
    story = Story()
    story.line(story.paint("1", "Guideway: a load balancer at work. Everything happens in network namespaces of this machine."))
    story.line()
    story.line(PICTURE)
    lab = Lab(options.name, options.build, options.driver, options.workers, keep=options.keep)
    status = 1
    try:
        with lab:
            demo = Demo(lab, story)
            try:
                demo.tell()
                farewell(story, demo, options.keep)
                status = 0
                if options.keep:
                    lab.leave_it_up()
            except (WrongResult, TimeoutExpired, OSError, RuntimeError) as trouble:
                print(f"\nThe demo failed: {trouble}\n\n{lab.logs()}", file=sys.stderr)
            finally:
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # the cleaning up is short, and must be whole
    except KeyboardInterrupt:
        status = 130
    if status == 130:
        print("\ninterrupted; everything is removed", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
