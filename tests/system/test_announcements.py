"""Addresses in a port's own subnet: announced when they come into use, so that nobody goes on sending to the machine that had them before; and
what happens when another machine says that one is its own. Real kernels' neighbour tables and duplicate address detection are the judges.
"""
import json
import re
import socket
import struct

import pytest

from contract import hold
from kinds import AF_PACKET_1
from lab import connect, fetch, receive
from lab.servers import TCP_ECHO
from lab.wait import eventually

pytestmark = pytest.mark.parametrize("lab", [AF_PACKET_1], indirect=True)

# Of the subnets of port client0.
VIPS = {4: "192.0.2.200", 6: "2001:db8:1::200"}
WRONG_MAC = "02:00:00:00:00:66"


@pytest.fixture
def pool(lab):
    appliance = lab.appliance
    appliance.put("/v1/address-pools/on-link", {"metadata": {"name": "on-link"},
                                                "spec": {"addresses": [f"{VIPS[4]}/32", f"{VIPS[6]}/128"], "autoAssign": False}})
    yield
    appliance.rest("DELETE", "/v1/load-balancers/default/here")
    eventually(lambda: appliance.rest("DELETE", "/v1/address-pools/on-link")[0] in (200, 204, 404), 10, "the pool is gone")
    lab.client.run("ip", "neigh", "flush", "dev", "eth0", check=False)


def expose(lab):
    lab.appliance.put("/v1/load-balancers/default/here", {
        "metadata": {"namespace": "default", "name": "here"},
        "spec": {"ipFamilyPolicy": "RequireDualStack", "addressPool": "on-link",
                 "ports": [{"name": "http", "protocol": "TCP", "port": 80, "nodePort": 30080}]}})
    lab.appliance.wait_in_force()


def mac_of(namespace, interface):
    return re.search(r"link/ether (\S+)", namespace.run("ip", "link", "show", interface).stdout)[1].lower()


def believe(lab, mac):
    """The client has the addresses at this machine, and no reason to ask."""
    for vip in VIPS.values():
        lab.client.ip(f"neigh replace {vip} lladdr {mac} dev eth0 nud reachable")


def believed(lab):
    known = json.loads(lab.client.run("ip", "-j", "neigh", "show", "dev", "eth0").stdout)
    return {family: next((one.get("lladdr") for one in known if one["dst"] == vip), None) for family, vip in VIPS.items()}


def test_who_sent_to_another_machine_learns_it_when_the_address_comes_into_use(lab, pool):
    believe(lab, WRONG_MAC)
    expose(lab)
    ours = mac_of(lab.topology.appliance, "client0")
    eventually(lambda: believed(lab) == {4: ours, 6: ours}, 15, f"the client knows {ours} for both: {believed(lab)}")
    for vip in VIPS.values():
        assert fetch(lab.client, vip, 80).status == 200
    assert lab.appliance.metric("guideway_dataplane_announcements_total") >= 2
    # Those of the demo's pool are routed here, on no link: nobody's business.
    snat = len(lab.site.snat)
    assert lab.appliance.metric("guideway_dataplane_announced_addresses") == len(VIPS) + snat


def test_and_when_the_dataplane_takes_over_after_a_crash(lab, pool):
    expose(lab)
    appliance = lab.appliance
    appliance.dataplane.kill()
    believe(lab, WRONG_MAC)
    appliance.start_dataplane()
    ours = mac_of(lab.topology.appliance, "client0")
    eventually(lambda: believed(lab) == {4: ours, 6: ours}, 30, "the client knows the appliance again")
    appliance.wait_ready()
    appliance.wait_in_force()
    assert fetch(lab.client, VIPS[4], 80).status == 200


def test_duplicate_address_detection_finds_the_address_taken(lab, pool):
    expose(lab)
    asked = lab.client.run("arping", "-D", "-c", "2", "-w", "5", "-I", "eth0", VIPS[4], check=False)
    assert asked.returncode == 1 and mac_of(lab.topology.appliance, "client0") in asked.stdout.lower(), asked.stdout
    lab.client.sysctl("net.ipv6.conf.eth0.accept_dad", 1)
    try:
        lab.client.ip(f"addr add {VIPS[6]}/128 dev eth0")

        def failed():
            shown = json.loads(lab.client.run("ip", "-j", "addr", "show", "dev", "eth0").stdout)[0]["addr_info"]
            return any(one["local"] == VIPS[6] and one.get("dadfailed") for one in shown)
        eventually(failed, 10, "the kernel refuses the address: it is taken")
    finally:
        lab.client.run("ip", "addr", "del", f"{VIPS[6]}/128", "dev", "eth0", check=False)
        lab.client.sysctl("net.ipv6.conf.eth0.accept_dad", 0)
    assert lab.appliance.metric("guideway_dataplane_address_claims_total") == 0, "asking is no claim"


