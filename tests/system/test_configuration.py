"""I3: no packet is lost to a configuration change, and no established connection moves."""

import pytest

from kinds import AF_PACKET_1, AF_PACKET_2
from lab import RequestLoad, TcpStream, ask_udp, connect, eventually, fetch, spread_of

CHANGES = 1000


def node(lab, number, **spec):
    return {"metadata": {"name": f"node{number}"}, "spec": {"addresses": list(lab.site.node(number)), **spec}}


def service(name, port=8080, node_port=30080, **spec):
    return {"metadata": {"namespace": "changes", "name": name},
            "spec": {"ipFamilyPolicy": "RequireDualStack",
                     "ports": [{"name": "p", "protocol": "TCP", "port": port, "nodePort": node_port}], **spec}}


def names(lab, family, count=40):
    return spread_of(fetch(lab.client, lab.vips[family], 80).text.strip() for _ in range(count))


def test_drained_node_gets_no_new_connection_and_none_is_lost(lab, family):
    appliance = lab.appliance
    with RequestLoad(lab.client, lab.vips[family], 80) as load:
        eventually(lambda: load.done > 50, 10, "load is under way")
        for number in (1, 2, 3):
            appliance.put(f"/v1/nodes/node{number}?wait=30", node(lab, number, drain=True))
            assert f"node{number}" not in names(lab, family, 30)
            appliance.put(f"/v1/nodes/node{number}?wait=30", node(lab, number))
        assert len(names(lab, family)) == 3
    assert not load.failures, load.report()


def test_deleted_node_gets_no_new_connection_and_none_is_lost(lab, family):
    appliance = lab.appliance
    with RequestLoad(lab.client, lab.vips[family], 80) as load:
        eventually(lambda: load.done > 50, 10, "load is under way")
        assert appliance.rest("DELETE", "/v1/nodes/node1?wait=30")[0] == 204
        try:
            assert "node1" not in names(lab, family, 30)
        finally:
            appliance.put("/v1/nodes/node1?wait=30", node(lab, 1))
        assert len(names(lab, family)) == 3
    assert not load.failures, load.report()


def test_connections_of_a_drained_node_go_on(lab, family):
    """Whichever node has the stream: all three are drained in turn."""
    with TcpStream(lab.client, lab.stream_vips[family], 7) as stream:
        for number in (1, 2, 3):
            lab.appliance.put(f"/v1/nodes/node{number}?wait=30", node(lab, number, drain=True))
            before = stream.echoed
            eventually(lambda: stream.trouble or stream.echoed > before + 20, 10, "the stream goes on")
            lab.appliance.put(f"/v1/nodes/node{number}?wait=30", node(lab, number))
    assert not stream.trouble, stream.trouble


def test_without_backends_connections_are_refused_not_left_hanging(lab, family):
    appliance = lab.appliance
    for number in (1, 2, 3):
        appliance.put(f"/v1/nodes/node{number}?wait=30", node(lab, number, drain=True))
    try:
        with pytest.raises(ConnectionRefusedError):
            connect(lab.client, lab.vips[family], 80)
        with pytest.raises(ConnectionRefusedError):
            ask_udp(lab.client, lab.vips[family], 53)
    finally:
        for number in (1, 2, 3):
            appliance.put(f"/v1/nodes/node{number}?wait=30", node(lab, number))
    assert fetch(lab.client, lab.vips[family], 80).status == 200


def test_weights_set_the_shares(lab):
    appliance = lab.appliance
    appliance.put("/v1/nodes/node1?wait=30", node(lab, 1, weight=8))
    try:
        counts = names(lab, 4, 100)
        assert counts["node1"] > 60, counts  # 80 of 100 are expected
    finally:
        appliance.put("/v1/nodes/node1?wait=30", node(lab, 1))


@pytest.mark.parametrize("lab", [AF_PACKET_2], indirect=True, ids=str)
def test_deleted_load_balancer_stops_serving_and_gives_its_addresses_back(lab, family):
    appliance = lab.appliance
    appliance.put("/v1/load-balancers/changes/short?wait=30", service("short"))
    address = appliance.addresses("short", "changes")[family]
    assert fetch(lab.client, address, 8080).status == 200
    with connect(lab.client, address, 8080) as stream:
        assert appliance.rest("DELETE", "/v1/load-balancers/changes/short?wait=30")[0] == 204
        assert appliance.rest("DELETE", "/v1/load-balancers/changes/short")[0] == 204, "deleting again is no mistake"
        with pytest.raises(ConnectionError):  # refused, not left hanging
            stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
            if stream.recv(1) == b"":
                raise ConnectionResetError("ended by FIN")
        with pytest.raises(OSError):
            connect(lab.client, address, 8080, timeout=1).close()
    appliance.put("/v1/load-balancers/changes/next?wait=30", service("next"))
    try:
        assert fetch(lab.client, appliance.addresses("next", "changes")[family], 8080).status == 200
    finally:
        appliance.rest("DELETE", "/v1/load-balancers/changes/next?wait=30")


@pytest.mark.parametrize("lab", [AF_PACKET_1, AF_PACKET_2], indirect=True, ids=str)
def test_a_thousand_configuration_changes_under_traffic_fail_no_request(lab):
    """Each change is in force before the next is made. Two real clients make new connections all the while, one in each
    family, and one connection of each family lasts from the first change to the last."""
    appliance = lab.appliance
    generation = appliance.generation
    with RequestLoad(lab.client, lab.vips[4], 80, threads=1) as load4, RequestLoad(lab.client, lab.vips[6], 80, threads=1) as load6, \
            TcpStream(lab.client, lab.stream_vips[4], 7) as stream4, TcpStream(lab.client, lab.stream_vips[6], 7) as stream6:
        eventually(lambda: load4.done > 20 and load6.done > 20, 10, "load is under way")
        for number in range(CHANGES):
            change(lab, number)
        before = stream4.echoed, stream6.echoed
        eventually(lambda: stream4.trouble or stream6.trouble or (stream4.echoed > before[0] and stream6.echoed > before[1]),
                   10, "both streams go on")
    appliance.rest("DELETE", "/v1/load-balancers/changes/come-and-go?wait=30")
    made = appliance.generation - generation
    assert made >= CHANGES, f"only {made} generations were in force"
    assert not load4.failures, load4.report()
    assert not load6.failures, load6.report()
    assert not stream4.trouble and not stream6.trouble, (stream4.trouble, stream6.trouble)
    assert load4.done > 500 and load6.done > 500, (load4.report(), load6.report())
    assert set(load4.answers) == {"node1", "node2", "node3"}


def change(lab, number):
    """One of eight kinds of change, so that eight in a row lead back to where they began."""
    appliance = lab.appliance
    path = "/v1/load-balancers/changes/come-and-go?wait=30"
    kind = number % 8
    if kind == 0:
        appliance.put(path, service("come-and-go"))
    elif kind == 1:
        appliance.put("/v1/nodes/node3?wait=30", node(lab, 3, drain=True))
    elif kind == 2:
        appliance.put(path, service("come-and-go", port=8081))
    elif kind == 3:
        appliance.put("/v1/nodes/node1?wait=30", node(lab, 1, weight=3))
    elif kind == 4:
        appliance.put("/v1/nodes/node3?wait=30", node(lab, 3))
    elif kind == 5:
        appliance.put("/v1/nodes/node2?wait=30", node(lab, 2, weight=2))
    elif kind == 6:
        assert appliance.rest("DELETE", path)[0] == 204
        appliance.put("/v1/nodes/node2?wait=30", node(lab, 2))
    else:
        appliance.put("/v1/nodes/node1?wait=30", node(lab, 1))
