"""Real clients reach real servers on NodePorts through the dataplane, in every way to run it."""
import hashlib
import socket
import threading
import time

import pytest

from kinds import ORDINARY_PAGES, UNFINISHED
from lab import ask_udp, connect, fetch, receive, spread_of
from lab.servers import BIG_FILE_BYTES
from lab.traffic import family_of

NODES = {"node1", "node2", "node3"}


def url(address, path="/"):
    return f"http://[{address}]{path}" if ":" in address else f"http://{address}{path}"


def test_tcp_connections_spread_over_all_nodes(lab, family):
    counts = spread_of(fetch(lab.client, lab.vips[family], 80).text.strip() for _ in range(90))
    assert set(counts) == NODES and min(counts.values()) >= 12, counts


def test_udp_flows_spread_over_all_nodes(lab, family):
    answers = [ask_udp(lab.client, lab.vips[family], 53, b"%d" % i).decode().split() for i in range(90)]
    assert [int(answer[3]) for answer in answers] == list(range(90))
    counts = spread_of(answer[0] for answer in answers)
    assert set(counts) == NODES and min(counts.values()) >= 12, counts


def test_datagrams_of_one_socket_stay_on_one_node(lab, family):
    with lab.client.socket(family_of(lab.vips[family]), socket.SOCK_DGRAM) as datagrams:
        datagrams.settimeout(5)
        datagrams.connect((lab.vips[family], 53))
        seen = set()
        for i in range(50):
            datagrams.send(b"%d" % i)
            name, source, port, count = datagrams.recv(2000).decode().split()
            assert int(count) == i
            seen.add((name, source, port))
    assert len(seen) == 1, seen


def test_server_sees_the_snat_address_tcp(lab, family):
    seen = {fetch(lab.client, lab.vips[family], 80, "/source").text.split()[1] for _ in range(10)}
    assert seen == {lab.site.snat[family == 6]}


def test_server_sees_the_snat_address_udp(lab, family):
    seen = {ask_udp(lab.client, lab.vips[family], 53).decode().split()[1] for _ in range(10)}
    assert seen == {lab.site.snat[family == 6]}


def test_ten_megabytes_arrive_byte_exact_from_the_server(lab, family):
    reply = fetch(lab.client, lab.vips[family], 80, "/big", timeout=60)
    wanted = (lab.servers[0].www / "big").read_bytes()
    assert reply.status == 200 and len(reply.body) == BIG_FILE_BYTES
    assert hashlib.sha256(reply.body).digest() == hashlib.sha256(wanted).digest()


def test_ten_megabytes_arrive_byte_exact_at_the_server(lab, family):
    sent = (lab.servers[0].www / "big").read_bytes()
    reply = fetch(lab.client, lab.vips[family], 80, f"/upload/v{family}", "PUT", sent, timeout=60)
    assert reply.status in (201, 204), reply.text
    arrived = [servers.www / "upload" / f"v{family}" for servers in lab.servers]
    arrived = [path for path in arrived if path.exists()]
    try:
        assert len(arrived) == 1
        assert hashlib.sha256(arrived[0].read_bytes()).digest() == hashlib.sha256(sent).digest()
    finally:
        for path in arrived:
            path.unlink()


@pytest.mark.parametrize("size", [0, 1, 2, 1001, 1400])
def test_datagrams_of_odd_and_even_sizes_come_back_whole(lab, family, size):
    payload = bytes(i * 7 & 0xFF for i in range(size))
    answer = ask_udp(lab.client, lab.vips[family], 53, payload)
    assert answer.split(b" ", 3)[3] == payload


def test_a_stream_can_be_closed_in_one_direction_first(lab, family):
    with connect(lab.client, lab.vips[family], 80) as stream:
        stream.sendall(b"GET /source HTTP/1.0\r\n\r\n")
        stream.shutdown(socket.SHUT_WR)
        answer = b""
        while part := stream.recv(4096):
            answer += part
    assert b"200 OK" in answer and answer.decode().split()[-3] in NODES


def test_no_request_fails_among_many_new_connections(lab, family):
    done = lab.client.run("wrk", "-t1", "-c32", "-d2s", "--timeout", "5s", "-H", "Connection: close", url(lab.vips[family]))
    assert "Socket errors" not in done.stdout and "Non-2xx" not in done.stdout, done.stdout
    assert int(done.stdout.split(" requests in")[0].split()[-1]) > 200, done.stdout


def test_a_hundred_connections_stay_open_side_by_side(lab, family):
    streams = [connect(lab.client, lab.stream_vips[family], 7) for _ in range(100)]
    try:
        for turn in range(3):
            for number, stream in enumerate(streams):
                stream.sendall(b"%d/%d." % (turn, number))
            for number, stream in enumerate(streams):
                wanted = b"%d/%d." % (turn, number)
                assert receive(stream, len(wanted)) == wanted
    finally:
        for stream in streams:
            stream.close()


def test_vip_answers_ping(lab, family):
    for size in (56, 1200):
        done = lab.client.run("ping", "-c", "3", "-i", "0.1", "-W", "3", "-s", size, lab.vips[family], check=False)
        assert " 0% packet loss" in done.stdout, done.stdout


def test_closed_tcp_port_of_a_vip_is_refused_at_once(lab, family):
    fetch(lab.client, lab.vips[family], 80)  # the way there is known: what is measured is the refusal
    began = time.monotonic()
    with pytest.raises(ConnectionRefusedError):
        connect(lab.client, lab.vips[family], 81)
    # A refusal by ICMP alone would count only at the second SYN, a second later.
    assert time.monotonic() - began < 0.9


def test_closed_udp_port_of_a_vip_is_refused(lab, family):
    with pytest.raises(ConnectionRefusedError):
        ask_udp(lab.client, lab.vips[family], 54)


def test_both_directions_at_once_carry_a_long_stream(lab, family):
    """Full windows both ways: 4 MB go out while they come back."""
    data = bytes(range(256)) * 16384
    with connect(lab.client, lab.stream_vips[family], 7, timeout=60) as stream:
        sender = threading.Thread(target=stream.sendall, args=(data,))
        sender.start()
        back = receive(stream, len(data))
        sender.join()
    assert back == data


@pytest.mark.parametrize("lab", UNFINISHED, indirect=True, ids=str)
def test_peers_that_leave_checksums_unfinished_are_served_all_the_same(lab, family):
    counts = spread_of(fetch(lab.client, lab.vips[family], 80).text.strip() for _ in range(30))
    assert set(counts) == NODES
    assert ask_udp(lab.client, lab.vips[family], 53, b"whole").endswith(b" whole")
    reply = fetch(lab.client, lab.vips[family], 80, "/big", timeout=60)
    assert len(reply.body) == BIG_FILE_BYTES
    assert fetch(lab.client, lab.vips[family], 80, "/upload/unfinished", "PUT", reply.body, timeout=60).status in (201, 204)


@pytest.mark.parametrize("lab", [ORDINARY_PAGES], indirect=True, ids=str)
def test_a_machine_without_huge_pages_serves_too(lab, family):
    assert fetch(lab.client, lab.vips[family], 80).text.strip() in NODES
    assert ask_udp(lab.client, lab.vips[family], 53, b"whole").endswith(b" whole")
    assert len(fetch(lab.client, lab.vips[family], 80, "/big", timeout=60).body) == BIG_FILE_BYTES