def gratuitous_arp(address, mac):
    raw, link = socket.inet_pton(socket.AF_INET, address), bytes(int(one, 16) for one in mac.split(":"))
    return b"\xff" * 6 + link + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + link + raw + bytes(6) + raw


def advertisement(address, mac):
    """An unsolicited neighbour advertisement, as another machine that has the address would send."""
    raw, link = socket.inet_pton(socket.AF_INET6, address), bytes(int(one, 16) for one in mac.split(":"))
    everybody = socket.inet_pton(socket.AF_INET6, "ff02::1")
    message = struct.pack("!BBHI", 136, 0, 0, 0x20000000) + raw + b"\x02\x01" + link
    total = sum(struct.unpack(f"!{(len(raw) * 2 + 8 + len(message)) // 2}H",
                              raw + everybody + struct.pack("!II", len(message), 58) + message))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    message = message[:2] + struct.pack("!H", ~total & 0xffff) + message[4:]
    return b"\x33\x33\0\0\0\x01" + link + b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, len(message), 58, 255) + raw + everybody + message


def test_another_machine_that_claims_an_address_is_named_and_answered(lab, pool):
    expose(lab)
    ours = mac_of(lab.topology.appliance, "client0")
    eventually(lambda: set(believed(lab).values()) <= {ours, None}, 10, "at rest")
    sent = lab.appliance.metric("guideway_dataplane_announcements_total")
    with lab.client.entered():
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with wire:
        wire.bind(("eth0", 0))
        wire.send(gratuitous_arp(VIPS[4], WRONG_MAC))
        wire.send(advertisement(VIPS[6], WRONG_MAC))

    def named():
        return all(lab.appliance.metric("guideway_dataplane_address_conflict", address=vip, mac=WRONG_MAC, port="client0") == 1
                   for vip in VIPS.values())
    eventually(named, 15, "both conflicts are told, with whom and where")
    counters = lab.appliance.rest("GET", "/v1/counters")[1]
    assert {one["address"] for one in counters["announcements"]["conflicts"]} == set(VIPS.values())
    hold("/v1/counters", counters)
    eventually(lambda: lab.appliance.metric("guideway_dataplane_announcements_total") >= sent + 2, 15, "both addresses are defended")
    assert "address conflict: 192.0.2.200 is in use here" in lab.appliance.dataplane.output()
    eventually(lambda: set(believed(lab).values()) <= {ours, None}, 15, "whoever believed the other machine is put right")
    assert fetch(lab.client, VIPS[4], 80).status == 200, "and it goes on serving"


# Of the subnet of port node0, where node1 takes them and node3 asks for them.
NODE_VIPS = {4: "10.0.2.200", 6: "fd00:2::200"}


@pytest.fixture
def yielding(lab):
    """The dataplane yields, and asks again after a second; addresses in the nodes' subnet, and a client that is routed to them."""
    appliance, site = lab.appliance, lab.site

    def restart(**changes):
        appliance.write_config(**changes)
        appliance.dataplane.stop()
        appliance.start_dataplane()
        appliance.wait_ready()
    restart(on_conflict='"yield"', conflict_quiet_seconds=1)
    appliance.put("/v1/address-pools/contested", {
        "metadata": {"name": "contested"}, "spec": {"addresses": [f"{NODE_VIPS[4]}/32", f"{NODE_VIPS[6]}/128"], "autoAssign": False}})
    appliance.put("/v1/load-balancers/default/contested", {
        "metadata": {"namespace": "default", "name": "contested"},
        "spec": {"ipFamilyPolicy": "RequireDualStack", "addressPool": "contested",
                 "ports": [{"name": "echo", "protocol": "TCP", "port": 7, "nodePort": TCP_ECHO}]}})
    appliance.wait_in_force()
    lab.client.ip(f"route add {NODE_VIPS[4]}/32 via {site.client_side[0]}", f"route add {NODE_VIPS[6]}/128 via {site.client_side[1]}")
    yield
    lab.client.ip(f"route del {NODE_VIPS[4]}/32", f"route del {NODE_VIPS[6]}/128")
    for node in lab.topology.nodes:
        for vip, length in ((NODE_VIPS[4], 32), (NODE_VIPS[6], 128)):
            node.run("ip", "addr", "del", f"{vip}/{length}", "dev", "eth0", check=False)
        node.run("ip", "neigh", "flush", "dev", "eth0", check=False)
    appliance.rest("DELETE", "/v1/load-balancers/default/contested")
    eventually(lambda: appliance.rest("DELETE", "/v1/address-pools/contested")[0] in (200, 204, 404), 10, "the pool is gone")
    restart(on_conflict='"defend"', conflict_quiet_seconds=60)


