"""A network namespace: commands and sockets inside it."""
import contextlib
import ctypes
import os
import pathlib
import signal
import socket
import subprocess

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
FOLDER = pathlib.Path("/run/netns")


class Namespace:
    def __init__(self, name):
        self.name = name

    def create(self):
        run_ip(f"netns add {self.name}")
        self.ip("link set lo up")
        # No surprises: addresses at once, no advertised routes.
        for key, value in {"net.ipv6.conf.all.accept_dad": 0, "net.ipv6.conf.default.accept_dad": 0,
                           "net.ipv6.conf.all.accept_ra": 0, "net.ipv6.conf.default.accept_ra": 0}.items():
            self.sysctl(key, value)
        return self

    @property
    def exists(self):
        return (FOLDER / self.name).exists()

    def command(self, *argv):
        return inside(self.name, *argv)

    def run(self, *argv, check=True, timeout=60, **options):
        """Runs a command to its end; its output is text."""
        done = subprocess.run(self.command(*argv), capture_output=True, text=True, timeout=timeout, **options)
        if check and done.returncode:
            raise RuntimeError(f"{self.name}: {' '.join(map(str, argv))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def ip(self, *commands):
        """Several `ip` commands at once, all or the first failure."""
        run_ip(*commands, namespace=self.name)

    def sysctl(self, key, value):
        """Sets a setting of this namespace; one the kernel does not have is none to set."""
        path = "/proc/sys/" + key.replace(".", "/")
        with self.entered(), contextlib.suppress(FileNotFoundError):
            with open(path, "w") as setting:
                setting.write(str(value))

    @contextlib.contextmanager
    def entered(self):
        """This thread is in the namespace meanwhile. A socket made here stays in it for good."""
        with open("/proc/thread-self/ns/net") as home, open(FOLDER / self.name) as there:
            _setns(there)
            try:
                yield self
            finally:
                _setns(home)

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, protocol=0):
        with self.entered():
            return socket.socket(family, kind, protocol)

    def pids(self):
        done = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True)
        return [int(pid) for pid in done.stdout.split()]

    def delete(self):
        """Ends what still runs inside and removes it; nothing happens where it is gone already."""
        if not self.exists:
            return
        for pid in self.pids():
            if pid != os.getpid():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        subprocess.run(["ip", "netns", "delete", self.name], capture_output=True)


def inside(name, *argv):
    """The command line that runs another in a namespace. Not `ip netns exec`: that remounts /sys, which a chroot refuses."""
    return ["nsenter", f"--net={FOLDER / name}", *map(str, argv)]


def run_ip(*commands, namespace=None):
    argv = ["ip", "-batch", "-"]
    done = subprocess.run(inside(namespace, *argv) if namespace else argv, input="\n".join(commands) + "\n",
                          capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"ip{' in ' + namespace if namespace else ''}: {done.stderr.strip()}\nin: {'; '.join(commands)}")


def _setns(handle):
    if _libc.setns(handle.fileno(), CLONE_NEWNET):
        error = ctypes.get_errno()
        raise OSError(error, f"setns: {os.strerror(error)}")
