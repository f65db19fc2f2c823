"""What the lab needs of the machine, and the one setting it may change there (huge pages)."""
import ctypes
import fcntl
import json
import os
import pathlib
import shutil
import struct
import subprocess

from .namespace import inside

HUGE_PAGES = pathlib.Path("/proc/sys/vm/nr_hugepages")
HUGE_PAGE_BYTES = 2 << 20
TUNGETFEATURES = 0x800454CF
CAPABILITIES = {12: "CAP_NET_ADMIN (interfaces, addresses)", 13: "CAP_NET_RAW (raw sockets)",
                21: "CAP_SYS_ADMIN (network namespaces)"}


def missing_abilities(programs=("ip", "ethtool")):
    """What this machine or this user lacks to build a lab, one sentence each. Empty: nothing is missing."""
    missing = [f"the program '{name}' (see tests/install-packages)" for name in programs if not shutil.which(name)]
    if missing:
        return missing
    effective = 0
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            effective = int(line.split()[1], 16)
    missing += [f"the capability {text}: run as root" for bit, text in CAPABILITIES.items() if not effective >> bit & 1]
    try:
        with open("/dev/net/tun", "rb", buffering=0) as tun:
            fcntl.ioctl(tun, TUNGETFEATURES, bytearray(struct.pack("I", 0)))
    except OSError as error:
        missing.append(f"TUN/TAP (/dev/net/tun: {error.strerror}): load the kernel module 'tun', or give the container the device")
    if missing:
        return missing
    name = f"gw-probe-{os.getpid()}"
    probe = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if probe.returncode:
        return [f"network namespaces (ip netns add: {probe.stderr.strip()})"]
    try:
        for kind, command in (("veth pairs", "link add name v0 type veth peer name v1"), ("bridges", "link add name b0 type bridge")):
            made = subprocess.run(inside(name, "ip", *command.split()), capture_output=True, text=True)
            if made.returncode:
                missing.append(f"{kind} in the kernel ({made.stderr.strip()})")
    finally:
        subprocess.run(["ip", "netns", "delete", name], capture_output=True)
    return missing


def free_huge_pages():
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("HugePages_Free:"):
            return int(line.split()[1])
    return 0


class HugePages:
    """Makes sure that some 2 MiB huge pages are free, and gives back what it added.

    Never fails: `free` tells what there is, and the dataplane runs with less, or with ordinary memory.
    What was added is written to `record`, so that a later run can give it back for one that was killed.
    """

    def __init__(self, record):
        self.record = pathlib.Path(record)
        self.added = 0
        self.trouble = ""

    def want(self, pages):
        free = free_huge_pages()
        if free >= pages:
            return free
        try:
            before = int(HUGE_PAGES.read_text())
            self.record.write_text(json.dumps({"added": pages - free}))
            HUGE_PAGES.write_text(str(before + pages - free))
            self.added = max(0, int(HUGE_PAGES.read_text()) - before)
            self.record.write_text(json.dumps({"added": self.added}))
        except OSError as error:
            self.trouble = f"{HUGE_PAGES}: {error.strerror}"
        return free_huge_pages()

    def put_back(self):
        if self.added:
            try:
                HUGE_PAGES.write_text(str(max(0, int(HUGE_PAGES.read_text()) - self.added)))
            except OSError:
                pass
            self.added = 0
        self.record.unlink(missing_ok=True)

    @classmethod
    def put_back_recorded(cls, record):
        """For a run that was killed."""
        pages = cls(record)
        try:
            pages.added = int(json.loads(pages.record.read_text())["added"])
        except (OSError, ValueError, KeyError):
            return
        pages.put_back()


def die_with_parent():
    """For a child process, before exec: killed when the process that made it is gone, even by SIGKILL."""
    pr_set_pdeathsig, sigkill = 1, 9
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, sigkill)
