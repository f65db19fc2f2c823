#!/usr/bin/env python3
"""What runs in a pod: small real servers.

usage: pod_server.py POD NODE KIND=PORT ...       KIND: http, tcp (echo), udp (echo)

http answers "POD NODE CLIENT_ADDRESS CLIENT_PORT"; /slow?SECONDS the same after a while. A datagram is answered by the same and what it
carried; a stream is answered byte for byte. SIGTERM: no new connections, those there are end, then it ends, as a good server does.
"ready" is printed when all ports listen.
"""
import selectors
import signal
import socket
import sys
import time


class Server:
    def __init__(self, pod, node):
        self.name = f"{pod} {node}"
        self.ready = selectors.DefaultSelector()
        self.listeners, self.streams, self.later = [], set(), []
        self.ending = False

    def listen(self, kind, port):
        if kind == "udp":
            one = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            one.bind(("::", port))
            self.ready.register(one, selectors.EVENT_READ, lambda _: self.datagram(one))
        else:
            one = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=4096)
            take = Request if kind == "http" else Echo
            self.ready.register(one, selectors.EVENT_READ, lambda _: self.accept(one, take))
        one.setblocking(False)
        self.listeners.append(one)

    def datagram(self, one):
        try:
            payload, source = one.recvfrom(65535)
            one.sendto(f"{self.name} {plain(source[0])} {source[1]} ".encode() + payload, source)
        except OSError as trouble:  # an ICMP error of an earlier answer shows up here
            print(trouble, flush=True)

    def accept(self, listener, take):
        for _ in range(64):
            try:
                stream, source = listener.accept()
            except BlockingIOError:
                return
            except OSError as trouble:
                print(trouble, flush=True)
                return
            stream.setblocking(False)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one = take(self, stream, source)
            self.streams.add(one)
            self.ready.register(stream, selectors.EVENT_READ, one.serve)

    def end(self):
        """What waits in a listener's queue is taken first: a closed listener would refuse it."""
        self.ending = True
        for one in self.listeners:
            key = self.ready.get_key(one)
            if one.type == socket.SOCK_STREAM:
                key.data(0)
            self.ready.unregister(one)
            one.close()
        for one in list(self.streams):
            if isinstance(one, Request) and not one.incoming and one.answered:
                one.close()

    def run(self):
        while not (self.ending and not self.streams):
            now = time.monotonic()
            wait = None
            if self.later:
                self.later.sort(key=lambda one: one[0])
                while self.later and self.later[0][0] <= now:
                    self.later.pop(0)[1]()
                wait = max(0.0, self.later[0][0] - now) if self.later else None
                if self.ending and not self.streams:
                    break
            for key, events in self.ready.select(wait):
                if key.fileobj.fileno() >= 0:
                    key.data(events)


class Stream:
    def __init__(self, server, stream, source):
        self.server, self.stream, self.source = server, stream, source
        self.unsent = bytearray()

    def close(self):
        if self in self.server.streams:
            self.server.streams.discard(self)
            self.server.ready.unregister(self.stream)
            self.stream.close()

    def serve(self, events):
        try:
            if events & selectors.EVENT_READ:
                block = self.stream.recv(65536)
                if not block:
                    raise EOFError
                self.take(block)
            self.send()
        except BlockingIOError:
            pass
        except (OSError, EOFError):
            self.close()

    def send(self):
        try:
            if self.unsent:
                del self.unsent[:self.stream.send(self.unsent)]
        except BlockingIOError:
            pass
        if self in self.server.streams:
            # Read no further while much is unsent: the window closes instead of the memory growing.
            self.server.ready.modify(self.stream, (selectors.EVENT_WRITE if self.unsent else 0)
                                     | (selectors.EVENT_READ if len(self.unsent) < 1 << 20 else 0), self.serve)


class Echo(Stream):
    def take(self, block):
        self.unsent += block


class Request(Stream):
    def __init__(self, server, stream, source):
        super().__init__(server, stream, source)
        self.incoming = b""
        self.answered = False
        self.last = False

    def take(self, block):
        self.incoming += block
        while b"\r\n\r\n" in self.incoming:
            head, _, self.incoming = self.incoming.partition(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode(errors="replace")
            close = b"connection: close" in head.lower() or head.split(b"\r\n", 1)[0].endswith(b"HTTP/1.0")
            if path.startswith("/slow?"):
                self.server.later.append((time.monotonic() + float(path.partition("?")[2]), lambda: self.answer(close)))
            else:
                self.answer(close)

    def answer(self, close):
        close = close or self.server.ending
        body = f"{self.server.name} {plain(self.source[0])} {self.source[1]}\n"
        self.unsent += (f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
                        f"{'Connection: close' if close else 'Connection: keep-alive'}\r\n\r\n{body}").encode()
        self.answered, self.last = True, close
        self.send()

    def send(self):
        try:
            super().send()
        except OSError:
            self.close()
        if self.last and not self.unsent:
            self.close()


def plain(address):
    return address.removeprefix("::ffff:")


def main(pod, node, *ports):
    server = Server(pod, node)
    # Ended from the loop, not in the midst of something: the signal only wakes it.
    told, woken = socket.socketpair()
    for end in (told, woken):
        end.setblocking(False)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.set_wakeup_fd(told.fileno())
    server.ready.register(woken, selectors.EVENT_READ, lambda _: server.end() if woken.recv(64) and not server.ending else None)
    for one in ports:
        kind, _, port = one.partition("=")
        if kind not in ("http", "tcp", "udp") or not port.isdigit():
            sys.exit(f"found '{one}', wanted http=PORT, tcp=PORT or udp=PORT")
        server.listen(kind, int(port))
    print("ready", flush=True)
    server.run()


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
