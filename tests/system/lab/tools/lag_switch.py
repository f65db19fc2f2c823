#!/usr/bin/env python3
"""A switch of one link aggregation (LACP, IEEE 802.1AX) and one access port, for kernels without the bonding driver: frames of the access
port leave by one of the aggregated ports, chosen by addresses and TCP or UDP ports, and what they receive leaves by the access port.

usage: lag_switch.py FOLDER ACCESS PORT...     while FOLDER/mute-PORT is there, that port's cable swallows everything, its link being up
Prints each change of a port ("PORT state=3f partner=02:...:01/1 port 1") and, each half second, one line of JSON: by port, frames
received and sent, LACPDUs received and sent, whether it carries.
"""
import json
import pathlib
import selectors
import socket
import struct
import sys
import time

SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
SLOW = bytes.fromhex("0180c2000002")
ACTIVE, FAST, AGGREGATION, SYNC, COLLECTING, DISTRIBUTING = 1, 2, 4, 8, 16, 32
INFO = struct.Struct("!BBH6sHHHB3x")
SYSTEM = bytes.fromhex("02aabbccdd01")
PATIENCE = 3.0


class Port:
    def __init__(self, name, number):
        self.name, self.number = name, number
        self.wire = wire(name)
        self.partner = None         # (priority, system, key, port priority, port, state)
        self.heard = self.sent = 0.0
        self.state = ACTIVE | FAST | AGGREGATION
        self.muted = False
        self.told = None
        self.counts = dict.fromkeys(("rx", "tx", "lacp_rx", "lacp_tx"), 0)

    @property
    def carries(self):
        return self.state & DISTRIBUTING != 0 and not self.muted

    def own(self):
        return (0x8000, SYSTEM, 7, 0x80, self.number)

    def hear(self, frame, now):
        if frame[14] != 1 or len(frame) < 124:
            return
        self.counts["lacp_rx"] += 1
        self.partner = INFO.unpack_from(frame, 16)[2:]
        _, _, *seen = INFO.unpack_from(frame, 36)
        self.heard = now
        state = ACTIVE | FAST | AGGREGATION | SYNC
        if tuple(seen[:5]) == self.own() and self.partner[5] & SYNC:
            state |= COLLECTING
            if self.partner[5] & COLLECTING:
                state |= DISTRIBUTING
        hurry = state != self.state or tuple(seen[:5]) != self.own() or seen[5] & 0x3F != state & 0x3F
        self.state = state
        if hurry and now - self.sent > 0.3:
            self.speak(now)

    def tick(self, now, folder):
        self.muted = (folder / f"mute-{self.name}").exists()
        if self.partner and now - self.heard > PATIENCE:
            self.partner = None
            self.state = ACTIVE | FAST | AGGREGATION
        if now - self.sent >= 1.0:
            self.speak(now)
        partner = (f"{self.partner[1].hex(':')}/{self.partner[2]} port {self.partner[4]} state={self.partner[5]:02x}"
                   if self.partner else "none")
        if (told := f"{self.name} state={self.state:02x} partner={partner}") != self.told:
            self.told = told
            print(told, flush=True)

    def speak(self, now):
        self.sent = now
        partner = self.partner or (0, bytes(6), 0, 0, 0, 0)
        pdu = (b"\x01\x01" + INFO.pack(1, 20, *self.own(), self.state) + INFO.pack(2, 20, *partner)
               + b"\x03\x10" + bytes(14) + bytes(52))
        if self.send(SLOW + bytes([2, 0xAA, 0xBB, 0xCC, 0xDD, self.number]) + b"\x88\x09" + pdu):
            self.counts["lacp_tx"] += 1

    def send(self, frame):
        if self.muted:
            return False
        try:
            self.wire.send(frame)
            return True
        except OSError:  # without a link it is lost, and the port is out at once
            self.partner = None
            self.state = ACTIVE | FAST | AGGREGATION
            return False


def wire(name):
    one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    one.bind((name, 3))
    one.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    # Frames for other MAC addresses too.
    one.setsockopt(SOL_PACKET, 1, struct.pack("iHH8s", socket.if_nametoindex(name), 1, 0, bytes(8)))
    one.setblocking(False)
    return one


def received(one, most=64):
    for _ in range(most):
        try:
            yield one.recv(65535)
        except BlockingIOError:
            return
        except OSError:  # the link went down
            return


def flow_of(frame):
    """A number that all packets of a flow have."""
    kind = frame[12:14]
    if kind == b"\x08\x00":
        return sum(frame[26:34]) + sum(frame[34:38])
    if kind == b"\x86\xdd":
        return sum(frame[22:54]) + sum(frame[54:58])
    return 0


def main(folder, access_name, *names):
    folder = pathlib.Path(folder)
    access = wire(access_name)
    ports = [Port(name, number) for number, name in enumerate(names, 1)]
    ready = selectors.DefaultSelector()
    ready.register(access, selectors.EVENT_READ, None)
    for port in ports:
        ready.register(port.wire, selectors.EVENT_READ, port)
    shown = 0.0
    print("ready", flush=True)
    while True:
        events = ready.select(0.05)
        now = time.monotonic()
        for key, _ in events:
            for frame in received(key.fileobj):
                port = key.data
                if port is None:
                    carrying = [one for one in ports if one.carries]
                    if carrying and frame[:6] != SLOW:
                        out = carrying[flow_of(frame) % len(carrying)]
                        out.counts["tx"] += out.send(frame)
                elif port.muted:
                    continue
                elif frame[12:14] == b"\x88\x09":
                    port.hear(frame, now)
                elif port.state & COLLECTING:
                    port.counts["rx"] += 1
                    try:
                        access.send(frame)
                    except OSError as trouble:
                        print("lost", len(frame), trouble, flush=True)
        for port in ports:
            port.tick(now, folder)
        if now - shown > 0.5:
            shown = now
            print(json.dumps({port.name: {**port.counts, "carries": port.carries} for port in ports}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
