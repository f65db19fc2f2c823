"""Paths with a smaller MTU on either side, and traceroute, with real kernels.

    far client            router (the lab's client)        appliance      node3 as router            deep node
    198.51.100.10  ==1300== 198.51.100.1   192.0.2.10 ==1500== ==1500== 10.0.2.13   10.0.9.1 ==1400== 10.0.9.10
    2001:db8:5::10          2001:db8:5::1                                fd00:2::13  fd00:9::1         fd00:9::10

Both ends offer the MSS of a link of 1500 bytes (advmss), so that full segments meet the small links and only ICMP errors tell: those about
downloads come from the router to the VIP and are for the node, those about uploads of the lab's client from node3 to the SNAT address and are for the
client. Where the appliance does not pass them on, the transfer stalls: the control experiment.
"""
import errno
import hashlib
import json
import os
import socket
import struct

import pytest

from conftest import STEM
from lab import Lab, fetch
from lab.appliance import ROOT
from lab.lab import unique_name
from lab.namespace import Namespace, run_ip
from lab.servers import BIG_FILE_BYTES, NodeServers
from lab.traffic import family_of
from lab.wait import eventually

FAR = ("198.51.100.10", "2001:db8:5::10")
ROUTER = ("198.51.100.1", "2001:db8:5::1")
DEEP = ("10.0.9.10", "fd00:9::10")
DEEP_ROUTER = ("10.0.9.1", "fd00:9::1")
SMALL_CLIENT_SIDE = 1300
SMALL_NODE_SIDE = 1400
STALL_SECONDS = 4


class Network:
    """The lab with what stands above around it; the deep node alone serves."""

    def __init__(self):
        self.lab = Lab(unique_name(f"{STEM}m"), os.environ.get("GUIDEWAY_BUILD", "build"), "af_packet", 2, huge_pages=0,
                       servers=False)
        self.far = Namespace(f"{self.lab.name}-far")
        self.deep = Namespace(f"{self.lab.name}-deep")
        self.servers = None

    def __enter__(self):
        try:
            self._create()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _create(self):
        lab = self.lab
        lab.create()
        router, node_router = lab.client, lab.topology.nodes[2]
        self._leaf(self.far, FAR, router, ROUTER, SMALL_CLIENT_SIDE)
        self._leaf(self.deep, DEEP, node_router, DEEP_ROUTER, SMALL_NODE_SIDE)
        folder = lab.folder / "deep"
        folder.mkdir()
        self.servers = NodeServers("deep", self.deep, folder).start()
        lab.appliance.write_config(huge_pages='"never"')
        self.start()
        lab.appliance.cli("apply", "-f", ROOT / "configs/demo/pool.yaml")
        lab.appliance.put("/v1/nodes/deep", {"metadata": {"name": "deep"}, "spec": {"addresses": list(DEEP)}})
        lab.appliance.cli("apply", "-f", ROOT / "configs/demo/web.yaml")
        self.servers.wait()
        self.vips = lab.appliance.addresses("web")
        lab.appliance.wait_in_force()
        eventually(lambda: all(fetch(self.far, vip, 80).status == 200 for vip in self.vips.values()), 20,
                   "the far client is served")

    def _leaf(self, leaf, addresses, router, gateways, mtu):
        leaf.create()
        run_ip(f"link add below netns {router.name} type veth peer name eth0 netns {leaf.name}")
        for namespace, name, own in ((router, "below", gateways), (leaf, "eth0", addresses)):
            namespace.ip(f"addr add {own[0]}/24 dev {name}", f"addr add {own[1]}/64 dev {name} nodad",
                         f"link set {name} mtu {mtu} up")
            namespace.run("ethtool", "-K", name, *"tx off sg off tso off gso off gro off".split())
        leaf.ip(f"route add default via {gateways[0]} advmss 1460", f"route add default via {gateways[1]} advmss 1440")
        router.sysctl("net.ipv4.ip_forward", 1)
        router.sysctl("net.ipv6.conf.all.forwarding", 1)

    def start(self):
        """The appliance, with its routes to both leaves: the dataplane follows the kernel's."""
        self.lab.appliance.start()
        site = self.lab.site
        for own, via, twin in ((FAR, site.client, "gw-client0"), (DEEP, site.node(3), "gw-node0")):
            for address, gateway, length in zip(own, via, (24, 64)):
                self.lab.topology.appliance.ip(f"route replace {address}/{length} via {gateway} dev {twin}".replace(
                    address, address.rsplit(".", 1)[0] + ".0" if "." in address else address.rsplit("::", 1)[0] + "::"))

    def restart(self, **settings):
        """Path MTUs that were learnt are forgotten; the kernels keep them ten minutes."""
        self.lab.appliance.stop()
        self.lab.appliance.write_config(**settings)
        self.start()
        self.forget()
        eventually(lambda: all(fetch(self.far, vip, 80).status == 200 for vip in self.vips.values()), 20, "served again")

    def forget(self):
        for namespace in (self.far, self.deep, self.lab.client):
            namespace.run("ip", "route", "flush", "cache")
            namespace.run("ip", "-6", "route", "flush", "cache")

    def workers(self):
        """The workers' counters now, from the dataplane itself: those in REST may be a moment old."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(10)
            line.connect(str(self.lab.appliance.run_folder / "dataplane.sock"))
            line.sendall(b'{"type":"counters"}\n')
            text = b""
            while not text.endswith(b"\n"):
                piece = line.recv(1 << 20)
                assert piece, f"the answer ends early: {text[-200:]}"
                text += piece
        return json.loads(text)["counters"]["workers"]

    def count(self, name):
        return sum(worker[name] for worker in self.workers())

    def forwarded(self):
        return self.count("icmp_forwarded_too_big")

    def dropped(self, reason):
        return sum(drop["packets"] for worker in self.workers() for drop in worker["drops"] if drop["reason"] == reason)

    def __exit__(self, *_):
        if self.servers:
            self.servers.stop()
        for namespace in (self.far, self.deep):
            namespace.delete()
        self.lab.remove()


@pytest.fixture(scope="module")
def network():
    with Network() as made:
        try:
            yield made
        finally:
            print(made.lab.logs())


def download(network, family, timeout):
    """10 MB from the deep node to the far client, over the small link at the client's side."""
    reply = fetch(network.far, network.vips[family], 80, "/big", timeout=timeout)
    wanted = (network.servers.www / "big").read_bytes()
    assert reply.status == 200 and len(reply.body) == BIG_FILE_BYTES
    assert hashlib.sha256(reply.body).digest() == hashlib.sha256(wanted).digest()


