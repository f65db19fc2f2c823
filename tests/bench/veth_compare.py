#!/usr/bin/env python3
"""Guideway beside the kernel's own NAT, on the same topology, in the same run.

  meson setup build -Dbenchmarks=true && ninja -C build
  tests/bench/veth_compare.py [--repeats 5] [--seconds 3] [--driver af_packet] [--workers 1] [--json FILE]

Two labs as in ./demo (veth pairs, offloads off on both): in one the appliance is Guideway, in the other the kernel with the
nftables rules that kube-proxy (mode nftables, 1.31) makes for the same load balancer: a verdict map of services, a random
choice of endpoint, DNAT to the NodePort, masquerade. Measured in turns, so that both see the same moods of the machine:

  packets/s        UDP datagrams of 18 bytes (64-byte frames) from 64 flows that reach the nodes, one way; nobody reads them
  connections/s    new TCP connections with one HTTP request each (wrk, 32 at a time)
  Gbit/s           one TCP stream (iperf3), one node
  first packet     ms from the REST PUT of a new load balancer until the first echoed datagram (Guideway only)

Client, appliance and servers share the machine's cores: the figures compare, they are no limits of either.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import select
import socket
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "system"))

from lab import Lab, ask_udp, eventually, fetch, missing_abilities  # noqa: E402
from lab.lab import exit_on_signals, remove_dead_runs, unique_name  # noqa: E402
from lab.servers import HTTP, IPERF, UDP_ECHO  # noqa: E402
from lab.traffic import family_of  # noqa: E402

SINK = 30300  # NodePort where datagrams are received and not read
FLOWS = 64
PORTS = [("http", "TCP", 80, HTTP), ("echo", "UDP", 53, UDP_ECHO), ("iperf", "TCP", 5201, IPERF), ("sink", "UDP", 9, SINK)]


class System:
    """One of the two: how to send through it, and how to leave only one node for iperf3."""

    def __init__(self, label, name, options):
        self.label = label
        self.lab = Lab(name, options.build, options.driver, options.workers)
        self.sinks = []

    def set_up(self):
        self.lab.create()
        for node in self.lab.topology.nodes:
            sink = node.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sink.bind(("::", SINK))
            self.sinks.append(sink)
        self.start()
        for address in self.vips.values():
            eventually(lambda a=address: fetch(self.lab.client, a, 80, timeout=1).status == 200, 20, f"{address} serves")
            eventually(lambda a=address: ask_udp(self.lab.client, a, 53, timeout=1), 20, f"{address} echoes")

    def received(self):
        """Packets that arrived at the nodes."""
        links = [json.loads(node.run("ip", "-s", "-j", "link", "show", "dev", "eth0").stdout) for node in self.lab.topology.nodes]
        return sum(link[0]["stats64"]["rx"]["packets"] for link in links)


class Guideway(System):
    def start(self):
        appliance = self.lab.appliance
        appliance.write_config()
        appliance.start()
        for name in ("pool", "nodes"):
            appliance.cli("apply", "-f", ROOT / f"configs/demo/{name}.yaml")
        self.ensure("bench", PORTS)
        self.vips = appliance.addresses("bench")
        appliance.wait_in_force()

    def ensure(self, name, ports):
        spec = {"ipFamilyPolicy": "RequireDualStack",
                "ports": [{"name": n, "protocol": proto, "port": port, "nodePort": node} for n, proto, port, node in ports]}
        return self.lab.appliance.put(f"/v1/load-balancers/default/{name}",
                                      {"metadata": {"namespace": "default", "name": name}, "spec": spec})

    def one_node(self, only):
        for number in (2, 3):
            body = {"metadata": {"name": f"node{number}"},
                    "spec": {"addresses": list(self.lab.site.node(number)), "drain": only}}
            self.lab.appliance.put(f"/v1/nodes/node{number}?wait=30", body)

    def first_packet_ms(self, turn):
        """From the first byte of the PUT to the first echoed datagram at an address that did not exist before."""
        name = f"new-{turn}"
        with self.lab.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            began = time.monotonic()
            ingress = self.ensure(name, [("echo", "UDP", 53, UDP_ECHO)])["status"]["ingress"]
            address = next(one["ip"] for one in ingress if ":" not in one["ip"])
            datagrams.connect((address, 53))
            while True:
                try:
                    datagrams.send(b"first")
                    if select.select([datagrams], [], [], 0.0005)[0]:
                        datagrams.recv(100)
                        break
                except ConnectionRefusedError:
                    pass
                if time.monotonic() - began > 10:
                    raise RuntimeError(f"{address} does not answer 10 s after its PUT")
            took = (time.monotonic() - began) * 1000
        self.lab.appliance.rest("DELETE", f"/v1/load-balancers/default/{name}?wait=30")
        return took


class KernelNat(System):
    """The appliance's namespace forwards by itself, with kube-proxy's rules."""
    vips = {4: "203.0.113.1", 6: "2001:db8:f::1"}

    def start(self):
        appliance, site = self.lab.topology.appliance, self.lab.site
        for interface, addresses in (("client0", site.client_side), ("node0", site.node_side)):
            appliance.ip(f"addr add {addresses[0]}/24 dev {interface}", f"addr add {addresses[1]}/64 dev {interface} nodad")
        appliance.sysctl("net.ipv4.ip_forward", 1)
        appliance.sysctl("net.ipv6.conf.all.forwarding", 1)
        self.one_node(False)

    def one_node(self, only):
        self.lab.topology.appliance.run("nft", "-f", "-", input="".join(self.rules(family, [1] if only else [1, 2, 3])
                                                                        for family in (4, 6)))

    def rules(self, family, nodes):
        ip, kind = ("ip", "ipv4_addr") if family == 4 else ("ip6", "ipv6_addr")
        address = "{}" if family == 4 else "[{}]"
        chains, elements = [], []
        for name, protocol, port, node_port in PORTS:
            protocol = protocol.lower()
            elements.append(f"{self.vips[family]} . {protocol} . {port} : goto service-{name}")
            for number in nodes:
                target = f"{address.format(self.lab.site.node(number)[family == 6])}:{node_port}"
                chains.append(f"chain endpoint-{name}-{number} {{ meta l4proto {protocol} dnat to {target}\n}}")
            choice = ", ".join(f"{i} : goto endpoint-{name}-{number}" for i, number in enumerate(nodes))
            chains.append(f"chain service-{name} {{ jump mark-for-masquerade\n"
                          f"numgen random mod {len(nodes)} vmap {{ {choice} }}\n}}")
        table = f"{ip} kube-proxy"
        return f"""add table {table}