def echoes(stream, text=b"still here"):
    stream.sendall(text)
    return receive(stream, len(text)) == text


def condition(appliance, kind):
    conditions = appliance.rest("GET", "/v1/load-balancers/default/contested")[1]["status"]["conditions"]
    return next(one for one in conditions if one["type"] == kind)


def test_an_address_that_another_machine_keeps_is_left_to_it_and_taken_up_again_when_it_is_gone(lab, yielding):
    appliance, (first, _, third) = lab.appliance, lab.topology.nodes
    ours, theirs = mac_of(lab.topology.appliance, "node0"), mac_of(first, "eth0")

    def third_knows(mac):
        """Who answers node3, which asks anew where it knows nobody."""
        for vip in NODE_VIPS.values():
            third.run("ping", "-c", "1", "-W", "1", vip, check=False)
        known = json.loads(third.run("ip", "-j", "neigh", "show", "dev", "eth0").stdout)
        return {one["dst"]: one.get("lladdr") for one in known if one["dst"] in NODE_VIPS.values()} == dict.fromkeys(NODE_VIPS.values(), mac)
    eventually(lambda: third_knows(ours), 15, "the appliance answers node3")
    streams = [connect(lab.client, vip, 7) for vip in NODE_VIPS.values()]

    # node1 has the addresses, and says so again and again.
    first.ip(f"addr add {NODE_VIPS[4]}/32 dev eth0", f"addr add {NODE_VIPS[6]}/128 dev eth0 nodad")
    with first.entered():
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with wire:
        wire.bind(("eth0", 0))

        def claimed_until_yielded():
            wire.send(gratuitous_arp(NODE_VIPS[4], theirs))
            wire.send(advertisement(NODE_VIPS[6], theirs))
            return all(appliance.metric("guideway_dataplane_address_yielded", address=vip, mac=theirs, port="node0") == 1
                       for vip in NODE_VIPS.values())
        eventually(claimed_until_yielded, 15, "both are left to node1")
    third.run("ip", "neigh", "flush", "dev", "eth0")
    eventually(lambda: third_knows(theirs), 15, "node1 alone answers node3")
    asked = third.run("arping", "-c", "2", "-w", "3", "-I", "eth0", NODE_VIPS[4], check=False).stdout.lower()
    assert theirs in asked and ours not in asked, asked

    # It is told, and what arrives is forwarded.
    eventually(lambda: condition(appliance, "Ready")["reason"] == "AddressYielded", 10, "the load balancer is not ready")
    told = [one for one in appliance.rest("GET", "/v1/events")[1]["items"]
            if one["reason"] == "AddressYielded" and one["regarding"].get("name") == "contested"]
    assert {vip for vip in NODE_VIPS.values() for one in told if vip in one["message"] and theirs in one["message"]} == set(NODE_VIPS.values())
    assert "2 of them LEFT TO IT" in appliance.cli("status") and "AddressYielded" in appliance.cli("describe", "lb", "contested")
    counters = appliance.rest("GET", "/v1/counters")[1]
    assert {one["address"] for one in counters["announcements"]["conflicts"] if one.get("yielded")} == set(NODE_VIPS.values())
    hold("/v1/counters", counters)
    hold("/v1/status", appliance.rest("GET", "/v1/status")[1])
    for stream in streams:
        assert echoes(stream)
    for vip in NODE_VIPS.values():
        with connect(lab.client, vip, 7) as fresh:
            assert echoes(fresh), "a new connection, by a router that knows no better"

    # Its kernel answers the probes.
    heard = appliance.metric("guideway_dataplane_address_claims_total")
    eventually(lambda: appliance.metric("guideway_dataplane_address_claims_total") >= heard + 2, 30, "answers to probes are heard")
    assert all(appliance.metric("guideway_dataplane_address_yielded", address=vip, mac=theirs, port="node0") == 1 for vip in NODE_VIPS.values())

    # It lets go: the appliance finds out, and node3 is told without asking.
    first.ip(f"addr del {NODE_VIPS[4]}/32 dev eth0", f"addr del {NODE_VIPS[6]}/128 dev eth0")
    for vip in NODE_VIPS.values():
        third.ip(f"neigh replace {vip} lladdr {theirs} dev eth0 nud reachable")
    eventually(lambda: third_knows(ours), 45, "the appliance has told node3 of itself")
    eventually(lambda: condition(appliance, "Ready")["status"] == "True", 10, "the load balancer is ready again")
    reasons = [one["reason"] for one in appliance.rest("GET", "/v1/events")[1]["items"] if one["regarding"].get("name") == "contested"]
    assert "AddressConflictOver" in reasons
    for stream in streams:
        assert echoes(stream), "all the while"
        stream.close()
