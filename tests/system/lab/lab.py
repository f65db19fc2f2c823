"""The whole: topology, servers, appliance; made in order, removed whatever happens."""
import atexit
import contextlib
import http.client
import os
import pathlib
import re
import shutil
import signal

from .appliance import Appliance, remove_flow_files
from .host import HugePages
from .namespace import Namespace
from .process import Process
from .servers import NodeServers
from .topology import OFFLOADS_OFF, Topology, kernel_modules, namespaces_with

FOLDER = pathlib.Path("/run/guideway-lab")


class Lab:
    """With `with`: made at entry, removed at exit, also where making it fails half-way.

    `keep`: stays after the end of the program (see keep()); processes are started so that they outlive it.
    """

    def __init__(self, name, build="build", driver="af_packet", workers=1, huge_pages=160, keep=False,
                 peer_offloads=OFFLOADS_OFF, servers=True):
        self.name = name
        self.folder = FOLDER / name
        self.topology = Topology(name, peer_offloads=peer_offloads)
        self.site = self.topology.site
        self.huge_pages_wanted = huge_pages
        self.huge_pages_free = 0
        self.huge_pages = HugePages(self.folder / "huge-pages.json")
        self.keep = keep
        self.with_servers = servers
        self.servers = []
        self.processes = []
        self.appliance = Appliance(self.topology.appliance, self.folder, build, driver, workers, outlive=keep)
        self._made = False

    @property
    def client(self):
        return self.topology.client

    def create(self):
        atexit.register(self.remove)
        self._made = True
        try:
            remove_leftovers(self.name)
            self.folder.mkdir(parents=True)
            kernel_modules()
            if self.huge_pages_wanted:
                self.huge_pages_free = self.huge_pages.want(self.huge_pages_wanted)
            self.topology.create()
            if self.with_servers:
                self.start_servers()
        except BaseException:
            self.remove()
            raise
        return self

    def start_servers(self):
        for number, namespace in enumerate(self.topology.nodes, 1):
            folder = self.folder / f"node{number}"
            folder.mkdir()
            self.servers.append(NodeServers(f"node{number}", namespace, folder, self.keep).start())
        for servers in self.servers:
            servers.wait()

    def run(self, name, *argv, namespace=None):
        """A further process that ends with the lab."""
        process = Process(name, argv, self.folder, namespace, self.keep)
        self.processes.append(process)
        return process

    def logs(self, lines=40):
        """The ends of all logs, what was dropped and who knows whom, for the report of a failure."""
        texts = [self.counts(), *(f"--- neighbours of {namespace.name}\n{namespace.run('ip', 'neigh', check=False).stdout}"
                                  for namespace in self.topology.namespaces if namespace.exists)]
        for log in sorted(self.folder.rglob("*.log")):
            with contextlib.suppress(OSError):
                text = log.read_text(errors="replace").splitlines()[-lines:]
                texts.append(f"--- {log.name} (last {len(text)} lines)\n" + "\n".join(text))
        return "\n".join(texts)

    def counts(self):
        """Counters of drops and errors that are not zero."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            lines = self.appliance.metrics().splitlines()
            return "--- drops, errors\n" + "\n".join(line for line in lines if re.match(
                "guideway_(dataplane_dropped|dataplane_flows|port_errors|port_missed|port_kernel|service_refused)", line)
                and not line.endswith(" 0"))
        return "--- no counters: the control plane does not answer"

    def remove(self):
        if not self._made:
            return
        self._made = False
        for process in self.processes:
            process.kill()
        self.appliance.remove()
        for servers in self.servers:
            servers.stop()
        self.topology.delete()
        self.huge_pages.put_back()
        shutil.rmtree(self.folder, ignore_errors=True)

    def leave_it_up(self):
        self._made = False

    __enter__ = create

    def __exit__(self, *_):
        self.remove()


def remove_leftovers(name):
    """What an earlier run with this name left: it was killed, or asked to stay."""
    folder = FOLDER / name
    found = bool(namespaces_with(name)) or folder.exists()
    for namespace in namespaces_with(name):
        namespace.delete()
    if folder.exists():
        remove_flow_files(folder)
        HugePages.put_back_recorded(folder / "huge-pages.json")
        shutil.rmtree(folder, ignore_errors=True)
    return found


def remove_dead_runs(stem):
    """The same for labs named <stem><pid>... whose process is gone."""
    names = {path.name for path in (FOLDER.iterdir() if FOLDER.is_dir() else [])}
    names |= {namespace.name.rsplit("-", 1)[0] for namespace in namespaces_with_stem(stem)}
    for name in names:
        match = re.match(re.escape(stem) + r"(\d+)", name)
        if match and not pathlib.Path(f"/proc/{match[1]}").exists():
            remove_leftovers(name)


def namespaces_with_stem(stem):
    folder = pathlib.Path("/run/netns")
    return [Namespace(path.name) for path in folder.iterdir() if path.name.startswith(stem)] if folder.is_dir() else []


def exit_on_signals():
    """SIGTERM and SIGHUP end the program the ordinary way, with all its cleaning up."""
    def leave(number, _):
        # Once: a second signal must not cut the cleaning up short.
        for again in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(again, signal.SIG_IGN)
        raise SystemExit(128 + number)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


def unique_name(stem):
    return f"{stem}{os.getpid()}"