delete table {table}
table {table} {{
  chain mark-for-masquerade {{ meta mark set meta mark or 0x4000
  }}
  {chr(10).join(chains)}
  map service-ips {{ type {kind} . inet_proto . inet_service : verdict
    elements = {{ {", ".join(elements)} }}
  }}
  chain services {{ {ip} daddr . meta l4proto . th dport vmap @service-ips
  }}
  chain nat-prerouting {{ type nat hook prerouting priority dstnat
    jump services
  }}
  chain masquerading {{ meta mark and 0x4000 == 0 return
    meta mark set meta mark xor 0x4000
    masquerade fully-random
  }}
  chain nat-postrouting {{ type nat hook postrouting priority srcnat
    jump masquerading
  }}
}}
"""


def url(address):
    return f"http://[{address}]/" if ":" in address else f"http://{address}/"


def packets_per_second(system, family, options):
    before = system.received()
    done = system.lab.client.run(options.sender, system.vips[family], 9, options.seconds, FLOWS, 18)
    report = json.loads(done.stdout)
    # What is still queued behind the sender belongs to it.
    last = None
    while (now := system.received()) != last:
        last = now
        time.sleep(0.05)
    return (last - before) / report["seconds"], report["sent"] / report["seconds"]


def connections_per_second(system, family, options):
    done = system.lab.client.run("wrk", "-t1", "-c32", f"-d{options.seconds}s", "--timeout", "5s", "-H", "Connection: close",
                                 url(system.vips[family]))
    failed = re.search("Socket errors.*|Non-2xx.*", done.stdout)
    if failed:
        raise RuntimeError(f"{system.label}: {failed[0]}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1])


def gigabits_per_second(system, family, options):
    done = system.lab.client.run("iperf3", "-c", system.vips[family], "-p", 5201, "-t", options.seconds, "-J", check=False)
    report = json.loads(done.stdout)
    if "error" in report:
        raise RuntimeError(f"{system.label}: iperf3: {report['error']}")
    return report["end"]["sum_received"]["bits_per_second"] / 1e9


def summary(values):
    return {"median": statistics.median(values), "least": min(values), "most": max(values), "values": values}


def measure(systems, options):
    results = {}

    def note(what, system, value):
        results.setdefault(what, {}).setdefault(system.label, []).append(value)
        print(f"  {what}: {system.label} {value:,.2f}", file=sys.stderr, flush=True)

    for turn in range(options.repeats):
        for family in (4, 6):
            for system in systems if turn % 2 == 0 else systems[::-1]:
                if "packets" in options.only:
                    arrived, sent = packets_per_second(system, family, options)
                    note(f"packets/s IPv{family}", system, arrived)
                    note(f"  offered/s IPv{family}", system, sent)
                if "connections" in options.only:
                    note(f"connections/s IPv{family}", system, connections_per_second(system, family, options))
    if "throughput" in options.only:
        for system in systems:
            system.one_node(True)
        for turn in range(options.repeats):
            for family in (4, 6):
                for system in systems if turn % 2 == 0 else systems[::-1]:
                    note(f"Gbit/s IPv{family}", system, gigabits_per_second(system, family, options))
        for system in systems:
            system.one_node(False)
    if "first" in options.only:
        for turn in range(max(10, options.repeats)):
            for system in systems:
                if isinstance(system, Guideway):
                    note("first packet after REST, ms", system, system.first_packet_ms(turn))
    return {what: {label: summary(values) for label, values in by.items()} for what, by in results.items()}


def table(results, labels):
    def cell(found):
        if not found:
            return "-"
        digits = 0 if found["median"] >= 1000 else 2
        return f"{found['median']:,.{digits}f}  ({found['least']:,.{digits}f} .. {found['most']:,.{digits}f})"
    rows = [["median (least .. most)", *labels, "ratio"]]
    for what, by in results.items():
        medians = [by[label]["median"] if label in by else None for label in labels]
        ratio = f"{medians[0] / medians[1]:.2f}" if len(medians) == 2 and all(medians) else ""
        rows.append([what, *(cell(by.get(label)) for label in labels), ratio])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows)


def cpu_model():
    found = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.environ.get("GUIDEWAY_BUILD", "build"))
    parser.add_argument("--driver", choices=("af_packet", "af_xdp"), default="af_packet")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=["packets", "connections", "throughput", "first"],
                        choices=("packets", "connections", "throughput", "first"))
    parser.add_argument("--kernel-only", action="store_true", help="measure only the kernel's NAT")
    parser.add_argument("--json", metavar="FILE", help="all values, for programs")
    options = parser.parse_args()
    missing = missing_abilities(("ip", "ethtool", "nginx", "wrk", "iperf3", "nft"))
    if missing:
        print("This comparison cannot run here. Missing:", *missing, sep="\n  - ", file=sys.stderr)
        return 2
    options.sender = (ROOT / options.build / "tests/bench/veth_udp").resolve()
    if not options.sender.exists():
        print(f"{options.sender} is not built: meson setup build -Dbenchmarks=true && ninja -C build", file=sys.stderr)
        return 2
    exit_on_signals()
    remove_dead_runs("gwb")
    systems = [KernelNat("kernel NAT", unique_name("gwb") + "k", options)]
    if not options.kernel_only:
        systems.insert(0, Guideway(f"Guideway ({options.driver}, {options.workers} worker{'s' * (options.workers > 1)})",
                                   unique_name("gwb") + "g", options))
    try:
        for system in systems:
            system.set_up()
        results = measure(systems, options)
    except Exception:
        for system in systems:
            print(system.lab.logs(20), file=sys.stderr)
        raise
    finally:
        for system in systems:
            system.lab.remove()
    machine = f"{cpu_model()}, {os.cpu_count()} cores, Linux {platform.release()}"
    print(f"{machine}; {options.repeats} repeats of {options.seconds} s\n")
    print(table(results, [system.label for system in systems]))
    if options.json:
        report = {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "machine": machine,
                  "driver": options.driver, "workers": options.workers, "seconds": options.seconds, "results": results}
        pathlib.Path(options.json).write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
