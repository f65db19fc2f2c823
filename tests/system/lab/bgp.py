"""Routing daemons in namespaces: BIRD and FRR, each with its files in a folder of its own; and a client that sends every millisecond."""
import datetime
import json
import os
import pathlib
import pwd
import re
import shutil
import socket
import subprocess
import threading
import time

from .process import Process
from .wait import eventually

FRR = pathlib.Path("/usr/lib/frr")


class Bird:
    """`config`: all of bird.conf, or None to set it by `configure` before start()."""

    def __init__(self, name, namespace, folder, config=""):
        self.name, self.namespace = name, namespace
        self.folder = pathlib.Path(folder) / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config = self.folder / "bird.conf"
        self.socket = self.folder / "bird.ctl"
        self.process = None
        self.config.write_text(config)

    def start(self):
        # -R: recover the state of before by graceful restart, as the unit of the package does after a crash.
        self.process = Process("bird", ["bird", "-f", "-R", "-c", self.config, "-s", self.socket], self.folder, self.namespace)
        self.process.wait_until(lambda: "ready" in self.ask("show", "status"), 20, "BIRD answers")
        return self

    def ask(self, *words):
        return subprocess.run(["birdc", "-s", self.socket, *words], capture_output=True, text=True, timeout=20).stdout

    def reload(self):
        return self.ask("configure")

    def established(self, peer):
        return "Established" in self.ask("show", "protocols", peer)

    def overview(self):
        return "\n".join(self.ask("show", *words) for words in (("status",), ("protocols", "all"), ("route", "all", "table", "all")))

    def bfd_up(self):
        return re.search(r"\bUp\b", self.ask("show", "bfd", "sessions")) is not None

    def routes(self):
        """{prefix: its block of `show route all`} of all tables."""
        blocks = {}
        current = None
        for line in self.ask("show", "route", "all", "table", "all").splitlines():
            if match := re.match(r"([0-9a-f.:]+/\d+) ", line):
                current = match[1]
            elif line.startswith("Table"):
                current = None
            if current:
                blocks[current] = blocks.get(current, "") + line + "\n"
        return blocks

    def kill(self):
        if self.process and self.process.running:
            self.process.kill()

    stop = kill


class Frr:
    """zebra, bgpd and bfdd with one configuration; it speaks and behaves as Bird above."""

    def __init__(self, name, namespace, folder, config=""):
        self.name, self.namespace = name, namespace
        # FRR's own place for sockets: its daemons give up root and may write nowhere else.
        self.path = f"{namespace.name}-{name}"
        self.folder = pathlib.Path(folder) / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.state = pathlib.Path("/var/run/frr") / self.path
        self.config = self.folder / "frr.conf"
        self.socket = self.state
        self.processes = []
        self.config.write_text(config)

    def start(self):
        owner = pwd.getpwnam("frr")
        for folder in (self.state.parent, self.state):
            folder.mkdir(exist_ok=True)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        self.config.chmod(0o644)
        for path in (self.folder, *self.folder.parents):
            if path == pathlib.Path("/run"):
                break
            path.chmod(path.stat().st_mode | 0o055)
        for daemon in ("zebra", "bgpd", "bfdd"):
            self.processes.append(Process(daemon, [FRR / daemon, "-N", self.path, "-f", "/dev/null", "-i", self.state / f"{daemon}.pid",
                                                   "--log", "stdout", "-P", "0"], self.folder, self.namespace))
            # The socket is there before the daemon listens at it, and vtysh passes over whom it cannot reach.
            self.processes[-1].wait_until(lambda daemon=daemon: self._vtysh("-d", daemon, "-c", "show version").returncode == 0, 40,
                                          f"{daemon} answers")
        self.reload()
        return self

    def ask(self, *words):
        return self._vtysh("-c", " ".join(words)).stdout

    def json(self, *words):
        text = self.ask(*words, "json")
        return json.loads(text[text.index("{"):] if "{" in text else "{}")

    def _vtysh(self, *arguments):
        return subprocess.run(["vtysh", "--vty_socket", str(self.state), *map(str, arguments)], capture_output=True, text=True, timeout=30)

    def reload(self):
        done = self._vtysh("-f", self.config)
        assert done.returncode == 0 and "nknown command" not in done.stdout + done.stderr, done.stdout + done.stderr
        return done.stdout

    def established(self, peer):
        summary = self.json("show bgp summary")
        return any(one["state"] == "Established" and peer in (one.get("desc"), address)
                   for family in summary.values() for address, one in family.get("peers", {}).items())

    def overview(self):
        return "\n".join(self.ask("show", *words.split()) for words in
                         ("bgp summary", "bgp neighbors", "bgp ipv4 unicast", "bgp ipv6 unicast", "ip route", "ipv6 route", "ip zebra route dump"))

    def bfd_up(self):
        return "Status: up" in self.ask("show bfd peers")

    def routes(self):
        """{prefix: the text of its paths}."""
        found = {}
        for family in ("ipv4", "ipv6"):
            for prefix in self.json("show bgp", family, "unicast").get("routes", {}):
                found[prefix] = json.dumps(self.json("show bgp", family, "unicast", prefix))
        return found

    def kill(self):
        for process in self.processes:
            if process.running:
                process.kill()
        self.processes = []
        for left in (*self.state.glob("*.vty"), *self.state.glob("*.api"), *self.state.glob("*.sock")):
            left.unlink()  # by whose presence start() knows the new ones

    def stop(self):
        self.kill()
        shutil.rmtree(self.state, ignore_errors=True)


