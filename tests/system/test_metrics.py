"""Prometheus reads the numbers, and they count what happened."""
import json
import time
import urllib.parse

import pytest

from contract import hold
from kinds import AF_PACKET_2
from lab import ask_udp, eventually, fetch
from lab.traffic import fetch as http

pytestmark = pytest.mark.parametrize("lab", [AF_PACKET_2], indirect=True, ids=str)

PROMETHEUS_PORT = 19090
PROMETHEUS = """\
global: {{ scrape_interval: 250ms, scrape_timeout: 250ms }}
scrape_configs:
  - job_name: guideway
    static_configs: [ {{ targets: ["127.0.0.1:8871"] }} ]
"""


def service(name):
    return {"metadata": {"namespace": "counted", "name": name},
            "spec": {"ipFamilyPolicy": "RequireDualStack",
                     "ports": [{"name": "http", "protocol": "TCP", "port": 80, "nodePort": 30080}]}}


def test_promtool_finds_no_fault_in_metrics(lab):
    for vip in lab.vips.values():
        fetch(lab.client, vip, 80)
        ask_udp(lab.client, vip, 53)
    done = lab.client.run("promtool", "check", "metrics", input=lab.appliance.metrics(), check=False)
    assert done.returncode == 0 and not (done.stdout + done.stderr).strip(), done.stdout + done.stderr


def test_each_series_has_help_type_and_the_product_s_name(lab):
    text = lab.appliance.metrics()
    helped = {line.split()[2] for line in text.splitlines() if line.startswith("# HELP")}
    typed = {line.split()[2]: line.split()[3] for line in text.splitlines() if line.startswith("# TYPE")}
    assert helped == set(typed) and len(helped) > 10
    for name, kind in typed.items():
        assert name.startswith("guideway_"), name
        assert (kind == "counter") == name.endswith("_total"), f"{name} is a {kind}"


def test_prometheus_scrapes_and_series_of_a_service_leave_with_it(lab):
    appliance = lab.appliance
    namespace = lab.topology.appliance
    folder = lab.folder / "prometheus"
    folder.mkdir(exist_ok=True)
    (folder / "prometheus.yml").write_text(PROMETHEUS.format())
    server = lab.run("prometheus", "prometheus", f"--config.file={folder}/prometheus.yml",
                     f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{PROMETHEUS_PORT}",
                     "--query.lookback-delta=2s", namespace=namespace)

    def query(expression):
        path = "/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        answer = json.loads(http(namespace, "127.0.0.1", PROMETHEUS_PORT, path).body)
        assert answer["status"] == "success", answer
        return [float(one["value"][1]) for one in answer["data"]["result"]]

    try:
        server.wait_until(lambda: query('up{job="guideway"}') == [1.0], 30, "up == 1")
        appliance.put("/v1/load-balancers/counted/here?wait=30", service("here"))
        vip = appliance.addresses("here", "counted")[4]
        for _ in range(7):
            fetch(lab.client, vip, 80)
        mine = 'sum({__name__=~"guideway_service_.*",service=~".*here.*"} or {__name__=~"guideway_service_.*",name="here"})'
        eventually(lambda: query(mine) and query(mine)[0] > 0, 20, "series of counted/here are in Prometheus")
        assert 'namespace="counted"' in appliance.metrics()
        appliance.rest("DELETE", "/v1/load-balancers/counted/here?wait=30")
        eventually(lambda: 'namespace="counted"' not in appliance.metrics(), 10, "its series are gone from /metrics")
        eventually(lambda: not query(mine), 20, "its series have ended in Prometheus")
        assert query('up{job="guideway"}') == [1.0]
    finally:
        server.stop()
        lab.processes.remove(server)


def test_refusals_are_counted_by_reason(lab):
    def refused():
        return lab.appliance.metric("guideway_dataplane_dropped_packets_total", reason="refused")
    before = refused()
    for _ in range(5):
        with pytest.raises(ConnectionRefusedError):
            fetch(lab.client, lab.vips[4], 81)
    eventually(lambda: refused() >= before + 5, 10, "five refusals are counted")


def test_connections_of_a_service_are_counted(lab, family):
    appliance = lab.appliance
    before = appliance.metric("guideway_service_connections_total")
    for _ in range(20):
        fetch(lab.client, lab.vips[family], 80)
    eventually(lambda: appliance.metric("guideway_service_connections_total") >= before + 20, 10, "20 connections more")


def test_scrape_is_quick(lab):
    began = time.monotonic()
    lab.appliance.metrics()
    assert time.monotonic() - began < 2


def test_what_the_dataplane_tells_by_rest_is_as_the_contract_promises(lab):
    explain = (f"/v1/explain?protocol=TCP&source={lab.site.client[0]}&source_port=40000"
               f"&destination={lab.vips[4]}&destination_port=80")
    for path in ("/v1/counters", "/v1/snat-addresses", explain):
        status, answer = lab.appliance.rest("GET", path)
        assert status == 200, answer
        hold(path.split("?")[0], answer)
