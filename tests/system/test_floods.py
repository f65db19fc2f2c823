"""Floods beside honest clients: from a raw socket in the client's namespace, bounded in rate and time.

Each flood comes over the cable that the honest client uses, too. What counts is that every one of its requests succeeds, that the connection it holds
goes on, and that control socket, ARP and BGP (here: a TCP connection of port 179 to the appliance itself) live meanwhile. Rates are only reported.
"""
import contextlib
import os
import pathlib
import random
import re
import socket
import struct
import sys
import time

import pytest
from kinds import AF_PACKET_1, AF_PACKET_2
from lab import Process, RequestLoad, connect, receive

os.environ.setdefault("XDG_CACHE_HOME", "/tmp")
from scapy.layers.inet import ICMP, IP, TCP, UDP  # noqa: E402
from scapy.layers.inet6 import (ICMPv6EchoRequest, IPv6, IPv6ExtHdrFragment,  # noqa: E402
                                IPv6ExtHdrRouting)
from scapy.layers.l2 import ARP, Ether  # noqa: E402
from scapy.packet import Raw  # noqa: E402

TOOL = pathlib.Path(__file__).parent / "lab/tools/flood.py"
RATE = 20_000    # frames a second
SECONDS = 4
VARIANTS = 1024  # different frames of a flood


def mac_of(namespace, interface):
    return re.search(r"link/ether (\S+)", namespace.run("ip", "link", "show", interface).stdout)[1].lower()


class Flood:
    """`make`: (dice, family, source, destination) -> the frame above Ethernet. Sources are forged, but for those of the link."""

    def __init__(self, lab, name, make, destinations):
        self.lab, self.name = lab, name
        dice = random.Random(name)
        ether = Ether(dst=mac_of(lab.topology.appliance, "client0"), src=mac_of(lab.client, "eth0"))
        frames = []
        for number in range(VARIANTS):
            family = 6 if number % 2 else 4
            source = (f"198.18.{dice.randrange(256)}.{dice.randrange(1, 255)}" if family == 4
                      else f"2001:db8:bad:{dice.randrange(1 << 16):x}::{dice.randrange(1, 1 << 16):x}")
            made = make(dice, family, source, destinations[family])
            frame = bytes(made if isinstance(made, Ether) else ether / made)
            frames.append(struct.pack("!H", len(frame)) + frame)
        self.file = lab.folder / f"flood-{name}.frames"
        self.file.write_bytes(b"".join(frames))
        self.process = None

    def __enter__(self):
        self.process = Process(f"flood-{self.name}", [sys.executable, TOOL, "eth0", self.file, RATE, SECONDS],
                               self.lab.folder, self.lab.client)
        return self

    @property
    def on(self):
        return self.process.running

    @property
    def sent(self):
        return int(re.search(r"sent (\d+)", self.process.output())[1])

    def __exit__(self, *_):
        with contextlib.suppress(Exception):
            self.process.popen.wait(SECONDS + 30)
        if self.process.running:
            self.process.kill()


def above(family, source, destination, **fields):
    return (IPv6 if family == 6 else IP)(src=source, dst=destination, **fields)


def ports(dice):
    return {"sport": dice.randrange(1024, 65536)}


def syn(dice, family, source, destination):
    return above(family, source, destination) / TCP(**ports(dice), dport=80, flags="S", seq=dice.randrange(1 << 32))


def udp(dice, family, source, destination):
    return above(family, source, destination) / UDP(**ports(dice), dport=53) / Raw(b"flood")


def ping(dice, family, source, destination):
    echo = ICMPv6EchoRequest(id=dice.randrange(1 << 16)) if family == 6 else ICMP(id=dice.randrange(1 << 16))
    return above(family, source, destination) / echo / Raw(bytes(56))


def fragment(dice, family, source, destination):
    rest = Raw(bytes(200))
    if family == 6:
        extension = IPv6ExtHdrFragment(id=dice.randrange(1 << 32), offset=dice.choice((0, 25)), m=1, nh=17)
        return IPv6(src=source, dst=destination) / extension / rest
    return IP(src=source, dst=destination, id=dice.randrange(1 << 16), flags="MF", frag=dice.choice((0, 25)), proto=17) / rest


def scan(dice, family, source, destination):
    """Closed ports, from one source prefix and from many."""
    source = source if dice.random() < 0.5 else ("198.18.0.1" if family == 4 else "2001:db8:bad::1")
    layer = TCP(**ports(dice), dport=dice.randrange(20000, 60000), flags="S") if dice.random() < 0.5 else \
        UDP(**ports(dice), dport=dice.randrange(20000, 60000))
    return above(family, source, destination) / layer


