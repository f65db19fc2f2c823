#!/usr/bin/env python3
"""A node's small servers: UDP datagrams and TCP streams come back.

usage: echo_server.py NAME UDP_PORT TCP_PORT

A datagram is answered by "NAME SOURCE_ADDRESS SOURCE_PORT " and what it carried; a stream is answered byte for byte.
"""
import selectors
import socket
import sys


def main(name, udp_port, tcp_port):
    ready = selectors.DefaultSelector()
    datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    datagrams.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    datagrams.bind(("::", udp_port))
    listener = socket.create_server(("::", tcp_port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=512)
    for one in (datagrams, listener):
        one.setblocking(False)
    ready.register(datagrams, selectors.EVENT_READ, lambda: answer(datagrams, name))
    ready.register(listener, selectors.EVENT_READ, lambda: accept(ready, listener))
    while True:
        for key, events in ready.select():
            key.data() if key.fileobj in (datagrams, listener) else key.data(events)


def answer(datagrams, name):
    try:
        payload, source = datagrams.recvfrom(65535)
        address = source[0].removeprefix("::ffff:")
        datagrams.sendto(f"{name} {address} {source[1]} ".encode() + payload, source)
    except OSError as trouble:  # an ICMP error of an earlier answer shows up here
        print(trouble, flush=True)


def accept(ready, listener):
    try:
        stream, _ = listener.accept()
    except OSError as trouble:
        print(trouble, flush=True)
        return
    stream.setblocking(False)
    unsent = bytearray()

    def serve(events):
        try:
            if events & selectors.EVENT_READ:
                block = stream.recv(65536)
                if not block:
                    raise EOFError
                unsent.extend(block)
            if unsent:
                del unsent[:stream.send(unsent)]
        except BlockingIOError:
            pass
        except (OSError, EOFError):
            ready.unregister(stream)
            stream.close()
            return
        # Read no further while much is unsent: the window closes instead of the memory growing.
        wanted = (selectors.EVENT_WRITE if unsent else 0) | (selectors.EVENT_READ if len(unsent) < 1 << 20 else 0)
        ready.modify(stream, wanted, serve)

    ready.register(stream, selectors.EVENT_READ, serve)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
