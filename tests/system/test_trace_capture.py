"""Packets on their way, as an operator sees them: `guideway trace` and `guideway capture`, with real traffic, and what they must not cost."""
import contextlib
import json
import re
import signal
import socket
import subprocess

import pytest

from kinds import AF_PACKET_2
from lab import connect, eventually, receive
from lab.host import die_with_parent
from test_see import dataplane_socket, endpoint, send_gre

pytestmark = pytest.mark.parametrize("lab", [AF_PACKET_2], indirect=True, ids=str)


class Looking:
    """`guideway trace` or `capture` while it runs; it looks from the moment that the block is entered."""

    def __init__(self, lab, folder, *arguments):
        self.out, self.err = folder / "out", folder / "err"
        self.argv = lab.appliance.namespace.command(
            *lab.appliance.command(*arguments, "--socket", dataplane_socket(lab)))

    def __enter__(self):
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.popen = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                          preexec_fn=die_with_parent)
        eventually(lambda: "Looking, " in self.told or self.popen.poll() is not None, 20, "it looks")
        assert self.popen.poll() is None, self.told
        return self

    def __exit__(self, *trouble):
        with contextlib.suppress(ProcessLookupError):
            self.popen.kill()
        self.popen.wait(20)

    @property
    def told(self):
        return self.err.read_text()

    @property
    def shown(self):
        return self.out.read_text()

    @property
    def records(self):
        """Of -o json: whole lines only."""
        return [json.loads(line) for line in self.shown.splitlines(keepends=True) if line.endswith("\n")]

    def interrupt(self):
        self.popen.send_signal(signal.SIGINT)
        assert self.popen.wait(20) == 0, self.told


def talk(lab, family, port):
    with connect(lab.client, lab.stream_vips[family], 7, source_port=port) as stream:
        stream.sendall(b"hello")
        receive(stream, 5)


