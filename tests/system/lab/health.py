"""What a node answers when it is asked whether it is well: kube-proxy's :10256/healthz, or the healthCheckNodePort of a Service.

    with HealthServer(lab.topology.nodes[0], 10256) as server:
        server.answers("status", 503)

Ways to answer: "status" (an HTTP status, with a body), "garbage" (what is no HTTP), "silent" (takes the connection and says nothing),
"slow" (begins in time, and is not done in time), "refused" (nobody listens).
"""
import contextlib
import socket
import threading
import time

from .traffic import family_of


class HealthServer:
    """A real TCP server in the namespace, by a thread here. `asked`: (moment, the prober's address, the server's address) of each probe."""

    def __init__(self, namespace, port, address="0.0.0.0", backlog=512):
        self.namespace, self.port, self.address, self.backlog = namespace, port, address, backlog
        self.asked = []
        self.way, self.status, self.body = "status", 200, b""
        self.script = None  # a function of the number of the probe: the status
        self._listener = None
        self._held = []
        self._lock = threading.Lock()
        self._thread = None

    def start(self):
        self._listener = self.namespace.socket(family_of(self.address))
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((self.address, self.port))
        self._listener.listen(self.backlog)
        self._thread = threading.Thread(target=self._serve, args=(self._listener,), daemon=True)
        self._thread.start()
        return self

    def stop(self):
        if self._listener:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # accept() returns
            self._thread.join()
            self._listener.close()
            self._listener = None
        with self._lock:
            for stream in self._held:
                stream.close()
            self._held.clear()

    __enter__ = start

    def __exit__(self, *_):
        self.stop()

    def answers(self, way, status=200, body=b""):
        self.status, self.body, self.script = status, body, None
        self.way = way
        if way == "refused":
            self.stop()
        elif not self._listener:
            self.start()

    @property
    def times_asked(self):
        with self._lock:
            return len(self.asked)

    def _serve(self, listener):
        while True:
            try:
                stream, peer = listener.accept()
            except OSError:
                return
            with self._lock:
                self.asked.append((time.monotonic(), peer[0], stream.getsockname()[0]))
                number = len(self.asked)
            with contextlib.suppress(OSError):
                self._answer(stream, number)

    def _answer(self, stream, number):
        if self.way in ("silent", "slow"):
            if self.way == "slow":
                stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")
            with self._lock:
                self._held.append(stream)
            return
        stream.settimeout(5)
        stream.recv(4096)
        if self.way == "garbage":
            stream.sendall(b"\x16\x03\x01 I am no web server \x00\xff\r\n\r\n")
        else:
            status = self.script(number) if self.script else self.status
            stream.sendall(b"HTTP/1.1 %d Whatever\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
                           % (status, len(self.body), self.body))
        stream.close()
