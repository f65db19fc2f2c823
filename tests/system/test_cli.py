"""The operator's command, end to end."""
import json

import pytest

from kinds import AF_PACKET_1
from lab import connect, fetch
from lab.appliance import ROOT

pytestmark = pytest.mark.parametrize("lab", [AF_PACKET_1], indirect=True, ids=str)

MANIFEST = """\
kind: LoadBalancer
metadata: { namespace: shop, name: cart }
spec:
  ipFamilyPolicy: RequireDualStack
  ports: [ { name: http, protocol: TCP, port: 8000, nodePort: 30080 } ]
"""


def test_apply_get_describe_delete(lab):
    appliance = lab.appliance
    manifest = lab.folder / "cart.yaml"
    manifest.write_text(MANIFEST)
    try:
        assert "shop/cart" in appliance.cli("apply", "-f", manifest, "--wait")
        found = [one for one in appliance.cli_json("get", "lb")["items"] if one["metadata"]["name"] == "cart"]
        addresses = [one["ip"] for one in found[0]["status"]["ingress"]]
        assert len(addresses) == 2
        for address in addresses:
            assert fetch(lab.client, address, 8000).status == 200
        table = appliance.cli("get", "lb")
        described = appliance.cli("describe", "lb", "shop/cart")
        for address in addresses:
            assert address in table and address in described
        assert "30080" in described
    finally:
        appliance.cli("delete", "lb", "shop/cart")
    assert "cart" not in appliance.cli("get", "lb")


def test_applying_the_same_twice_changes_nothing(lab):
    before = lab.appliance.status()["dataplane"]["desiredGeneration"]
    for name in ("pool", "nodes", "web"):
        assert "unchanged" in lab.appliance.cli("apply", "-f", ROOT / f"configs/demo/{name}.yaml")
    assert lab.appliance.status()["dataplane"]["desiredGeneration"] == before


def test_drain_and_undrain(lab):
    appliance = lab.appliance
    appliance.cli("drain", "node3")
    try:
        appliance.wait_in_force()
        assert "node3" not in {fetch(lab.client, lab.vips[4], 80).text.strip() for _ in range(30)}
    finally:
        appliance.cli("undrain", "node3")
    appliance.wait_in_force()
    assert "node3" in {fetch(lab.client, lab.vips[4], 80).text.strip() for _ in range(40)}


@pytest.mark.parametrize("port", range(21000, 21006))
def test_explain_tells_where_the_connection_goes(lab, family, port):
    source = lab.site.client[family == 6]
    quote = "[{}]:{}" if family == 6 else "{}:{}"
    answer = json.dumps(lab.appliance.cli_json("explain", "--protocol", "tcp", "--source", quote.format(source, port),
                                               "--destination", quote.format(lab.vips[family], 80)))
    with connect(lab.client, lab.vips[family], 80, source_port=port) as stream:
        stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
        reply = b""
        while part := stream.recv(4096):
            reply += part
    name = reply.decode().split()[-1]
    address = lab.site.node(int(name.removeprefix("node")))[family == 6]
    assert address in answer, f"it went to {name}; explained: {answer}"


def test_status_and_top(lab):
    assert lab.appliance.cli("status")
    assert lab.appliance.cli_json("status")["dataplane"]["connected"] is True
    assert "web" in lab.appliance.cli("top", "--once")


def test_a_dry_run_tells_the_address_that_then_answers(lab):
    appliance = lab.appliance
    manifest = lab.folder / "cart.yaml"
    manifest.write_text(MANIFEST)
    preview = appliance.cli_json("explain", "allocation", "-f", manifest)
    assert "cart" not in appliance.cli("get", "lb")
    try:
        appliance.cli("apply", "-f", manifest, "--wait")
        for one in preview["ingress"]:
            assert fetch(lab.client, one["ip"], 8000).status == 200
    finally:
        appliance.cli("delete", "lb", "shop/cart")


def test_snat_addresses_and_nodes_are_what_the_dataplane_has(lab):
    appliance = lab.appliance
    appliance.wait_in_force()
    assert "10.0.2.100" in appliance.cli("get", "snat")
    described = appliance.cli("describe", "node", "node1")
    assert "Programmed" in described and "DataplaneUnavailable" not in described


def test_mistakes_are_told_with_the_field_and_an_exit_status(lab):
    appliance = lab.appliance
    wrong = lab.folder / "wrong.yaml"
    wrong.write_text(MANIFEST.replace("port: 8000", "port: 80000"))
    told = appliance.cli("apply", "-f", wrong, status=None)
    assert "port" in told and "65535" in told, told
    missing = appliance.cli("describe", "lb", "shop/nothing", status=None)
    assert "shop/nothing" in missing, missing
    with pytest.raises(Exception):
        appliance.cli("apply", "-f", wrong)


def test_server_that_is_not_there_is_told_plainly(lab):
    told = lab.appliance.cli("--server", "http://127.0.0.1:1", "get", "lb", status=None)
    assert "127.0.0.1:1" in told and "Traceback" not in told, told
