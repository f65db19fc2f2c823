"""Announcing by BGP, with real BIRD and real FRR beside the appliance and as its router.

    far client           router (the lab's client)            appliance                nodes
    198.51.100.10 ====== 198.51.100.1    192.0.2.10 ========= 192.0.2.1  [dataplane]  ====== 10.0.2.11 .. 13
    2001:db8:5::10       2001:db8:5::1   2001:db8:1::10       2001:db8:1::1
                                         172.31.0.2 --------- 172.31.0.1   (the appliance's own network for management)

The router knows the VIPs by BGP alone. The session runs over the management network, so that a withdrawal gets out when the dataplane is
dead; "inside" tests run it through the dataplane, where BFD has to notice. Times are reported, not asserted.
"""
import contextlib
import os
import re
import shutil
import subprocess
import time

import pytest

from contract import hold
from conftest import STEM
from lab import Lab, fetch
from lab.appliance import ROOT
from lab.bgp import Bird, EveryMillisecond, Frr, RouteWatch, wait_for
from lab.lab import unique_name
from lab.namespace import Namespace, run_ip
from lab.wait import eventually

FAR = ("198.51.100.10", "2001:db8:5::10")
GATEWAY = ("198.51.100.1", "2001:db8:5::1")
OURS, ROUTER = "172.31.0.1", "172.31.0.2"


@pytest.fixture(scope="module", autouse=True)
def daemons_are_there():
    missing = [name for name in ("bird", "birdc", "vtysh") if not shutil.which(name)]
    assert not missing, f"not there: {missing}; tests/install-packages check"


def bird_router(peer_address, asn_there=64512, password="", bfd=True):
    return f"""
router id 192.0.2.10;
protocol device {{}}
protocol kernel {{ ipv4 {{ export all; }}; }}
protocol kernel {{ ipv6 {{ export all; }}; }}
protocol bfd {{ interface "*" {{ interval 50 ms; multiplier 3; }}; }}
protocol bgp appliance {{
    local as 64513;
    neighbor {peer_address} as {asn_there};
    {f'password "{password}";' if password else ""}
    {"bfd on;" if bfd else ""}
    connect retry time 1; connect delay time 1; error wait time 1, 2;
    graceful restart on;
    ipv4 {{ import all; export none; }};
    ipv6 {{ import all; export none; }};
}}
"""


def frr_router(peer_address, asn_there=64512, password="", bfd=True):
    # FRR tells its link-local address of the session's link beside the global one, and FRR takes that first: docs/bgp.md.
    return f"""
route-map from-appliance permit 10
 set ipv6 next-hop prefer-global
exit
router bgp 64513
 bgp router-id 192.0.2.10
 no bgp ebgp-requires-policy
 no bgp network import-check
 bgp graceful-restart
 neighbor {peer_address} remote-as {asn_there}
 neighbor {peer_address} description appliance
 neighbor {peer_address} timers connect 1
 {f"neighbor {peer_address} password {password}" if password else ""}
 {f"neighbor {peer_address} bfd 3 50 50" if bfd else ""}
 address-family ipv6 unicast
  neighbor {peer_address} activate
  neighbor {peer_address} route-map from-appliance in
 exit-address-family
exit
"""


DAEMONS = {"bird": (Bird, bird_router), "frr": (Frr, frr_router)}