def hostile(dice, family, source, destination):
    """Martians, land, source routes, routing headers, and TCP of no connection."""
    forged = dice.choice(("0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "240.1.2.3") if family == 4
                         else ("::", "::1", "ff02::1", "::ffff:192.0.2.1"))
    layer = TCP(**ports(dice), dport=80, flags=dice.choice(("S", "A", "R", "F", "", "FSRPAU")))
    kind = dice.randrange(4)
    if kind == 0:
        return above(family, forged, destination) / layer
    if kind == 1:
        return above(family, destination, destination) / layer
    if kind == 2:
        return above(family, source, destination) / layer
    if family == 4:
        return IP(src=source, dst=destination, options=[Raw(bytes([131, 7, 4, 10, 0, 0, 1, 0]))]) / layer
    return IPv6(src=source, dst=destination) / IPv6ExtHdrRouting(type=0, addresses=["2001:db8::1"], segleft=1) / layer


def arp(dice, family, source, destination):
    """Questions for the appliance's own address and for others, from hosts that are none."""
    mac = f"02:bb:{dice.randrange(256):02x}:{dice.randrange(256):02x}:{dice.randrange(256):02x}:01"
    target = dice.choice(("192.0.2.1", f"192.0.2.{dice.randrange(100, 250)}"))
    return Ether(dst="ff:ff:ff:ff:ff:ff", src=mac) / ARP(hwsrc=mac, psrc=f"192.0.2.{dice.randrange(100, 250)}", pdst=target)


class Honest:
    """A client of the VIPs: requests on new connections, and a connection that it holds."""

    def __init__(self, lab):
        self.lab = lab
        self.loads = {family: RequestLoad(lab.client, vip, 80, threads=1, timeout=30.0, pause=0.05)
                      for family, vip in lab.vips.items()}
        self.held = {}
        self.rounds = 0

    def __enter__(self):
        for family, vip in self.lab.stream_vips.items():
            self.held[family] = connect(self.lab.client, vip, 7, timeout=30.0)
        for load in self.loads.values():
            load.start()
        return self

    def use_held(self):
        for stream in self.held.values():
            words = f"round {self.rounds} ".encode() * 50
            stream.sendall(words)
            assert receive(stream, len(words)) == words
        self.rounds += 1

    def __exit__(self, *_):
        for load in self.loads.values():
            load.stop()
        for stream in self.held.values():
            stream.close()

    def judge(self, what, flood):
        done = sum(load.done for load in self.loads.values())
        failures = [failure for load in self.loads.values() for failure in load.failures]
        gap = max(load.longest_gap for load in self.loads.values())
        print(f"{what}: {flood.sent} frames in {SECONDS} s, honest client {done} requests, {len(failures)} failed, "
              f"longest gap {gap * 1000:.0f} ms, {self.rounds} rounds on held connections")
        assert not failures, failures[:5]
        assert all(load.done > 0 for load in self.loads.values())
        assert self.rounds > 0
        assert flood.sent > RATE // 20, "there was no flood"


def asked_arp(lab, address):
    """Does the address answer, asked past the kernel's cache?"""
    done = lab.client.run("arping", "-c", "3", "-w", "10", "-I", "eth0", address, check=False)
    return mac_of(lab.topology.appliance, "client0") in done.stdout.lower()


def drops(lab):
    counts = {}
    for worker in lab.appliance.rest("GET", "/v1/counters")[1]["workers"]:
        for drop in worker["drops"]:
            counts[drop["reason"]] = counts.get(drop["reason"], 0) + drop["packets"]
    return counts


@pytest.mark.parametrize("lab", [AF_PACKET_2], indirect=True)
@pytest.mark.parametrize("make,expected", [
    (syn, None), (udp, None), (ping, "answered"), (fragment, None), (scan, "port_closed"),
    (hostile, ("martian_source", "land_attack", "ip_source_route", "ipv6_routing_header"))],
    ids=["syn", "udp", "ping", "fragment", "scan", "hostile"])
def test_a_flood_at_a_vip_costs_no_honest_request(lab, make, expected):
    before = drops(lab)
    with Honest(lab) as honest:
        with Flood(lab, make.__name__, make, lab.vips) as flood:
            while flood.on:
                honest.use_held()
                assert lab.appliance.in_force, "the control socket answers"
                assert asked_arp(lab, lab.vips[4])
        honest.use_held()
    honest.judge(make.__name__, flood)
    after = drops(lab)
    for reason in (expected,) if isinstance(expected, str) else expected or ():
        assert after[reason] > before[reason], reason


@pytest.mark.parametrize("lab", [AF_PACKET_1], indirect=True)
@pytest.mark.parametrize("make", [syn, udp, ping, fragment, arp], ids=["syn", "udp", "ping", "fragment", "arp"])
def test_a_flood_at_the_appliance_itself_leaves_bgp_and_arp_alive(lab, make):
    own = {4: lab.site.client_side[0], 6: lab.site.client_side[1]}
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(lab.topology.appliance.socket(socket.AF_INET))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((own[4], 179))
        listener.listen()
        listener.settimeout(10)
        here = stack.enter_context(connect(lab.client, own[4], 179, timeout=30.0))
        there = stack.enter_context(listener.accept()[0])
        there.settimeout(30)
        honest = stack.enter_context(Honest(lab))
        longest, keepalives = 0.0, 0
        with Flood(lab, f"own-{make.__name__}", make, own) as flood:
            while flood.on:
                honest.use_held()
                began = time.monotonic()
                for one, other in ((here, there), (there, here)):
                    one.sendall(b"keepalive")
                    assert receive(other, 9) == b"keepalive"
                longest = max(longest, time.monotonic() - began)
                keepalives += 1
                assert asked_arp(lab, own[4])
                assert lab.appliance.in_force
        honest.use_held()
        assert keepalives > 0
        print(f"{make.__name__}: {keepalives} keepalives of BGP, the slowest took {longest * 1000:.0f} ms")
    honest.judge(make.__name__, flood)
    # A moment later there is no trace of it.
    assert asked_arp(lab, own[4])
