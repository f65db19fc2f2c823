"""A control plane of its own on a free loopback port, without a dataplane: for tests of the REST API and of the documents."""
import os
import pathlib
import signal
import socket
import subprocess
import time

import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("GUIDEWAY_BUILD", "build")
PROGRAM = BUILD / "controlplane" / "guideway-controlplane"
START_SECONDS = 30


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class ControlPlane:
    """`limits`: further lines of the section of that name."""

    def __init__(self, folder, limits=""):
        self.folder = pathlib.Path(folder)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = self.folder / "guideway.cfg"
        self.token_file = self.folder / "admin.token"
        self.config.write_text(f"""controlplane = {{
    listen = "127.0.0.1:{self.port}";
    store = "{self.folder}/guideway.db";
    admin_token_file = "{self.token_file}";
    audit_file = "{self.folder}/audit.log";
    dataplane_socket = "{self.folder}/dataplane.sock";
    limits: {{ {limits} }};
}};
""")
        self.process = None

    @property
    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    @property
    def token(self):
        return self.token_file.read_text().strip()

    @property
    def authorization(self):
        return {"Authorization": "Bearer " + self.token}

    def ask(self, method, path, headers=None, **options):
        """As the admin."""
        return requests.request(method, self.url + path, timeout=20, headers={**self.authorization, **(headers or {})}, **options)

    def start(self):
        if not PROGRAM.exists():
            raise FileNotFoundError(f"{PROGRAM} is not built: meson setup build && ninja -C build")
        with open(self.folder / "log", "w") as log:
            self.process = subprocess.Popen([PROGRAM, "--config", self.config], stdout=log, stderr=subprocess.STDOUT)
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                if requests.get(self.url + "/readyz", timeout=5).status_code == 200:
                    return self
            except requests.ConnectionError:
                pass
            if self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise RuntimeError("the control plane did not start:\n" + self.log)
            time.sleep(0.02)

    def stop(self):
        """By SIGTERM; it must end well."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0, self.log

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self.start()

    def __exit__(self, failed, *_):
        try:
            if not failed:
                self.stop()
        finally:
            self.kill()