class Network:
    """`ours`, `theirs`: "bird" or "frr". `inside`: the session runs through the dataplane."""

    def __init__(self, ours, theirs, inside=False):
        self.ours, self.theirs, self.inside = ours, theirs, inside
        name = unique_name(STEM + ("i" if inside else "b"))  # both are there at one time
        self.lab = Lab(name, os.environ.get("GUIDEWAY_BUILD", "build"), "af_packet", 1, huge_pages=0)
        self.far = Namespace(f"{self.lab.name}-far")
        self.daemon = self.router = None
        self.peer = {"peer": ""}

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
        router, appliance = lab.client, lab.topology.appliance
        self.far.create()
        run_ip(f"link add below netns {router.name} type veth peer name eth0 netns {self.far.name}",
               f"link add manage netns {router.name} type veth peer name manage netns {appliance.name}")
        for namespace, name, own in ((router, "below", GATEWAY), (self.far, "eth0", FAR)):
            namespace.ip(f"addr add {own[0]}/24 dev {name}", f"addr add {own[1]}/64 dev {name} nodad", f"link set {name} up")
            namespace.run("ethtool", "-K", name, *"tx off sg off tso off gso off gro off".split())
        for namespace, own in ((router, ROUTER), (appliance, OURS)):
            namespace.ip(f"addr add {own}/24 dev manage", "link set manage up")
        self.far.ip(f"route add default via {GATEWAY[0]}", f"route add default via {GATEWAY[1]}")
        # The VIPs are known by BGP alone.
        router.ip(*(f"route del {vips}" for vips in lab.site.vip_ranges))
        router.sysctl("net.ipv4.ip_forward", 1)
        router.sysctl("net.ipv6.conf.all.forwarding", 1)

        self.daemon = DAEMONS[self.ours][0]("ours", appliance, lab.folder)
        self.router = DAEMONS[self.theirs][0]("router", router, lab.folder)
        self.write_config()
        lab.appliance.start()
        self.add_routes()
        self.render()
        self.daemon.start()
        self.start_router()
        for name in ("pool", "nodes"):
            lab.appliance.cli("apply", "-f", ROOT / f"configs/demo/{name}.yaml")

    def start_router(self, **options):
        """Anew, with these options of its configuration; the session is up on return."""
        self.router.kill()
        site = self.lab.site
        self.router.config.write_text(DAEMONS[self.theirs][1](site.client_side[0] if self.inside else OURS, **options))
        self.router.start()
        wait_for(lambda: self.router.established("appliance"), "the session is up", 90)

    def add_routes(self):
        """The dataplane's way to the far client."""
        client = self.lab.site.client
        self.lab.topology.appliance.ip(f"route replace 198.51.100.0/24 via {client[0]} dev gw-client0",
                                       f"route replace 2001:db8:5::/64 via {client[1]} dev gw-client0")

    def write_config(self, more="", peer=""):
        """The lab's configuration with a group `bgp`."""
        appliance = self.lab.appliance
        appliance.write_config(huge_pages='"never"')
        site = self.lab.site
        address = site.client[0] if self.inside else ROUTER
        group = f"""
    bgp: {{
        daemon = "{self.ours}"; asn = 64512; router_id = "192.0.2.1"; socket = "{self.daemon.socket}";
        bfd_interval_ms = 50; bfd_multiplier = 3;
        {more}
        peers = ( {{ name = "tor1"; address = "{address}"; asn = 64513; bfd = true; families = [ "IPv4", "IPv6" ];
                     next_hop_ipv4 = "{site.client_side[0]}"; next_hop_ipv6 = "{site.client_side[1]}"; {peer} }} );
        advertisements = ( {{ name = "hosts"; communities = [ "64512:7", "64512:1:2" ]; med = 50; }} );
    }};
"""
        text = appliance.config.read_text()
        appliance.config.write_text(text.replace("controlplane:\n{\n", "controlplane:\n{\n" + group, 1))

    def command(self, *arguments):
        """(exit status, output) of guideway-controlplane beside the one that runs."""
        appliance = self.lab.appliance
        done = subprocess.run(appliance.namespace.command(appliance.program("guideway-controlplane"), "--config", appliance.config, *arguments),
                              capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout + done.stderr

    def render(self):
        code, text = self.command("--render-bgp")
        assert code == 0, text
        head = "router id 192.0.2.1;\nprotocol device {}\n" if self.ours == "bird" else ""
        self.daemon.config.write_text(head + text)
        return text

    def announce_web(self):
        appliance = self.lab.appliance
        appliance.cli("apply", "-f", ROOT / "configs/demo/web.yaml")
        self.vips = appliance.addresses("web")
        wait_for(lambda: self.hosts() <= set(self.router.routes()), f"the router knows {self.hosts()}; it has {self.router.routes()}")
        wait_for(lambda: all(fetch(self.far, vip, 80).status == 200 for vip in self.vips.values()), "the far client is served")

    def hosts(self):
        return {f"{vip}/{32 if family == 4 else 128}" for family, vip in self.vips.items()}

    def known(self):
        """VIPs that the router's kernel has a route to: what counts."""
        router = self.lab.client
        text = router.run("ip", "route").stdout + router.run("ip", "-6", "route").stdout
        return {vip for vip in self.vips.values() if any(line.split()[0] == vip for line in text.splitlines() if line)}

    def is_known(self):
        return self.known() == set(self.vips.values())

    def withdrawn(self):
        return not self.known()

    def told(self):
        """What is where, for reports: in our kernel, of both daemons, in the router's kernel."""
        parts = [self.lab.topology.appliance.run("ip", *family, "route", "show", "table", "all", "proto", "73").stdout for family in ((), ("-6",))]
        for name, daemon in (("ours", self.daemon), ("router", self.router)):
            parts += [f"--- {name}\n{daemon.overview()}"]
        parts += [self.lab.client.run("ip", *family, "route").stdout for family in ((), ("-6",))]
        return "\n".join(parts)

    def __exit__(self, *_):
        # In reverse; each even where one before it fails.
        with contextlib.ExitStack() as stack:
            stack.callback(self.lab.remove)
            stack.callback(self.far.delete)
            for daemon in (self.router, self.daemon):
                if daemon:
                    stack.callback(daemon.stop)


# FRR as the router is only in the tests through the dataplane below: over the management network it has not been shown yet.
PAIRS = [("bird", "bird"), ("frr", "bird"), ("bird", "frr")]


@pytest.fixture(scope="module", params=PAIRS, ids=[f"{ours}-to-{theirs}" for ours, theirs in PAIRS])
def network(request):
    with Network(*request.param) as made:
        try:
            made.announce_web()
            yield made
        finally:
            print(made.lab.logs())
            print(made.told())


def test_attributes_arrive_as_configured(network):
    for prefix, text in network.router.routes().items():
        if prefix not in network.hosts():
            continue
        squeezed = text.replace(" ", "").replace("(", "").replace(")", "").replace(":", ",")
        assert "64512,7" in squeezed and "64512,1,2" in squeezed, text
        assert re.search(r'(med: |"metric": )50\b', text), text


def test_an_address_is_known_exactly_while_it_is_forwarded(network):
    """Withdrawn with the last backend, told again with the first; gone with the load balancer."""
    appliance = network.lab.appliance
    drained = [{"metadata": {"name": f"node{n}"}, "spec": {"addresses": list(network.lab.site.node(n)), "drain": True}} for n in (1, 2, 3)]
    for node in drained:
        appliance.put(f"/v1/nodes/{node['metadata']['name']}", node)
    wait_for(network.withdrawn, "no backend takes connections: withdrawn")
    appliance.cli("apply", "-f", ROOT / "configs/demo/nodes.yaml")
    wait_for(network.is_known, "told again")
    appliance.cli("delete", "lb", "default/web")
    wait_for(network.withdrawn, "withdrawn with the load balancer")
    network.announce_web()


def test_what_goes_in_the_first_moment_of_a_session_is_withdrawn(network):
    """FRR before 10.3 forgets such a withdrawal while it gathers routes for the session, and tells the route for good: docs/bgp.md."""
    network.start_router()
    wait_for(network.is_known, "told in the new session")
    network.lab.appliance.cli("delete", "lb", "default/web")
    wait_for(network.withdrawn, "withdrawn")
    network.announce_web()


def test_dataplane_killed(network):
    appliance = network.lab.appliance
    with EveryMillisecond(network.far, network.vips[4], 53) as client, RouteWatch(network.lab.client, network.lab.folder) as watch:
        wait_for(client.answered_lately, "the client is answered")
        begun = time.time()
        appliance.dataplane.kill()
        dead = time.time()
        wait_for(network.withdrawn, "withdrawn")
        gone = wait_for(lambda: watch.gone(network.vips[4]), "the router's kernel has told")
        print(f"withdrawn in the router's kernel {1000 * (gone - begun):.0f} ms after the dataplane was killed, "
              f"{1000 * (gone - dead):.0f} ms after the process was gone")
        appliance.start_dataplane()
        network.lab.appliance.wait_in_force()
        network.add_routes()
        wait_for(network.is_known, "told again")
        wait_for(client.answered_lately, "the client is answered again")
    client.report("dataplane killed and started again")


def test_control_plane_killed_routes_stay_and_traffic_goes_on(network):
    appliance = network.lab.appliance
    with EveryMillisecond(network.far, network.vips[4], 53) as client:
        wait_for(client.answered_lately, "the client is answered")
        appliance.controlplane.kill()
        sent = client.sent
        wait_for(lambda: client.sent > sent + 1000, "a second goes by")
        assert network.is_known()
        appliance.start_controlplane()
        appliance.wait_ready()
        sent = client.sent
        wait_for(lambda: client.sent > sent + 1000, "a second goes by")
        assert network.is_known()
        assert client.answered_lately()
    client.report("control plane killed and started again")
    # No run without answers begins with its end: at most what a busy machine loses.
    assert len(client.back) > client.sent * 0.8


def test_daemon_killed_and_started_again_tells_everything_without_our_doing(network):
    """The control plane is dead meanwhile: the routes are in the kernel. The router does not run BFD here, so that the daemon's death is a
    graceful restart. What that loses is reported."""
    appliance = network.lab.appliance
    network.start_router(bfd=False)
    wait_for(network.is_known, "told in the new session")
    appliance.controlplane.kill()
    with EveryMillisecond(network.far, network.vips[4], 53) as client:
        wait_for(client.answered_lately, "the client is answered")
        network.daemon.kill()
        network.daemon.start()
        wait_for(lambda: network.daemon.established("tor1"), "the session is there again", 90)
        wait_for(network.is_known, "told again", 90)
        wait_for(client.answered_lately, "the client is answered")
    client.report("routing daemon killed and started again")
    assert len(client.back) > client.sent * 0.8  # what a busy machine loses, and no more
    network.start_router()
    appliance.start_controlplane()
    appliance.wait_ready()


def test_status_tells_peers_and_routes(network):
    code, told = network.command("--bgp-status")
    assert code == 0 and re.search(r"^tor1 .*64513 +Established", told, re.M), told
    assert all(f"  {prefix}  hosts\n" in told for prefix in network.hosts()), told


def test_maintenance_withdraws_outlives_a_restart_and_waits_for_connections(network):
    appliance = network.lab.appliance
    with EveryMillisecond(network.far, network.vips[4], 53) as client:
        wait_for(client.answered_lately, "the client is answered")
        begun = time.monotonic()
        code, told = network.command("--maintenance", "on")
        assert code == 0 and "everything is withdrawn" in told, told
        wait_for(network.withdrawn, "withdrawn")
        print(f"withdrawn {1000 * (time.monotonic() - begun):.0f} ms after maintenance was asked for")
        assert "maintenance is on" in network.command("--maintenance", "status")[1]
        appliance.controlplane.kill()
        appliance.start_controlplane()
        appliance.wait_ready()
        sent = client.sent
        wait_for(lambda: client.sent > sent + 2500, "time for a mistake goes by")
        assert network.withdrawn()
    # The client's UDP connection is remembered for minutes: it is not done in a second, and that is told.
    code, told = network.command("--maintenance", "on", "--wait", "1")
    assert code == 1 and "not done after 1 s" in told, told
    assert network.withdrawn()
    assert network.command("--maintenance", "off")[0] == 0
    wait_for(network.is_known, "told again")
    client.report("maintenance")


def test_a_wrong_password_keeps_the_session_down_and_is_never_shown(network, tmp_path):
    secret = tmp_path / "password"
    secret.write_text("not-the-right-one\n")
    network.write_config(peer=f'password_file = "{secret}";')
    assert "not-the-right-one" in network.render()
    try:
        # Not killed: that would be a graceful restart, and the router would keep the routes for a while.
        network.daemon.reload()
        wait_for(lambda: not network.router.established("appliance"), "the session ends", 90)
        wait_for(network.withdrawn, "the router forgets the routes", 90)
        code, told = network.command("--bgp-status")
        assert code == 1 and re.search(r"^tor1 .*64513", told, re.M) and not re.search(r"^tor1 .*Established", told, re.M), told
        assert "not-the-right-one" not in told
        assert not network.daemon.established("tor1")
        assert "not-the-right-one" not in network.lab.appliance.controlplane.output()
    finally:
        network.write_config()
        network.render()
        network.daemon.kill()
        network.daemon.start()
    wait_for(network.is_known, "told again with the right password (none)", 90)


def seen(network, condition, what):
    """What GET /v1/bgp says once it is as `condition` wants it: it is what was seen a few seconds ago."""
    def look():
        code, answer = network.lab.appliance.rest("GET", "/v1/bgp")
        assert code == 200, answer
        return condition(answer) and answer
    return wait_for(look, what, 60)


def test_sessions_and_routes_are_shown_by_rest_command_and_metrics(network):
    appliance = network.lab.appliance
    told = seen(network, lambda now: now["peers"][0]["established"] and now["peers"][0]["routes"] >= len(network.hosts()), "the session is seen")
    hold("/v1/bgp", told)
    assert told["daemon"]["name"] == network.ours and told["daemon"]["answers"] and told["daemon"]["asn"] == 64512
    assert [(one["name"], one["asn"], one["state"]) for one in told["peers"]] == [("tor1", 64513, "Established")]
    assert {one["prefix"]: one["advertisement"] for one in told["routes"]} == {prefix: "hosts" for prefix in network.hosts()}
    assert told["announcing"]["error"] == "" and told["maintenance"] is False
    shown = appliance.cli("bgp")
    assert re.search(r"^tor1 +\S+ +64513 +Established ", shown, re.M), shown
    assert all(re.search(rf"^{re.escape(prefix)} +hosts$", shown, re.M) for prefix in network.hosts()), shown
    for name, value in {"guideway_bgp_routes": len(network.hosts()), "guideway_bgp_daemon_answers": 1, "guideway_maintenance": 0}.items():
        assert appliance.metric(name) == value, name
    assert appliance.metric("guideway_bgp_peer_up", peer="tor1") == 1
    assert appliance.metric("guideway_bgp_peer_routes", peer="tor1") == len(network.hosts())


def test_maintenance_by_the_command_withdraws_and_tells_again(network):
    appliance = network.lab.appliance
    try:
        with EveryMillisecond(network.far, network.vips[4], 53) as client:
            wait_for(client.answered_lately, "the client is answered")
            assert "everything is withdrawn" in appliance.cli("maintenance", "on", "--reason", "new NIC")
            wait_for(network.withdrawn, "withdrawn")
        now = appliance.cli_json("maintenance", "status")
        hold("/v1/maintenance", now)
        assert now["on"] and now["withdrawn"] and now["reason"] == "new NIC" and now["connections"] > 0, now
        told = network.command("--maintenance", "status")[1]
        assert re.search(r"maintenance is on, since \S+Z \(new NIC\); \d+ connection", told), told
        assert "routes=0 before=2 maintenance=true" in appliance.controlplane.output()
        assert seen(network, lambda answer: answer["maintenance"], "shown")["routes"] == []
        assert appliance.metric("guideway_maintenance") == 1 and appliance.metric("guideway_bgp_routes") == 0
        # The client's UDP connection is remembered for minutes.
        told = appliance.cli("maintenance", "on", "--reason", "new NIC", "--wait", "1", status=1)
        assert "not done yet" in told and "not done after 1 s; everything stays withdrawn" in told, told
        assert network.withdrawn()
        appliance.cli("maintenance", "off")
        wait_for(network.is_known, "told again")
        # Begun and ended beside the API: it sees that within a second.
        assert network.command("--maintenance", "on")[0] == 0
        wait_for(lambda: appliance.cli_json("maintenance", "status")["on"], "the API sees it")
    finally:
        appliance.cli("maintenance", "off")
    wait_for(network.is_known, "told again")


def test_a_session_or_a_daemon_that_is_away_fails_the_command_and_the_metrics(network):
    appliance = network.lab.appliance
    try:
        network.router.kill()
        seen(network, lambda now: not now["peers"][0]["established"], "the session's end is seen")
        told = appliance.cli("bgp", status=1)
        assert re.search(r"^tor1 ", told, re.M) and not re.search(r"^tor1 .*Established", told, re.M), told
        assert appliance.metric("guideway_bgp_peer_up", peer="tor1") == 0 and "guideway_bgp_peer_up" in appliance.metrics()
        network.start_router()
        network.daemon.kill()
        seen(network, lambda now: not now["daemon"]["answers"], "the daemon's end is seen")
        assert "DOES NOT ANSWER" in appliance.cli("bgp", status=1)
        assert appliance.metric("guideway_bgp_daemon_answers") == 0 and "guideway_bgp_peer_up" not in appliance.metrics()
    finally:
        network.daemon.kill()
        network.daemon.start()
        network.start_router()
    seen(network, lambda now: now["peers"][0]["established"], "the session is seen")
    assert appliance.cli("bgp")
    wait_for(network.is_known, "told again", 90)


@pytest.mark.parametrize("pair", [("bird", "bird"), ("frr", "frr")], ids=["bird", "frr"])
def test_session_through_the_dataplane_ends_with_it_by_bfd(pair):
    with Network(*pair, inside=True) as network:
        network.announce_web()
        with RouteWatch(network.lab.client, network.lab.folder) as watch:
            # BGP does not wait for it.
            wait_for(lambda: network.daemon.bfd_up() and network.router.bfd_up(), "BFD is up at both ends")
            begun = time.time()
            network.lab.appliance.dataplane.kill()
            wait_for(network.withdrawn, "BFD notices")
            gone = wait_for(lambda: watch.gone(network.vips[4]), "the router's kernel has told")
        print(f"withdrawn {1000 * (gone - begun):.0f} ms after the dataplane was killed (BFD 3 x 50 ms)")
