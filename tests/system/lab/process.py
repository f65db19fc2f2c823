"""A process of the lab: started in a namespace, its output in a file, ended by its own pid."""
import contextlib
import os
import pathlib
import signal
import subprocess
import time

from .host import die_with_parent
from .wait import TimeoutExpired, eventually


class Process:
    def __init__(self, name, argv, folder, namespace=None, outlive=False, env=None):
        """`folder` gets <name>.log (appended to, so that a restarted program keeps its story) and <name>.pid.
        `outlive`: goes on after the program that started it (the demo's --keep)."""
        self.name = name
        self.log = pathlib.Path(folder) / f"{name}.log"
        self.pid_file = pathlib.Path(folder) / f"{name}.pid"
        self.argv = namespace.command(*argv) if namespace else list(map(str, argv))
        with open(self.log, "ab") as output:
            self.log_start = output.tell()
            self.popen = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                          start_new_session=True, env={**os.environ, **(env or {})},
                                          preexec_fn=None if outlive else die_with_parent)
        self.pid_file.write_text(str(self.popen.pid))

    @property
    def pid(self):
        return self.popen.pid

    @property
    def running(self):
        return self.popen.poll() is None

    def output(self):
        """What it wrote since it was started."""
        with open(self.log, "rb") as log:
            log.seek(self.log_start)
            return log.read().decode(errors="replace")

    def tail(self, lines=40):
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""

    def wait_until(self, condition, within=20.0, what="ready"):
        """Waits for a condition, and fails at once with the log's end when the process dies meanwhile."""
        def alive_and_true():
            if not self.running:
                raise SystemError(f"{self.name} ended with {self.popen.returncode}")
            return condition()
        deadline = time.monotonic() + within
        while True:
            try:
                return eventually(alive_and_true, within=0.3, what=what)
            except TimeoutExpired as trouble:
                if self.running and time.monotonic() < deadline:
                    continue
                raise TimeoutExpired(f"{self.name}: {trouble} (limit {within:g} s)\n--- {self.log}\n{self.tail()}") from None

    def stop(self, within=8.0):
        """SIGTERM, then SIGKILL; returns the exit status (negative: the signal)."""
        self.signal(signal.SIGTERM)
        try:
            self.popen.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
        self.pid_file.unlink(missing_ok=True)
        return self.popen.returncode

    def kill(self):
        self.signal(signal.SIGKILL)
        self.popen.wait()
        self.pid_file.unlink(missing_ok=True)

    def signal(self, number):
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.popen.pid, number)
