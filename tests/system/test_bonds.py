"""Two cables as one port, with real kernels: the appliance's client side is a bond of `one` and `two`, which end at a switch.

    client eth0 ==== clients --+                +==== one --+
                               +---- switch ----|           +-- [gw-client0] 192.0.2.1   appliance
                                                +==== two --+

Active-backup: the switch is a kernel's bridge. LACP: the kernels of tests have no bonding driver, so the switch is
lab/tools/lag_switch.py, which speaks the protocol by itself.
"""
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

from conftest import STEM, STREAM
from contract import hold
from lab import Lab, RequestLoad, TcpStream, fetch
from lab.appliance import ROOT
from lab.lab import unique_name
from lab.namespace import Namespace, run_ip
from lab.topology import OFFLOADS_OFF
from lab.wait import eventually

TOOLS = pathlib.Path(__file__).parent / "lab" / "tools"


class Bonded:
    """The lab with a bond at the client side, whose addresses a VLAN of it has with `vlan`. `letter` tells labs of one run apart."""

    def __init__(self, letter, workers, bond, vlan=None):
        self.lab = Lab(unique_name(f"{STEM}{letter}"), os.environ.get("GUIDEWAY_BUILD", "build"), "af_packet", workers,
                       huge_pages=0)
        self.switch = Namespace(f"{self.lab.name}-lag")
        self.bond = bond
        self.vlan = vlan

    def __enter__(self):
        try:
            self._create()
        except BaseException:
            print(self.lab.logs())
            self.__exit__()
            raise
        return self

    def _create(self):
        lab, topology = self.lab, self.lab.topology
        lab.create()
        self.switch.create()
        topology.appliance.ip("link set client0 down", f"link set client0 netns {self.switch.name} name clients")
        self.switch.ip("link set clients up")
        self.switch.run("ethtool", "-K", "clients", *OFFLOADS_OFF.split())
        for name in ("one", "two"):
            topology._cable(topology.appliance, name, self.switch, name)
        self.switch.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
        self.connect()
        lab.appliance.write_config(huge_pages='"never"')
        text = lab.appliance.config.read_text()
        text, found = re.subn(r'^( *)interface = "client0";', rf"\1bond = {{ {self.bond} }};", text, count=1, flags=re.M)
        assert found == 1
        if self.vlan:
            text, found = re.subn(r"^( *)(addresses = [^;]*;)", rf'\1vlans = ( {{ id = {self.vlan}; name = "clients"; \2 }} );', text,
                                  count=1, flags=re.M)
            assert found == 1
        lab.appliance.config.write_text(text)
        lab.appliance.start()
        for name in ("pool", "nodes", "web"):
            lab.appliance.cli("apply", "-f", ROOT / f"configs/demo/{name}.yaml")
        lab.appliance.put("/v1/load-balancers/default/stream", STREAM)
        self.vips = lab.appliance.addresses("web")
        self.stream_vip = lab.appliance.addresses("stream")[4]
        lab.appliance.wait_in_force()
        eventually(lambda: all(fetch(lab.client, vip, 80).status == 200 for vip in self.vips.values()), 30, "served")

    def connect(self):
        """The switch: a bridge."""
        self.switch.ip("link add br0 type bridge", "link set br0 up",
                       *(f"link set {name} master br0" for name in ("clients", "one", "two")))
        for name in ("arptables", "iptables", "ip6tables"):
            self.switch.sysctl(f"net.bridge.bridge-nf-call-{name}", 0)

    def __exit__(self, *_):
        self.lab.remove()
        self.switch.delete()

    # What the appliance tells.

    def members(self):
        counters = self.lab.appliance.rest("GET", "/v1/counters")[1]
        hold("/v1/counters", counters)
        port = next(port for port in counters["ports"] if port["name"] == "client0")
        return {one["name"]: one for one in port["bond"]["members"]}

    def carrying(self):
        return {name for name, one in self.members().items() if one["carries"]}

    def said(self, text):
        return text in self.lab.appliance.dataplane.output()

    def cut(self, name):
        self.switch.ip(f"link set {name} down")

    def mend(self, name):
        self.switch.ip(f"link set {name} up")


def goes_on(load, more=200):
    """Requests are answered, many more than until now."""
    done = load.done
    eventually(lambda: load.done >= done + more, 60, f"{more} more requests are answered")


# Active-backup


@pytest.fixture(scope="module", params=[1, 2], ids=["1-worker", "2-workers"])
def backup(request):
    bond = 'mode = "active-backup"; members = ( { interface = "one"; }, { interface = "two"; } ); primary = "one"; up_delay_ms = 100;'
    with Bonded("b", request.param, bond) as made:
        try:
            yield made
        finally:
            print(made.lab.logs())


