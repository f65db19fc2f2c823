"""Clients: they speak from inside a namespace, and tell exactly what they saw."""
import collections
import dataclasses
import http.client
import pathlib
import socket
import threading
import time


@dataclasses.dataclass
class Reply:
    status: int
    body: bytes

    @property
    def text(self):
        return self.body.decode(errors="replace")


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def bind_source(one, address, port):
    """Only a port that the kernel does not give to others by itself: one of those may be somebody's just now."""
    lowest = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert port < lowest, f"source port {port}: the kernel gives out {lowest} and above"
    if one.type == socket.SOCK_STREAM:  # its last connection may be in TIME_WAIT
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind((address, port))


def connect(namespace, address, port, timeout=5.0, source_port=0):
    """A TCP connection made in the namespace."""
    stream = namespace.socket(family_of(address))
    try:
        stream.settimeout(timeout)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source_port:
            bind_source(stream, "::" if ":" in address else "0.0.0.0", source_port)
        stream.connect((address, port))
    except BaseException:
        stream.close()
        raise
    return stream


def receive(stream, size):
    """Exactly `size` bytes (MSG_WAITALL does not wait on a socket with a timeout)."""
    parts = []
    while size:
        part = stream.recv(min(size, 1 << 18))
        if not part:
            raise ConnectionError(f"closed with {size} bytes to come")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def fetch(namespace, address, port, path="/", method="GET", body=None, headers=None, timeout=5.0):
    """One HTTP request over a connection of its own."""
    host = f"[{address}]" if ":" in address else address
    client = http.client.HTTPConnection(host, port, timeout=timeout)
    client.sock = connect(namespace, address, port, timeout)
    try:
        client.request(method, path, body, {"Connection": "close", **(headers or {})})
        answer = client.getresponse()
        return Reply(answer.status, answer.read())
    finally:
        client.close()


def ask_udp(namespace, address, port, payload=b"ping", timeout=5.0, source_port=0):
    """One datagram, one answer, from a port of its own. A refusal by ICMP is a ConnectionRefusedError."""
    with namespace.socket(family_of(address), socket.SOCK_DGRAM) as datagrams:
        datagrams.settimeout(timeout)
        if source_port:
            bind_source(datagrams, "", source_port)
        datagrams.connect((address, port))
        datagrams.send(payload)
        return datagrams.recv(65535)


def spread_of(names):
    """How often each name came."""
    return dict(sorted(collections.Counter(names).items()))


class RequestLoad:
    """New connections without a pause, one request each, until told to stop. Remembers each failure with its moment.

        with RequestLoad(lab.client, vip, 80) as load:
            ... change something ...
        assert not load.failures
    """

    def __init__(self, namespace, address, port, path="/", threads=2, timeout=5.0, pause=0.0):
        self.namespace, self.address, self.port, self.path = namespace, address, port, path
        self.timeout, self.pause = timeout, pause
        self.failures = []       # (seconds since the start, what)
        self.answers = collections.Counter()
        self.longest_gap = 0.0   # between two successes, in seconds
        self._started = self._last_success = time.monotonic()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]

    @property
    def done(self):
        with self._lock:
            return sum(self.answers.values())

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def stop(self):
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        return self

    __enter__ = start

    def __exit__(self, *_):
        self.stop()

    def _work(self):
        while not self._stopping.is_set():
            try:
                reply = fetch(self.namespace, self.address, self.port, self.path, timeout=self.timeout)
                trouble = None if reply.status == 200 else f"status {reply.status}"
            except (OSError, http.client.HTTPException) as error:
                trouble = f"{type(error).__name__}: {error}"
            now = time.monotonic()
            with self._lock:
                if trouble:
                    self.failures.append((round(now - self._started, 3), trouble))
                else:
                    self.answers[reply.text.split()[0] if reply.body else ""] += 1
                    self.longest_gap = max(self.longest_gap, now - self._last_success)
                    self._last_success = now
            if self.pause or trouble:
                self._stopping.wait(self.pause or 0.01)

    def report(self):
        shown = "; ".join(f"{at} s: {what}" for at, what in self.failures[:10])
        return f"{self.done} answered {dict(self.answers)}, {len(self.failures)} failed ({shown}), longest gap {self.longest_gap:.3f} s"


class TcpStream:
    """One long connection to an echo server: numbered blocks go out and must come back in order, without a pause.

    It stands for the connections that a configuration change must not touch.
    """

    def __init__(self, namespace, address, port, block=1200, pause=0.002):
        self.stream = connect(namespace, address, port, timeout=20.0)
        self.block, self.pause = block, pause
        self.echoed = 0  # blocks
        self.longest_gap = 0.0  # between two of them, in seconds
        self.trouble = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self):
        try:
            last = time.monotonic()
            while not self._stopping.is_set():
                sent = self.echoed.to_bytes(8, "big") * (self.block // 8)
                self.stream.sendall(sent)
                if receive(self.stream, len(sent)) != sent:
                    raise ConnectionError(f"block {self.echoed} came back different")
                self.echoed += 1
                self.longest_gap = max(self.longest_gap, time.monotonic() - last)
                last = time.monotonic()
                self._stopping.wait(self.pause)
        except OSError as error:
            self.trouble = f"after {self.echoed} blocks: {type(error).__name__}: {error}"

    def close(self):
        self._stopping.set()
        self._thread.join(25)
        self.stream.close()

    __enter__ = lambda self: self

    def __exit__(self, *_):
        self.close()