class EveryMillisecond:
    """Sends a numbered datagram each millisecond and notes which come back, until told to stop.

        with EveryMillisecond(far, vip, 53) as client: ...
        client.windows()     # [(seconds since the start, milliseconds without an answer), ...]
    """

    def __init__(self, namespace, address, port):
        self.socket = namespace.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        self.to = (address, port)
        self.sent, self.back = 0, set()
        self.stopping = False
        self.threads = [threading.Thread(target=self._send), threading.Thread(target=self._receive)]

    def __enter__(self):
        self.socket.settimeout(0.2)
        self.started = time.monotonic()
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        for thread in self.threads:
            thread.join()
        self.socket.close()

    def _send(self):
        due = time.monotonic()
        while not self.stopping:
            try:
                self.socket.sendto(b"%d" % self.sent, self.to)
            except OSError:
                pass  # no route, or an ICMP error of an earlier one: not answered is what it is
            self.sent += 1
            due += 0.001
            time.sleep(max(0.0, due - time.monotonic()))

    def _receive(self):
        while not self.stopping:
            try:
                self.back.add(int(self.socket.recv(2048).rsplit(b" ", 1)[1]))
            except (OSError, ValueError, IndexError):
                pass

    def answered_lately(self):
        """One of the last 100 came back."""
        now = self.sent
        return any(number in self.back for number in range(max(0, now - 100), now))

    def windows(self):
        """Runs without an answer, as (second of the start, milliseconds), the last 50 ms left out: they may be under way."""
        runs, begin = [], None
        for number in range(max(0, self.sent - 50)):
            if number not in self.back:
                begin = number if begin is None else begin
            elif begin is not None:
                runs.append((begin / 1000, number - begin))
                begin = None
        if begin is not None:
            runs.append((begin / 1000, self.sent - begin))
        return runs

    def report(self, what):
        longest = max(self.windows(), key=lambda run: run[1], default=(0, 0))
        print(f"{what}: {self.sent} sent, {len(self.back)} answered, longest gap {longest[1]} ms at {longest[0]:.1f} s")


class RouteWatch:
    """The moments at which a kernel's routes went, by `ip monitor`: no polling that would be measured too.

        with RouteWatch(router) as watch: ...
        watch.gone(vip)      # time.time() of the deletion, or None
    """

    def __init__(self, namespace, folder):
        self.namespace, self.folder = namespace, pathlib.Path(folder)

    def __enter__(self):
        self.process = Process(f"routes-{time.monotonic_ns()}", ["ip", "-ts", "monitor", "route"], self.folder, self.namespace)
        eventually(lambda: b"\n" in self._poke(), 10, "ip monitor listens")
        return self

    def _poke(self):
        for what in ("add", "del"):
            self.namespace.run("ip", "route", what, "blackhole", "192.0.2.199/32", "table", "99")
        return self.process.output().encode()

    def gone(self, address):
        for line in self.process.output().splitlines():
            if match := re.match(r"\[([0-9T:.-]+)\] Deleted (\S+)", line):
                if match[2] == address:
                    return datetime.datetime.fromisoformat(match[1]).timestamp()
        return None

    def __exit__(self, *_):
        self.process.kill()


def wait_for(condition, what, within=40):
    return eventually(condition, within, what, every=0.002)