def test_one_member_carries_and_both_are_shown(backup):
    eventually(lambda: backup.carrying() == {"one"}, 20, "one carries")
    assert all(member["link_up"] for member in backup.members().values())
    metric = backup.lab.appliance.metric
    assert metric("guideway_bond_member_up", port="client0") == 2
    assert metric("guideway_bond_member_carries", port="client0", member="one", mode="active-backup") == 1
    assert metric("guideway_port_up", port="client0", driver="net_bonding") == 1


def test_traffic_goes_on_when_the_active_member_is_cut_and_comes_back(backup):
    lab = backup.lab
    eventually(lambda: backup.carrying() == {"one"}, 20, "one carries")
    with TcpStream(lab.client, backup.stream_vip, 7) as stream, RequestLoad(lab.client, backup.vips[6], 80, pause=0.005) as load:
        goes_on(load)
        backup.cut("one")
        eventually(lambda: backup.carrying() == {"two"}, 20, "two carries")
        assert backup.said("port 'client0': member one lost its link; two carries")
        assert not backup.members()["one"]["link_up"]
        assert "active-backup: one HAS NO LINK, two carries" in lab.appliance.cli("status")
        assert lab.appliance.metric("guideway_port_up", port="client0") == 1, "one member is enough"
        goes_on(load)
        backup.mend("one")
        eventually(lambda: backup.carrying() == {"one"}, 20, "the primary carries again")
        goes_on(load)
        eventually(lambda echoed=stream.echoed: stream.echoed > echoed + 10, 30, "the connection goes on")
    print(f"requests over both moves: {load.report()}; the connection's longest gap {stream.longest_gap:.3f} s")
    assert not stream.trouble, stream.trouble
    assert lab.appliance.metric("guideway_bond_moves_total", port="client0") >= 3


def test_the_switch_learns_the_new_port_without_traffic(backup):
    """The announcements after a move: nobody sends, and the bridge knows the appliance's MAC at the other port."""
    mac = mac_of(backup.lab.topology.appliance, "gw-client0")

    def learnt():
        with backup.switch.entered():
            found = subprocess.run(["bridge", "fdb", "show", "br", "br0"], capture_output=True, text=True, check=True)
        return {line.split()[2] for line in found.stdout.splitlines() if line.startswith(mac) and "permanent" not in line}
    eventually(lambda: backup.carrying() == {"one"}, 20, "one carries")
    backup.cut("one")
    eventually(lambda: learnt() == {"two"}, 20, f"{mac} is learnt at two")
    backup.mend("one")
    eventually(lambda: learnt() == {"one"}, 20, f"{mac} is learnt at one")


def mac_of(namespace, name):
    with namespace.entered():
        found = subprocess.run(["ip", "-j", "link", "show", name], capture_output=True, text=True, check=True)
    return json.loads(found.stdout)[0]["address"]


def test_without_any_link_the_port_is_down_and_comes_back(backup):
    backup.cut("one")
    backup.cut("two")
    eventually(lambda: not backup.carrying(), 20, "none carries")
    assert backup.lab.appliance.metric("guideway_port_up", port="client0") == 0
    assert backup.said("none carries")
    backup.mend("two")
    eventually(lambda: backup.carrying() == {"two"}, 20, "two carries")
    eventually(lambda: fetch(backup.lab.client, backup.vips[4], 80).status == 200, 30, "served again")
    backup.mend("one")
    eventually(lambda: backup.carrying() == {"one"}, 20, "the primary carries again")


def test_pings_reach_the_appliances_own_address(backup, family):
    eventually(lambda: backup.carrying() == {"one"}, 20, "one carries")
    done = backup.lab.client.run("ping", "-c", "3", "-i", "0.1", "-W", "3", backup.lab.site.client_side[family == 6], check=False)
    assert " 0% packet loss" in done.stdout, done.stdout


def test_vlans_lie_on_a_bond():
    """A tagger beside the bridge gives the clients' frames the tag of a VLAN of the bond."""
    class Tagged(Bonded):
        def connect(self):
            run_ip(f"link add trunk netns {self.switch.name} type veth peer name bridged netns {self.switch.name}")
            for name in ("trunk", "bridged"):
                self.switch.ip(f"link set {name} mtu 1508 up")
                self.switch.run("ethtool", "-K", name, *OFFLOADS_OFF.split())
            self.switch.ip("link add br0 type bridge", "link set br0 mtu 1508 up",
                           *(f"link set {name} mtu 1508 master br0" for name in ("bridged", "one", "two")))
            tagger = self.lab.run("tagger", sys.executable, TOOLS / "tagger.py", "trunk", "clients=100", namespace=self.switch)
            tagger.wait_until(lambda: "ready" in tagger.output(), 20, "the tagger listens")

    bond = 'mode = "active-backup"; members = ( { interface = "one"; }, { interface = "two"; } );'
    with Tagged("c", 1, bond, vlan=100) as made:
        eventually(lambda: made.carrying() == {"one"}, 20, "one carries")
        with RequestLoad(made.lab.client, made.vips[6], 80, pause=0.005) as load:
            goes_on(load, 20)
            made.cut("one")
            eventually(lambda: made.carrying() == {"two"}, 20, "two carries")
            goes_on(load, 20)
            made.mend("one")
            eventually(lambda: made.members()["one"]["link_up"], 20, "one has its link again")
            assert made.carrying() == {"two"}, "without a primary nothing goes back"
        size = str(1500 - 28)
        done = made.lab.client.run("ping", "-M", "do", "-c", "3", "-i", "0.1", "-W", "3", "-s", size,
                                   made.lab.site.client_side[0], check=False)
        assert " 0% packet loss" in done.stdout, f"full packets with a tag: {done.stdout}"


