"""What an operator sees at 3 a.m.: why packets are dropped, and where a connection is. With and without a control plane."""
import json
import socket

import pytest

from kinds import AF_PACKET_2
from lab import connect, eventually, receive

pytestmark = pytest.mark.parametrize("lab", [AF_PACKET_2], indirect=True, ids=str)

GRE = 47


def endpoint(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def dataplane_socket(lab):
    return lab.appliance.run_folder / "dataplane.sock"


def explained(lab, source, destination, *further):
    return lab.appliance.cli_json("explain", "--protocol", "tcp", "--source", source, "--destination", destination, *further)


def counted(lab, reason, *further):
    drops = lab.appliance.cli_json("drops", reason, *further)["drops"]
    assert [one["reason"] for one in drops] == [reason]
    return drops[0]


def send_gre(lab):
    with lab.client.socket(socket.AF_INET, socket.SOCK_RAW, GRE) as raw:
        raw.sendto(bytes(8), (lab.vips[4], 0))


def test_a_real_drop_is_counted_with_what_it_means_and_what_to_do(lab):
    before = counted(lab, "protocol_unsupported")["packets"]
    for _ in range(3):
        send_gre(lab)
    eventually(lambda: counted(lab, "protocol_unsupported")["packets"] == before + 3, 10, "three packets are counted")
    drop = counted(lab, "protocol_unsupported")
    assert sum(worker["packets"] for worker in drop["workers"]) == drop["packets"]
    assert "GRE" in drop["advice"]
    shown = lab.appliance.cli("drops")
    assert f"protocol_unsupported  {before + 3} packet" in shown and drop["means"] in shown
    assert "icmp_mtu_bad" not in shown, "what was never counted is shown with --all only"
    assert "icmp_mtu_bad" in lab.appliance.cli("drops", "--all")


def test_watching_tells_the_rate(lab):
    shown = lab.appliance.cli("drops", "--watch", "--once", "--interval", "0.2", "--all")
    assert " a second now" in shown and "\x1b" not in shown


def test_the_dataplane_answers_without_the_control_plane(lab, family):
    send_gre(lab)
    lab.appliance.controlplane.stop()
    try:
        refused = lab.appliance.cli("drops", status=4)
        assert "--socket" in refused, "the way out is said where it is needed"
        eventually(lambda: counted(lab, "protocol_unsupported", "--socket", dataplane_socket(lab))["packets"] > 0, 10,
                   "the dataplane itself tells its drops")
        address = lab.stream_vips[family]
        with connect(lab.client, address, 7, source_port=22000 + family) as stream:
            stream.sendall(b"hello")
            receive(stream, 5)
            answer = explained(lab, endpoint(lab.site.client[family == 6], 22000 + family), endpoint(address, 7),
                               "--socket", dataplane_socket(lab))
            assert answer["flow"]["state"] == "tcp_established"
    finally:
        lab.appliance.start_controlplane()
        lab.appliance.wait_ready()


def test_who_may_not_open_the_socket_is_told_so(lab):
    missing = lab.appliance.cli("drops", "--socket", lab.appliance.run_folder / "nobody.sock", status=4)
    assert "is guideway-dataplane running here?" in missing


@pytest.mark.parametrize("port", range(23000, 23004))
def test_a_connection_is_found_by_the_clients_side_and_by_the_nodes(lab, family, port):
    client, vip = lab.site.client[family == 6], lab.stream_vips[family]
    with connect(lab.client, vip, 7, source_port=port) as stream:
        stream.sendall(b"hello")
        receive(stream, 5)
        answer = explained(lab, endpoint(client, port), endpoint(vip, 7))
        flow = answer["flow"]
        assert flow["half"] == "client" and flow["state"] == "tcp_established"
        assert flow["service"] == "default/stream" and flow["worker"] == answer["worker"]
        assert flow["idle_seconds"] <= 5 < flow["idle_limit_seconds"]
        for way in ("to_client", "to_backend"):
            assert flow[way].startswith("port ") and flow[way].count(":") == 5, flow
        # A capture at the node shows this connection so:
        other = explained(lab, flow["backend_address"], flow["snat"])
        assert other["verdict"] == "reply"
        assert {**other["flow"], "half": "client", "idle_seconds": 0} == {**flow, "idle_seconds": 0}
        shown = lab.appliance.cli("explain", "--source", endpoint(client, port), "--destination", endpoint(vip, 7))
        assert "knows this connection" in shown and "Verdict for a new connection: forward" in shown
    eventually(lambda: explained(lab, endpoint(client, port), endpoint(vip, 7))["flow"]["state"] != "tcp_established", 10,
               "its end is seen")


def test_a_connection_that_is_not_there_is_not_shown(lab):
    answer = explained(lab, endpoint(lab.site.client[0], 44999), endpoint(lab.stream_vips[4], 7))
    assert "flow" not in answer and answer["verdict"] == "forward", json.dumps(answer)