def dumped(file, *arguments):
    """What tcpdump reads."""
    done = subprocess.run(["tcpdump", "-n", "-r", str(file), *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def spelled(address, port):
    """As tcpdump does."""
    return f"{address}.{port}"


def test_a_capture_has_each_packet_before_and_after_translation(lab, family, tmp_path):
    client, vip, snat = lab.site.client[family == 6], lab.stream_vips[family], lab.site.snat[family == 6]
    file = tmp_path / "x.pcapng"
    with Looking(lab, tmp_path, "capture", "--source", client, "--destination", endpoint(vip, 7), "-w", file) as looking:
        for port in range(20000 + 100 * family, 20050 + 100 * family):
            talk(lab, family, port)
            eventually(lambda: f"{spelled(vip, 7)} > {spelled(client, port)}: Flags [F" in dumped(file), 20, "its end is written")
            # The first to a node may wait for its MAC address, and is then not seen to leave.
            if f"IP{'6' if family == 6 else ''} {snat}." in dumped(file, "tcp[tcpflags] & tcp-syn != 0" if family == 4
                                                                  else f"ip6[53] & 2 != 0 and src {snat}"):
                break
        looking.interrupt()
    text = dumped(file)
    # The client's side and the node's, in the order of the handshake.
    assert f"{spelled(client, port)} > {spelled(vip, 7)}: Flags [S]" in text
    sent = re.search(rf"{re.escape(snat)}\.(\d+) > (\S+)\.(\d+): Flags \[S\]", text)
    assert sent, text
    node, node_port = sent[2], sent[3]
    assert node in [lab.site.node(number)[family == 6] for number in (1, 2, 3)]
    assert f"{node}.{node_port} > {snat}.{sent[1]}: Flags [S.]" in text
    assert f"{spelled(vip, 7)} > {spelled(client, port)}: Flags [S.]" in text
    assert "packets written to" in looking.told and " 0 lost" not in looking.told
    assert file.stat().st_mode & 0o777 == 0o600
    # Interfaces and comments are in the file, as wireshark reads them.
    content = file.read_bytes()
    for name in (b"client0 in", b"client0 out", b"node0 in", b"node0 out", b"forwarded; service default/stream, backend "):
        assert name in content
    # Each twice, as it came and as it left, with the same payload.
    assert len(re.findall(r"length 5$", text, re.M)) % 2 == 0


def test_a_capture_goes_into_a_pipe(lab, family, tmp_path):
    vip = lab.stream_vips[family]
    with Looking(lab, tmp_path, "capture", "--destination", endpoint(vip, 7), "--count", "4") as looking:
        talk(lab, family, 21100 + family)
        assert looking.popen.wait(20) == 0, looking.told
    assert "ended by --count" in looking.told
    assert spelled(vip, 7) in dumped(looking.out)


def test_a_file_that_is_there_is_not_replaced_unasked(lab, tmp_path):
    file = tmp_path / "kept"
    file.write_text("mine")
    arguments = ("capture", "--seconds", "1", "-w", file, "--socket", dataplane_socket(lab))
    assert "--force" in lab.appliance.cli(*arguments, status=1)
    assert file.read_text() == "mine"
    lab.appliance.cli(*arguments, "--force")
    assert file.read_bytes().startswith(b"\x0a\x0d\x0d\x0a")


def test_a_trace_tells_each_stage(lab, family, tmp_path):
    client, vip, port = lab.site.client[family == 6], lab.stream_vips[family], 21200 + family
    with Looking(lab, tmp_path, "trace", "--source", endpoint(client, port), "-o", "json") as looking:
        talk(lab, family, port)
        eventually(lambda: any("now tcp_time_wait" in step for record in looking.records for step in record["steps"]), 20,
                   "its end is seen")
        looking.interrupt()
    opened = next(record for record in looking.records if record["verdict"] != "handed_over")
    assert opened["in"]["packet"] == f"TCP {endpoint(client, port)} > {endpoint(vip, 7)} SYN"
    # The first to a node may wait for its MAC address.
    held = opened["verdict"] == "held"
    assert opened["in"]["port"] == "client0" and opened["out"][0]["port"] == ("" if held else "node0")
    assert opened["service"] == "default/stream" and opened["backend"]
    steps = "\n".join(opened["steps"])
    for words in ("Not in this worker's flow table.", "Service default/stream", "Opens a connection", "Translated to TCP ",
                  "Waits for the MAC address" if held else "Leaves by port node0 to "):
        assert words in steps, steps
    replies = [record for record in looking.records if record["in"]["port"] == "node0" and record["verdict"] == "forwarded"]
    assert replies and replies[0]["out"][0]["packet"] == f"TCP {endpoint(vip, 7)} > {endpoint(client, port)} SYN,ACK"
    assert {record["verdict"] for record in looking.records} <= {"forwarded", "handed_over", "held"}


def test_a_dropped_packet_is_traced_to_its_reason_and_what_to_do(lab, tmp_path):
    with Looking(lab, tmp_path, "trace", "--drops", "--destination", lab.vips[4], "--count", "1") as looking:
        send_gre(lab)
        assert looking.popen.wait(20) == 0, looking.told
    assert "Dropped as protocol_unsupported: " in looking.shown
    assert "= dropped as protocol_unsupported" in looking.shown and "-> " in looking.shown and "GRE" in looking.shown


def test_a_refused_connection_is_traced_by_its_reason(lab, family, tmp_path):
    with Looking(lab, tmp_path, "trace", "--reason", "port_closed", "--count", "1", "-o", "json") as looking:
        with pytest.raises(ConnectionRefusedError):
            connect(lab.client, lab.stream_vips[family], 4711)
        assert looking.popen.wait(20) == 0, looking.told
    record, = looking.records
    assert (record["verdict"], record["reason"]) == ("refused", "port_closed")
    assert record["out"][0]["packet"].endswith("RST,ACK")


def test_one_at_a_time_and_the_next_is_told_by_whom(lab, tmp_path):
    with Looking(lab, tmp_path, "trace", "--destination", ":9") as first:
        refused = lab.appliance.cli("capture", "-w", tmp_path / "x", "--socket", dataplane_socket(lab), status=1)
        assert f"in use by guideway trace (process {first.popen.pid})" in refused, refused
        assert not (tmp_path / "x").exists()


def test_a_client_that_is_killed_ends_its_tap(lab, tmp_path):
    with Looking(lab, tmp_path, "trace", "--destination", ":9", "--seconds", "3600") as first:
        first.popen.kill()
        first.popen.wait(20)
    quick = ("trace", "--seconds", "1", "--destination", ":9", "--socket", dataplane_socket(lab))
    eventually(lambda: lab.appliance.cli(*quick) == "", 20, "the next one may look")


def test_the_rate_holds_and_what_came_faster_is_counted(lab, tmp_path):
    with Looking(lab, tmp_path, "capture", "--protocol", "udp", "--destination", lab.vips[4], "--rate", "5", "--seconds", "2",
                 "-w", tmp_path / "x") as looking:
        with lab.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
            while looking.popen.poll() is None:
                with contextlib.suppress(ConnectionRefusedError):
                    flood.sendto(b"x", (lab.vips[4], 4711))
        assert looking.popen.returncode == 0, looking.told
    summary = re.search(r"(\d+) packets? written to .* of (\d+) that were looked for; (\d+) came faster than --rate", looking.told)
    assert summary, looking.told
    assert int(summary[1]) <= 5 * 3, "as many at once as a second has, and then the rate of two seconds"
    assert int(summary[3]) > int(summary[1]) > 0 and "ended by --seconds" in looking.told


def test_what_the_dataplane_does_not_know_is_refused_by_the_options_name(lab):
    refused = lab.appliance.cli("trace", "--port", "eth9", "--socket", dataplane_socket(lab), status=2)
    assert '--port: found "eth9", allowed a port of this appliance: client0, node0' in refused
