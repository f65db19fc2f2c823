"""Datagrams of 60 kB in fragments through the appliance and back, with real kernels, in order and out of order, and beside a flood of fragments.

The client's kernel cuts requests, the node's kernel joins them and cuts the answer, the client's joins that: a fragment in the wrong place, or a
checksum that does not count the whole datagram, and nothing arrives. Out of order they are cut here and sent by a raw socket.
"""
import contextlib
import random
import socket
import struct

import pytest

from kinds import AF_PACKET_2
from lab import ask_udp, eventually
from lab.traffic import family_of

pytestmark = pytest.mark.parametrize("lab", [AF_PACKET_2], indirect=True)
SIZE = 60_000  # the answer is a little longer, by the node's name
PIECE = 1440
FLOOD = 6000
HONEST = 20


def pattern(size):
    return random.Random(size).randbytes(size)


def counted(lab, name):
    return sum(worker[name] for worker in lab.appliance.rest("GET", "/v1/counters")[1]["workers"])


def dropped(lab, *reasons):
    workers = lab.appliance.rest("GET", "/v1/counters")[1]["workers"]
    return sum(drop["packets"] for worker in workers for drop in worker["drops"] if drop["reason"] in reasons)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class RawClient:
    """Fragments of one address's making; answers arrive at an ordinary socket on the same port."""

    def __init__(self, lab, family):
        self.v6 = family == 6
        self.source = lab.site.client[self.v6]
        self.target = lab.vips[family]
        kind = socket.AF_INET6 if self.v6 else socket.AF_INET
        self.raw = lab.client.socket(kind, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.answers = lab.client.socket(family_of(self.target), socket.SOCK_DGRAM)
        self.answers.bind((self.source, 0))
        self.answers.settimeout(5)
        self.port = self.answers.getsockname()[1]
        self.addresses = b"".join(socket.inet_pton(kind, address) for address in (self.source, self.target))

    def close(self):
        self.raw.close()
        self.answers.close()

    def datagram(self, payload):
        header = struct.pack("!HHHH", self.port, 53, 8 + len(payload), 0)
        pseudo = self.addresses + struct.pack("!IHBB", 8 + len(payload), 0, 0, socket.IPPROTO_UDP)
        total = checksum(pseudo + header + payload) or 0xFFFF
        return header[:6] + struct.pack("!H", total) + payload

    def piece(self, data, offset, identification, more):
        if self.v6:
            extension = struct.pack("!BBHI", socket.IPPROTO_UDP, 0, offset | more, identification)
            return struct.pack("!IHBB", 6 << 28, 8 + len(data), 44, 64) + self.addresses + extension + data
        # The kernel writes length and checksum.
        return struct.pack("!BBHHHBBH", 0x45, 0, 0, identification, offset // 8 | more << 13, 64, socket.IPPROTO_UDP,
                           0) + self.addresses + data

    def cut(self, payload, identification):
        whole = self.datagram(payload)
        return [self.piece(whole[at:at + PIECE], at, identification, int(at + PIECE < len(whole)))
                for at in range(0, len(whole), PIECE)]

    def send(self, packet):
        self.raw.sendto(packet, (self.target, 0))

    def answer(self):
        return self.answers.recv(65535).split(b" ", 3)[3]


def test_sixty_kilobytes_come_back_whole(lab, family):
    before = counted(lab, "fragments_forwarded")
    for size in (SIZE, 3000, 1473, SIZE - 1):
        payload = pattern(size)
        assert ask_udp(lab.client, lab.vips[family], 53, payload, timeout=10).split(b" ", 3)[3] == payload
    # Both directions: 40 behind each first of the large ones.
    eventually(lambda: counted(lab, "fragments_forwarded") - before > 4 * 38, 10, "both directions counted")


@pytest.mark.parametrize("order", ["reversed", "shuffled", "first last"])
def test_fragments_out_of_order_arrive_as_one_datagram(lab, family, order):
    with contextlib.closing(RawClient(lab, family)) as client:
        for identification in range(1, 6):
            payload = pattern(20_000 + identification)
            pieces = client.cut(payload, identification)
            if order == "reversed":
                pieces.reverse()
            elif order == "shuffled":
                random.Random(identification).shuffle(pieces)
            else:
                pieces.append(pieces.pop(0))
            for piece in pieces:
                client.send(piece)
            assert client.answer() == payload
    assert counted(lab, "fragment_held_bytes") == 0


def test_a_flood_of_fragments_leaves_an_honest_client_alone(lab, family):
    """Later fragments without a first and firsts without an end, as fast as this machine makes them; large datagrams and small ones in between."""
    answered = small = 0
    with contextlib.closing(RawClient(lab, family)) as flood:
        whole = flood.datagram(pattern(4000))
        for number in range(FLOOD):
            at = number % 2 * PIECE
            flood.send(flood.piece(whole[at:at + PIECE], at, 1000 + number, 1))
            if number % (FLOOD // HONEST) == 0:
                payload = pattern(30_000 + number)
                with contextlib.suppress(TimeoutError):
                    answered += ask_udp(lab.client, lab.vips[family], 53, payload, timeout=3).split(b" ", 3)[3] == payload
                with contextlib.suppress(TimeoutError):
                    small += ask_udp(lab.client, lab.vips[family], 53, b"small", timeout=3).endswith(b" small")
    print(f"IPv{family}: {answered} of {HONEST} honest datagrams of 30 kB and {small} of {HONEST} small ones were answered")
    # A kernel's own queue may lose one of the 42 fragments at any time; the flood must not.
    assert answered >= HONEST * 3 // 4 and small >= HONEST * 3 // 4
    eventually(lambda: counted(lab, "fragment_held_bytes") == 0, 10, "what waited in vain is dropped")
    # How many came to us is the kernels' affair.
    assert dropped(lab, "fragment_timed_out", "fragment_displaced") > 0