# LACP


class Aggregated(Bonded):
    def connect(self):
        self.tool = self.lab.run("lag-switch", sys.executable, TOOLS / "lag_switch.py", self.lab.folder, "clients", "one", "two",
                                 namespace=self.switch)
        self.tool.wait_until(lambda: "ready" in self.tool.output(), 20, "the switch is there")

    def told(self):
        """What the switch told last of each of its ports."""
        return json.loads([line for line in self.tool.output().splitlines() if line.startswith("{")][-1])

    def taken(self):
        return {name for name, one in self.told().items() if one["carries"]}

    def mute(self, name):
        (self.lab.folder / f"mute-{name}").touch()

    def unmute(self, name):
        (self.lab.folder / f"mute-{name}").unlink()


@pytest.fixture(scope="module", params=[1, 2], ids=["1-worker", "2-workers"])
def lag(request):
    bond = 'mode = "lacp"; members = ( { interface = "one"; }, { interface = "two"; } );'
    with Aggregated("l", request.param, bond) as made:
        try:
            yield made
        finally:
            print(made.lab.logs())


def both(lag):
    eventually(lambda: lag.carrying() == {"one", "two"} == lag.taken(), 30, "both ends use both cables")


def test_both_members_are_in_one_aggregation(lag):
    both(lag)
    members = lag.members()
    assert {one["partner"] for one in members.values()} == {"02:aa:bb:cc:dd:01"}
    lines = lag.tool.output().splitlines()
    seen = {name: [line for line in lines if line.startswith(f"{name} state=")][-1] for name in ("one", "two")}
    told = {name: re.search(r"partner=(\S+)/(\d+) port (\d+) state=(\w+)", line).groups() for name, line in seen.items()}
    assert told["one"][:2] == told["two"][:2], "one system and one key"
    assert told["one"][0] == mac_of(lag.lab.topology.appliance, "gw-client0")
    assert {told["one"][2], told["two"][2]} == {"1", "2"}
    assert told["one"][3] == told["two"][3] == "3f", told


def test_flows_go_by_both_cables_in_both_directions(lag, family):
    both(lag)

    def each_way():
        assert fetch(lag.lab.client, lag.vips[family], 80).status == 200
        now = lag.told()
        return all(now[name][way] > before[name][way] + 20 for name in now for way in ("rx", "tx"))
    before = lag.told()
    eventually(each_way, 60, "frames on both cables, both ways")


def test_the_aggregation_stays_without_traffic(lag):
    """idle = "adaptive", and nobody sends: LACPDUs go out and are heard all the same."""
    both(lag)
    moves = lag.lab.appliance.metric("guideway_bond_moves_total", port="client0")
    before = lag.told()
    eventually(lambda: all(lag.told()[name][way] >= before[name][way] + 5 for name in before for way in ("lacp_rx", "lacp_tx")),
               60, "five LACPDUs by each cable, both ways")
    both(lag)
    assert lag.lab.appliance.metric("guideway_bond_moves_total", port="client0") == moves


@pytest.mark.parametrize("how", ["cut", "mute"])
def test_traffic_goes_on_by_the_other_cable(lag, how):
    """`cut`: the link is lost; `mute`: only the way is broken, which silence tells after three seconds."""
    both(lag)
    with TcpStream(lag.lab.client, lag.stream_vip, 7) as stream, RequestLoad(lag.lab.client, lag.vips[6], 80, pause=0.005) as load:
        goes_on(load, 50)
        getattr(lag, how)("one")
        eventually(lambda: lag.carrying() == {"two"}, 20, "two alone carries")
        assert lag.said(f"member one {'lost its link' if how == 'cut' else 'hears nothing of its partner'}; two carries, to 02:aa:bb:cc:dd:01")
        assert lag.members()["one"]["link_up"] == (how == "mute")
        goes_on(load, 50)
        lag.mend("one") if how == "cut" else lag.unmute("one")
        both(lag)
        goes_on(load, 50)
        eventually(lambda echoed=stream.echoed: stream.echoed > echoed + 10, 30, "the connection goes on")
    print(f"{how}: requests: {load.report()}; the connection's longest gap {stream.longest_gap:.3f} s")
    assert not stream.trouble, stream.trouble
