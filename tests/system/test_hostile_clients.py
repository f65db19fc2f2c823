"""A thousand clients that never finish their request, two hundred that watch in silence, and the others, who are served."""
import resource
import selectors
import socket
import threading
import time

import pytest

from lab.alone import ControlPlane
from lab.wait import eventually

SLOW = 1000
SLOW_ADDRESSES = [f"127.0.0.{number}" for number in range(10, 20)]
WATCHES = 200
REQUESTS = 200


@pytest.fixture(autouse=True)
def enough_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def controlplane(tmp_path):
    with ControlPlane(tmp_path) as started:
        yield started


def connect(port, address="127.0.0.1"):
    return socket.create_connection(("127.0.0.1", port), 20, source_address=(address, 0))


class SlowLoris(threading.Thread):
    """Keeps its connections open a byte at a time, and opens another for each that is closed."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port = port
        self.held = []
        self.opened = 0
        self.full = threading.Event()
        self.stop = threading.Event()

    def run(self):
        while not self.stop.is_set():
            for index in range(SLOW):
                if self.stop.is_set():
                    break
                if index >= len(self.held):
                    self.held.append(None)
                try:
                    if self.held[index] is None:
                        self.held[index] = connect(self.port, SLOW_ADDRESSES[index % len(SLOW_ADDRESSES)])
                        self.opened += 1
                        self.held[index].sendall(b"GET /v1/nodes HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
                    else:
                        self.held[index].sendall(b"x")
                except OSError:
                    if self.held[index]:
                        self.held[index].close()
                    self.held[index] = None
            self.full.set()
            self.stop.wait(0.2)

    def end(self):
        self.stop.set()
        self.join()
        for one in self.held:
            if one:
                one.close()


def open_watches(controlplane):
    watches = []
    for _ in range(WATCHES):
        one = connect(controlplane.port)
        one.sendall((f"GET /v1/load-balancers?watch=true HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                     f"Authorization: Bearer {controlplane.token}\r\n\r\n").encode())
        watches.append(one)
    for one in watches:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = one.recv(4096)
            assert piece, head
            head += piece
        assert head.startswith(b"HTTP/1.1 200"), head
    return watches


def closed(sockets):
    """Those that the server has closed."""
    gone = 0
    selector = selectors.DefaultSelector()
    for one in sockets:
        one.setblocking(False)
        selector.register(one, selectors.EVENT_READ)
    for key, _ in selector.select(0):
        try:
            while True:
                if not key.fileobj.recv(65536):
                    gone += 1
                    break
        except BlockingIOError:
            pass
    selector.close()
    return gone


def served(controlplane, capsys, what):
    """Requests of somebody else, each on a connection of its own: all answered."""
    times = []
    for number in range(REQUESTS):
        start = time.perf_counter()
        answer = controlplane.ask("GET" if number % 2 else "PUT", f"/v1/nodes/n{number // 2 % 10}",
                                  **({} if number % 2 else {"json": {"spec": {"addresses": [f"10.0.2.{number // 2 % 10 + 1}"]}}}))
        times.append(time.perf_counter() - start)
        assert answer.status_code in (200, 201), f"{number}: {answer.status_code} {answer.text}"
    times.sort()
    with capsys.disabled():
        print(f"\n{what}: {REQUESTS} requests, median {times[len(times) // 2] * 1000:.1f} ms, "
              f"p99 {times[-len(times) // 100 - 1] * 1000:.1f} ms, worst {times[-1] * 1000:.1f} ms")


def test_a_thousand_slow_clients_do_not_keep_others_from_their_answers(controlplane, capsys):
    served(controlplane, capsys, "quiet")
    loris = SlowLoris(controlplane.port)
    loris.start()
    try:
        assert loris.full.wait(60)
        served(controlplane, capsys, f"beside {SLOW} slow clients")
        assert loris.opened >= SLOW
    finally:
        loris.end()


def test_two_hundred_watches_and_a_thousand_slow_clients(controlplane, capsys):
    if controlplane.ask("GET", "/v1/load-balancers?watch=true", stream=True).status_code != 200:
        pytest.fail("the server has no watches")
    watches = open_watches(controlplane)
    loris = SlowLoris(controlplane.port)
    loris.start()
    try:
        assert loris.full.wait(60)
        served(controlplane, capsys, f"beside {WATCHES} watches and {SLOW} slow clients")
        assert closed(watches) == 0, "no watch was closed to make room"
        assert controlplane.metric("guideway_http_watches") >= WATCHES
    finally:
        loris.end()
        for one in watches:
            one.close()
    eventually(lambda: controlplane.metric("guideway_http_watches") == 0, 30, "the watches have ended")


def test_health_and_metrics_answer_while_the_api_is_full(tmp_path):
    with ControlPlane(tmp_path, "limits: { connections = 16; request_seconds = 600; };") as controlplane:
        # Waiting requests are at work for their client: they do not give way.
        busy = []
        for _ in range(8):
            one = connect(controlplane.port)
            one.sendall((f"GET /v1/status?wait=30 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                         f"Authorization: Bearer {controlplane.token}\r\n\r\n").encode())
            busy.append(one)
        loris = SlowLoris(controlplane.port)
        loris.start()
        try:
            assert loris.full.wait(60)
            for _ in range(50):
                assert controlplane.metric("guideway_http_connections") <= 64 + 16 + 2
            assert controlplane.metric('guideway_http_shed_connections_total{reason="gave_way"}') > 0
        finally:
            loris.end()
            for one in busy:
                one.close()
