"""Connections outlive the dataplane: kill -9, a clean stop, another number of workers. What cannot be kept is told.

Gaps are printed (pytest -rP shows them): how long a busy connection stood still, TCP's own waiting before it sends again included.
"""
import contextlib
import json
import mmap
import struct

import pytest

from kinds import AF_PACKET_1, AF_PACKET_2
from lab import RequestLoad, TcpStream, connect, eventually, fetch, receive
from lab.servers import IPERF

KILLS = 3
MOST_GAP = 30.0  # seconds; generous: machines under load start slowly
IPERF_PORT = 5201


class Idle:
    """A shell that nobody types into: a line comes back at the beginning and at the end, nothing in between."""

    def __init__(self, lab, family):
        self.stream = connect(lab.client, lab.stream_vips[family], 7, timeout=30)
        self.line(b"first\n")

    def line(self, text):
        self.stream.sendall(text)
        assert receive(self.stream, len(text)) == text

    def close(self):
        self.stream.close()


def end(appliance, how):
    if how == "kill":
        appliance.dataplane.kill()
    else:
        assert appliance.dataplane.stop() == 0, appliance.dataplane.tail()


def kept_line(appliance):
    return eventually(lambda: next((line for line in appliance.dataplane.output().splitlines() if " kept of the file " in line), None),
                      20, "the log says what was kept")


def restart(lab, streams, how="kill", **changes):
    """Ends the dataplane, starts it again and waits until all streams move. Returns its line on connections."""
    appliance = lab.appliance
    end(appliance, how)
    if changes:
        appliance.write_config(**changes)
    before = [stream.echoed for stream in streams]
    appliance.start_dataplane()
    line = kept_line(appliance)
    appliance.dataplane.wait_until(
        lambda: all(stream.trouble or stream.echoed > was + 20 for stream, was in zip(streams, before)), 40, "the streams go on")
    assert not any(stream.trouble for stream in streams), [stream.trouble for stream in streams]
    return line


def expect_all_kept(lab):
    """All but what would have ended anyway, as the metrics say."""
    def taken(result):
        return lab.appliance.metric("guideway_dataplane_connections_at_start", result=result)
    eventually(lambda: taken("kept") >= 10, 20, "the metrics say that connections were kept")
    for result in ("no_state", "snat_gone", "damaged", "doubled", "no_room"):
        assert taken(result) == 0, result


@contextlib.contextmanager
def connections(lab):
    """Busy and idle ones of both families."""
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(TcpStream(lab.client, lab.stream_vips[family], 7)) for family in (4, 6)]
        idle = [stack.enter_context(contextlib.closing(Idle(lab, family))) for family in (4, 6) for _ in range(4)]
        eventually(lambda: all(stream.echoed > 20 for stream in streams), 20, "the streams are under way")
        yield streams
        for one in idle:
            one.line(b"still there\n")
        assert not any(stream.trouble for stream in streams), [stream.trouble for stream in streams]
        gaps = ", ".join(f"{stream.longest_gap:.2f} s" for stream in streams)
        print(f"longest standstill of a busy connection: {gaps}")
        assert max(stream.longest_gap for stream in streams) < MOST_GAP


def node(lab, number, **spec):
    return {"metadata": {"name": f"node{number}"}, "spec": {"addresses": list(lab.site.node(number)), **spec}}


@pytest.mark.parametrize("lab", [AF_PACKET_1, AF_PACKET_2], indirect=True, ids=str)
@pytest.mark.parametrize("how", ["kill", "stop"])
def test_no_connection_is_broken_by_restarts_of_the_dataplane(lab, how):
    assert lab.appliance.flow_file, lab.appliance.dataplane.output()
    with connections(lab) as streams:
        for _ in range(KILLS):
            print(restart(lab, streams, how))
            expect_all_kept(lab)