def upload(network, family, timeout):
    """10 MB from the lab's client to the deep node, over the small link at the node's side."""
    sent = (network.servers.www / "big").read_bytes()
    arrived = network.servers.www / "upload" / f"v{family}"
    reply = fetch(network.lab.client, network.vips[family], 80, f"/upload/v{family}", "PUT", sent, timeout=timeout)
    assert reply.status in (201, 204), reply.text
    assert hashlib.sha256(arrived.read_bytes()).digest() == hashlib.sha256(sent).digest()
    arrived.unlink()


@pytest.mark.parametrize("transfer", [download, upload])
def test_ten_megabytes_pass_a_link_that_is_smaller_than_its_ends_think(network, family, transfer):
    network.forget()
    before = network.forwarded()
    transfer(network, family, 60)
    assert network.forwarded() > before, "full segments did not meet the small link: the test shows nothing"


def test_traceroute_shows_the_appliance_as_the_vip(network, family):
    # Beyond it the node's router speaks, in the VIP's name: nobody outside learns of the network behind.
    vip = network.vips[family]
    assert trace(network.far, vip, 53) == [ROUTER[family == 6], vip, vip, "answer"]


def test_without_icmp_errors_the_same_transfers_stall(network):
    network.restart(icmp_errors_per_second=0)
    try:
        for family in (4, 6):
            for transfer in (download, upload):
                network.forget()
                with pytest.raises((TimeoutError, OSError)):
                    transfer(network, family, STALL_SECONDS)
        assert network.dropped("icmp_limited") > 0
    finally:
        network.restart(icmp_errors_per_second=1000)


def test_with_mss_clamping_no_full_segment_is_sent_and_no_error_is_needed(network, family):
    network.restart(tcp_mss_clamp='"1200"', icmp_errors_per_second=0)
    try:
        for transfer in (download, upload):
            transfer(network, family, 60)
        assert network.forwarded() == 0
        assert network.count("mss_clamped") > 0
    finally:
        network.restart(tcp_mss_clamp='"off"', icmp_errors_per_second=1000)


def trace(namespace, address, port, most=6):
    """Who tells of datagrams with TTL 1, 2, ... that they ended there, until one is answered."""
    hops = []
    v6 = ":" in address
    for ttl in range(1, most + 1):
        with namespace.socket(family_of(address), socket.SOCK_DGRAM) as probe:
            level = socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP
            probe.setsockopt(level, socket.IPV6_UNICAST_HOPS if v6 else socket.IP_TTL, ttl)
            probe.setsockopt(level, 25 if v6 else 11, 1)  # IPV6_RECVERR, IP_RECVERR
            probe.settimeout(3)
            probe.connect((address, port))
            probe.send(b"probe")
            try:
                probe.recv(2000)
                return [*hops, "answer"]
            except OSError as error:
                assert error.errno == errno.EHOSTUNREACH, f"TTL {ttl}: {error!r}, so far {hops}"
            _, control, _, _ = probe.recvmsg(0, 512, socket.MSG_ERRQUEUE)
            hops.append(offender(control[0][2], v6))
    return hops


def offender(data, v6):
    """Of a sock_extended_err about time exceeded: who sent it."""
    _, _, kind, _, _, _, _ = struct.unpack_from("=IBBBBII", data)
    assert kind == (3 if v6 else 11)
    return socket.inet_ntop(socket.AF_INET6 if v6 else socket.AF_INET, data[24:40] if v6 else data[20:24])
