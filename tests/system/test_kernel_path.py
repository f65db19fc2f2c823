"""The appliance's own addresses are the kernel's, through the ports' TAP twins; VIPs and SNAT addresses are the dataplane's."""
import re
import socket

from lab import connect, fetch, receive


def ping(namespace, address, *options):
    return namespace.run("ping", "-c", "3", "-i", "0.1", "-W", "3", *options, address, check=False)


def test_client_pings_the_appliance(lab, family):
    for size in ("56", "1400"):
        done = ping(lab.client, lab.site.client_side[family == 6], "-s", size)
        assert " 0% packet loss" in done.stdout, done.stdout


def test_node_pings_the_appliance(lab, family):
    done = ping(lab.topology.nodes[0], lab.site.node_side[family == 6])
    assert " 0% packet loss" in done.stdout, done.stdout


def test_appliance_pings_client_and_nodes(lab, family):
    for address in (lab.site.client[family == 6], lab.site.node(1)[family == 6], lab.site.node(3)[family == 6]):
        done = ping(lab.topology.appliance, address)
        assert " 0% packet loss" in done.stdout, done.stdout


def test_tcp_to_a_program_on_the_appliance(lab, family):
    """As ssh or BGP would."""
    kind = socket.AF_INET6 if family == 6 else socket.AF_INET
    address = lab.site.client_side[family == 6]
    payload = bytes(range(256)) * 400
    with lab.topology.appliance.socket(kind) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, 2222))
        listener.listen()
        listener.settimeout(10)
        with connect(lab.client, address, 2222) as here:
            there, peer = listener.accept()
            with there:
                assert peer[0] == lab.site.client[family == 6]  # no address translation on this path
                there.settimeout(10)
                here.sendall(payload[:50000])
                assert receive(there, 50000) == payload[:50000]
                there.sendall(payload)
                assert receive(here, len(payload)) == payload


def test_program_on_the_appliance_reaches_a_node(lab, family):
    """As a health check would."""
    assert fetch(lab.topology.appliance, lab.site.node(2)[family == 6], 30080).text.strip() == "node2"


def test_closed_port_of_the_appliance_is_refused_by_its_kernel(lab, family):
    try:
        connect(lab.client, lab.site.client_side[family == 6], 2223).close()
    except ConnectionRefusedError:
        return
    raise AssertionError("connected to a closed port")


def mac_of(namespace, interface):
    return re.search(r"link/ether (\S+)", namespace.run("ip", "link", "show", interface).stdout)[1].lower()


def test_arp_is_answered_for_appliance_vip_and_snat_address(lab):
    nodes, client = lab.topology.nodes[0], lab.client
    for namespace, port, address in ((client, "client0", lab.site.client_side[0]), (client, "client0", lab.vips[4]),
                                     (nodes, "node0", lab.site.node_side[0]), (nodes, "node0", lab.site.snat[0])):
        done = namespace.run("arping", "-c", "1", "-w", "5", "-I", "eth0", address, check=False)
        assert mac_of(lab.topology.appliance, port) in done.stdout.lower(), f"{address}: {done.stdout}"


def test_neighbour_discovery_is_answered_for_appliance_vip_and_snat_address(lab):
    nodes, client = lab.topology.nodes[0], lab.client
    for namespace, port, address in ((client, "client0", lab.site.client_side[1]), (client, "client0", lab.vips[6]),
                                     (nodes, "node0", lab.site.node_side[1]), (nodes, "node0", lab.site.snat[1])):
        done = namespace.run("ndisc6", "-1", "-w", "5000", address, "eth0", check=False)
        found = re.search(r"link-layer address: (\S+)", done.stdout)
        assert found, f"{address}: {done.stdout}{done.stderr}"
        assert [int(one, 16) for one in found[1].split(":")] == \
            [int(one, 16) for one in mac_of(lab.topology.appliance, port).split(":")], address


def test_twins_carry_the_port_s_mac_and_addresses(lab):
    appliance = lab.topology.appliance
    for port, addresses in (("client0", lab.site.client_side), ("node0", lab.site.node_side)):
        assert mac_of(appliance, f"gw-{port}") == mac_of(appliance, port)
        shown = appliance.run("ip", "address", "show", f"gw-{port}").stdout
        for address in addresses:
            assert address in shown
