#!/usr/bin/env python3
"""A switch of one trunk and access ports, for kernels without VLANs: frames of an access port leave by the trunk with its tags and
come back without.

usage: tagger.py TRUNK PORT=TAGS...     PORT=100: 802.1Q; PORT=10.100: 100 within the provider's 10 (802.1ad)
Frames of the trunk with other tags, or with none, go nowhere: "stray TAGS unicast" or "... multicast" is printed once for each.
"""
import selectors
import socket
import struct
import sys

SOL_PACKET, PACKET_AUXDATA, PACKET_IGNORE_OUTGOING = 263, 8, 23
VLAN_VALID = 1 << 4
AUXDATA = struct.Struct("=IIIHHHH")
VLAN, QINQ = 0x8100, 0x88A8


def main(trunk_name, *ports):
    trunk = wire(trunk_name)
    tags_of = {}
    port_of = {}
    for one in ports:
        name, _, text = one.partition("=")
        tags = tuple(int(part) for part in text.split("."))
        tags_of[wire(name)] = tags
        port_of[tags] = next(reversed(tags_of))
    ready = selectors.DefaultSelector()
    for one in (trunk, *tags_of):
        ready.register(one, selectors.EVENT_READ)
    strays = set()
    print("ready", flush=True)
    while True:
        for key, _ in ready.select():
            for frame, outer in received(key.fileobj):
                if key.fileobj is not trunk:
                    send(trunk, frame[:12] + headers(tags_of[key.fileobj]) + frame[12:])
                    continue
                tags, frame = untagged(frame, outer)
                if tags in port_of:
                    send(port_of[tags], frame)
                    continue
                stray = ".".join(map(str, tags)) or "untagged", "multicast" if frame[0] & 1 else "unicast"
                if stray not in strays:
                    strays.add(stray)
                    print("stray", *stray, flush=True)


def wire(name):
    one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    one.bind((name, 3))
    one.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    one.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    one.setblocking(False)
    return one


def received(one, most=64):
    """(frame, the outermost tag's ID or None): the kernel takes that tag out of the frame."""
    for _ in range(most):
        try:
            frame, control, _, _ = one.recvmsg(65535, 64)
        except BlockingIOError:
            return
        outer = None
        for level, kind, data in control:
            if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
                status, _, _, _, _, tci, _ = AUXDATA.unpack_from(data)
                outer = tci & 0xFFF if status & VLAN_VALID else None
        yield frame, outer


def untagged(frame, outer):
    tags = () if outer is None else (outer,)
    while int.from_bytes(frame[12:14], "big") in (VLAN, QINQ):
        tags += (int.from_bytes(frame[14:16], "big") & 0xFFF,)
        frame = frame[:12] + frame[16:]
    return tags, frame


def headers(tags):
    types = (VLAN,) if len(tags) == 1 else (QINQ, VLAN)
    return b"".join(struct.pack("!HH", kind, tag) for kind, tag in zip(types, tags))


def send(one, frame):
    try:
        one.send(frame)
    except OSError as trouble:  # as a switch does: what does not fit is lost
        print("lost", len(frame), trouble, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
