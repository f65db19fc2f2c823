#!/usr/bin/env python3
"""Sends frames as fast as asked for, and no longer than told.

usage: flood.py INTERFACE FRAMES RATE SECONDS

FRAMES: a file of frames, each behind its length in two bytes, sent round and round. At most RATE frames a second, for SECONDS
(at most 60). Writes how many were sent, and how many the interface had no room for.
"""
import pathlib
import socket
import struct
import sys
import time


def frames_of(path):
    data = pathlib.Path(path).read_bytes()
    at = 0
    while at < len(data):
        length = struct.unpack_from("!H", data, at)[0]
        yield data[at + 2:at + 2 + length]
        at += 2 + length


def main(interface, path, rate, seconds):
    frames = list(frames_of(path))
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind((interface, 0))
    wire.setblocking(False)
    sent = full = 0
    start = time.monotonic()
    while (elapsed := time.monotonic() - start) < min(seconds, 60):
        due = int(elapsed * rate) - sent - full
        if due <= 0:
            time.sleep(0.0005)
        for _ in range(min(due, 256)):
            try:
                wire.send(frames[(sent + full) % len(frames)])
                sent += 1
            except (BlockingIOError, OSError):
                full += 1
    print(f"sent {sent} full {full}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
