"""A control plane of its own for a test, as in live.py, whose disk can be made to fail (tests/faults) and which is killed and started at will.

    with ControlPlane(folder) as plane:
        plane.put("/v1/address-pools/a", POOL)
        plane.fail("sync EIO")            # see tests/faults/faults.cc
        assert plane.ask("PUT", ...).status == 503
"""
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

from lab.appliance import ROOT
from lab.wait import eventually

BUILD = ROOT / os.environ.get("GUIDEWAY_BUILD", "build")
PROGRAM = BUILD / "controlplane" / "guideway-controlplane"
FAULTS = BUILD / "tests" / "faults" / "libguideway-faults.so"
START_SECONDS = 60


class Answer:
    def __init__(self, status, body):
        self.status, self.body = status, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:500]!r}"


class Connection:
    """Requests one after the other over one connection; for one thread."""

    def __init__(self, plane):
        self.plane = plane
        self.http = None

    def ask(self, method, path, body=None, more=None):
        """`more`: further header fields."""
        if self.http is None:
            self.http = http.client.HTTPConnection("127.0.0.1", self.plane.port, timeout=30)
        try:
            sent = {"Content-Type": "application/json"} if body is not None else {}
            self.http.request(method, path, json.dumps(body) if body is not None else None,
                              {**self.plane.headers, **sent, **(more or {})})
            response = self.http.getresponse()
            return Answer(response.status, response.read().decode())
        except BaseException:
            self.close()
            raise

    def close(self):
        if self.http is not None:
            self.http.close()
            self.http = None


class ControlPlane:
    """`folder` holds the store, the configuration and the log. `inside`: the start of a command line that leads to where it runs."""

    def __init__(self, folder, store=None, inside=(), preload=True, token_file=None):
        self.folder = pathlib.Path(folder)
        self.store = pathlib.Path(store) if store else self.folder / "guideway.db"
        self.config = self.folder / "guideway.cfg"
        self.control = self.folder / "faults"
        self.log = self.folder / "log"
        self.token_file = token_file or self.folder / "admin.token"
        self.inside = list(inside)
        self.preload = preload
        self.process = None
        self.port = None
        for needed in (PROGRAM, FAULTS):
            assert needed.exists(), f"{needed} is not built: meson setup build -Dtests=true && ninja -C build"

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_):
        self.kill()

    def write_config(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.config.write_text(f"""controlplane = {{
    listen = "127.0.0.1:{self.port}";
    store = "{self.store}";
    admin_token_file = "{self.token_file}";
    audit_file = "{self.folder}/audit.log";
    dataplane_socket = "{self.folder}/dataplane.sock";
    log: {{ level = "warning"; }};
}};
""")

    @property
    def headers(self):
        """What every request carries."""
        return {"Authorization": f"Bearer {self.token_file.read_text().strip()}"}

    def environment(self):
        return {**os.environ, **({"LD_PRELOAD": str(FAULTS), "GUIDEWAY_FAULTS": str(self.control)} if self.preload else {})}

    def launch(self):
        """Starts it without waiting; true when it listens, false when it died before."""
        self.write_config()
        with open(self.log, "a") as log:
            self.process = subprocess.Popen([*self.inside, PROGRAM, "--config", self.config], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env=self.environment())

        def listens_or_died():
            if self.process.poll() is not None:
                return "died"
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
                return "listens"
            except OSError:
                return None
        return eventually(listens_or_died, START_SECONDS, "the control plane listens", every=0.005) == "listens"

    def start(self):
        assert self.launch(), "no start:\n" + self.log.read_text()[-3000:]

    def command(self, *arguments, stdin=None):
        """One of its commands that do not serve."""
        if not self.config.exists():
            self.write_config()
        return subprocess.run([*self.inside, PROGRAM, "--config", self.config, *arguments], stdin=stdin,
                              capture_output=True, text=True, timeout=60, env=self.environment())

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0, self.log.read_text()[-3000:]

    def fail(self, settings):
        """From the next touch of the store on. By rename, so that it never sees half of it."""
        new = self.folder / "faults.new"
        new.write_text(f"match {self.store.name}\n{settings}\n")
        new.rename(self.control)

    def heal(self):
        self.control.unlink(missing_ok=True)

    def ask(self, method, path, body=None):
        connection = Connection(self)
        try:
            return connection.ask(method, path, body)
        finally:
            connection.close()

    def put(self, path, body):
        answer = self.ask("PUT", path, body)
        assert answer.status in (200, 201), answer
        return answer.json

    def get(self, path):
        answer = self.ask("GET", path)
        assert answer.status == 200, answer
        return answer.json

    @contextlib.contextmanager
    def stream(self, path):
        """The server-sent events of a watch: (event, id or None, decoded data) each; a comment is none."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        client.request("GET", path, headers=self.headers)
        response = client.getresponse()
        assert response.status == 200, (response.status, response.read())

        def events():
            kind = revision = data = None
            for line in response:
                line = line.decode().rstrip("\r\n")
                if not line:
                    if kind is not None:
                        yield kind, revision, json.loads(data)
                    kind = revision = data = None
                elif line.startswith("event:"):
                    kind = line[6:].strip()
                elif line.startswith("id:"):
                    revision = int(line[3:])
                elif line.startswith("data:"):
                    data = line[5:].strip()
        try:
            yield events()
        finally:
            client.close()

    def addresses(self):
        """{namespace/name: [address, ...]} of all load balancers."""
        return {f"{one['metadata']['namespace']}/{one['metadata']['name']}": [each["ip"] for each in one["status"].get("ingress", [])]
                for one in self.get("/v1/load-balancers")["items"]}


def memory_folder():
    """A folder whose syncs cost nothing, where there is one; what a sync did not reach is the preloaded library's doing."""
    return tempfile.mkdtemp(prefix="guideway-", dir="/dev/shm" if pathlib.Path("/dev/shm").is_dir() else None)


def remove(folder):
    shutil.rmtree(folder, ignore_errors=True)
