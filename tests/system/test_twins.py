"""TAP twins outlive the dataplane: what an earlier configuration gave them must go, what others gave them must stay."""
import os
import pathlib

import pytest

from conftest import STEM
from lab import Lab
from lab.lab import unique_name


@pytest.fixture
def bare():
    """Two runs of the dataplane alone, without control plane or servers."""
    with Lab(unique_name(f"{STEM}w"), os.environ.get("GUIDEWAY_BUILD", "build"), "af_packet", 1, huge_pages=0,
             servers=False) as lab:
        lab.appliance.write_config(huge_pages='"never"')
        start(lab)
        yield lab


def start(lab):
    dataplane = lab.appliance.start_dataplane()
    dataplane.wait_until(lambda: "forwarding with" in dataplane.output(), 30, "it forwards")


def start_with(lab, *replacements):
    text = lab.appliance.config.read_text()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    lab.appliance.config.write_text(text)
    start(lab)


def addresses(lab, link):
    text = lab.topology.appliance.run("ip", "-o", "addr", "show", "dev", link, "scope", "global").stdout
    return {line.split()[3] for line in text.splitlines()}


def answers(namespace, address):
    return namespace.run("ping", "-c", "2", "-i", "0.2", "-W", "2", address, check=False).returncode == 0


@pytest.mark.parametrize("crashed", [False, True], ids=["stopped", "killed"])
def test_addresses_and_routes_that_left_the_configuration_are_gone(bare, crashed):
    appliance, node = bare.topology.appliance, bare.topology.nodes[0]
    bare.appliance.dataplane.kill() if crashed else bare.appliance.dataplane.stop()
    routes = (' routes = ( { to = "198.18.0.0/15"; via = "10.0.2.11"; },'
              ' { to = "fd00:9::/48"; via = "fd00:2::11"; } );')
    start_with(bare, ('"10.0.2.1/24", "fd00:2::1/64" ];', '"10.0.2.1/24", "10.0.2.3/24", "fd00:2::1/64" ];' + routes))
    assert "198.18.0.0/15 via 10.0.2.11" in appliance.run("ip", "route").stdout
    assert "fd00:9::/48 via fd00:2::11" in appliance.run("ip", "-6", "route").stdout
    appliance.ip("addr add 10.0.2.5/24 dev gw-node0", "route add 198.51.100.0/24 via 10.0.2.12")

    bare.appliance.dataplane.kill() if crashed else bare.appliance.dataplane.stop()
    start_with(bare, (routes, ""),
               ('"10.0.2.1/24", "10.0.2.3/24", "fd00:2::1/64"', '"10.0.2.7/24", "fd00:2::7/64"'))
    # 10.0.2.5: an operator's, and still there though the first address of its subnet went.
    assert addresses(bare, "gw-node0") == {"10.0.2.5/24", "10.0.2.7/24", "fd00:2::7/64"}
    assert "198.18.0.0/15" not in appliance.run("ip", "route").stdout
    assert "fd00:9::/48" not in appliance.run("ip", "-6", "route").stdout
    assert "198.51.100.0/24 via 10.0.2.12" in appliance.run("ip", "route").stdout
    assert answers(node, "10.0.2.7") and answers(node, "fd00:2::7")
    assert not answers(node, "10.0.2.1")


def test_the_twin_of_a_port_that_has_another_name_now_is_gone(bare):
    bare.topology.appliance.ip("tuntap add dev gw-other mode tap")
    bare.appliance.dataplane.kill()
    start_with(bare, ('name = "client0"', 'name = "front"'))
    links = bare.topology.appliance.run("ip", "-br", "link").stdout
    assert "gw-front" in links and "gw-client0" not in links
    assert "gw-other" in links  # somebody else's
    assert answers(bare.client, bare.site.client_side[0]) and answers(bare.client, bare.site.client_side[1])


def test_a_twin_set_down_and_up_keeps_its_addresses(bare):
    bare.topology.appliance.ip("link set gw-node0 down", "link set gw-node0 up")
    assert addresses(bare, "gw-node0") == {"10.0.2.1/24", "fd00:2::1/64"}
    assert answers(bare.topology.nodes[0], bare.site.node_side[0])
    assert answers(bare.topology.nodes[0], bare.site.node_side[1])


def test_a_deleted_twin_is_told_and_keeps_no_thread_busy(bare):
    dataplane = bare.appliance.dataplane
    bare.topology.appliance.ip("link del gw-client0")
    dataplane.wait_until(lambda: "was deleted" in dataplane.output(), 10, "it tells")
    before = ticks_of(dataplane.pid, "gw-kernel-path")
    assert answers(bare.topology.nodes[0], bare.site.node_side[0])  # the other one goes on
    assert ticks_of(dataplane.pid, "gw-kernel-path") - before < 15
    assert dataplane.output().count("was deleted") == 1


def ticks_of(pid, thread):
    """Processor time in hundredths of a second."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        name, fields = (task / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
        if name == thread:
            return sum(map(int, fields.split()[11:13]))
    raise AssertionError(f"no thread {thread}")