@pytest.mark.parametrize("lab", [AF_PACKET_1, AF_PACKET_2], indirect=True, ids=str)
def test_a_long_transfer_outlives_kills(lab, family):
    """iperf3's two connections must meet at one server, so two nodes are drained while it begins."""
    appliance = lab.appliance
    appliance.put("/v1/load-balancers/default/iperf?wait=30",
                  {"metadata": {"namespace": "default", "name": "iperf"},
                   "spec": {"ipFamilyPolicy": "RequireDualStack",
                            "ports": [{"name": "iperf", "protocol": "TCP", "port": IPERF_PORT, "nodePort": IPERF}]}})
    vip = appliance.addresses("iperf")[family]
    try:
        for number in (2, 3):
            appliance.put(f"/v1/nodes/node{number}?wait=30", node(lab, number, drain=True))
        transfer = lab.run(f"iperf3-client-{family}", "iperf3", "-c", vip, "-p", IPERF_PORT, "-t", 25, "-b", "50M", "-J",
                           namespace=lab.client)
        eventually(lambda: appliance.metric("guideway_service_packets_total", service="iperf") > 1000, 20, "iperf3 is under way")
        with TcpStream(lab.client, lab.stream_vips[family], 7) as stream, RequestLoad(lab.client, lab.vips[family], 80) as load:
            eventually(lambda: stream.echoed > 20 and load.done > 10, 20, "streams and requests are under way")
            for _ in range(KILLS):
                print(restart(lab, [stream]))
                done = load.done
                eventually(lambda: load.done > done, 20, "new connections are served")
            eventually(lambda: not transfer.running, 60, "iperf3 ends")
        report = json.loads(transfer.output())
        assert transfer.popen.returncode == 0 and "error" not in report, report.get("error")
        seconds = [part["sum"]["bytes"] for part in report["intervals"]]
        assert seconds[-1] > 0, "nothing came through in the last second"
        print(f"iperf3: {sum(seconds)} bytes, {seconds.count(0)} of {len(seconds)} seconds without a byte; stream stood still for "
              f"{stream.longest_gap:.2f} s at the longest; requests: {load.report()}")
    finally:
        for number in (2, 3):
            appliance.put(f"/v1/nodes/node{number}?wait=30", node(lab, number))
        appliance.rest("DELETE", "/v1/load-balancers/default/iperf?wait=30")


@pytest.mark.parametrize("lab", [AF_PACKET_1], indirect=True, ids=str)
def test_another_number_of_workers_keeps_connections(lab):
    try:
        with connections(lab) as streams:
            for workers in (2, 1, 2):
                print(restart(lab, streams, workers=str(workers)))
                expect_all_kept(lab)
            # With as many as before: what lives at another worker than its clients name is still found.
            print(restart(lab, streams))
    finally:
        restart(lab, [], "stop", workers="1")
        lab.appliance.wait_ready()


@pytest.mark.parametrize("lab", [AF_PACKET_1], indirect=True, ids=str)
@pytest.mark.parametrize("fault, reason", [("bit", "damaged: "), ("layout", "another layout: ")])
def test_a_file_that_cannot_be_trusted_is_refused_by_name(lab, fault, reason):
    appliance = lab.appliance
    with contextlib.closing(Idle(lab, 4)) as idle:
        appliance.dataplane.kill()
        spoil(appliance.flow_file, fault)
        appliance.start_dataplane()
        appliance.dataplane.wait_until(lambda: serves(lab), 40, "traffic goes on")
        refusals = [line for line in appliance.dataplane.output().splitlines() if "refused: " + reason in line]
        assert refusals and " warning " in refusals[0], appliance.dataplane.output()
        with pytest.raises(ConnectionError):
            idle.line(b"gone\n")
    with contextlib.closing(Idle(lab, 4)) as again:
        again.line(b"come again\n")


def serves(lab):
    with contextlib.suppress(OSError):
        return fetch(lab.client, lab.vips[4], 80, timeout=1).status == 200
    return False


def spoil(path, fault):
    """`bit`: one bit of the header turned. `layout`: the layout's number is another, and the checksum right."""
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as bytes_:
        if fault == "bit":
            bytes_[100] ^= 1
            return
        bytes_[24:28] = struct.pack("<I", struct.unpack("<I", bytes_[24:28])[0] + 1)
        bytes_[12:16] = struct.pack("<I", crc32c(bytes_[24:8192]))


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
