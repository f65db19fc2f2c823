"""The appliance: its config, the two daemons, and the ways to speak with them."""
import http.client
import json
import pathlib
import re
import socket
import subprocess

from .process import Process
from .wait import eventually

ROOT = pathlib.Path(__file__).resolve().parents[3]
CONFIG = ROOT / "configs" / "guideway.cfg"
REST_PORT = 8870


def remove_flow_files(folder):
    """Those that dataplanes with their log in this folder left: they may lie outside it (huge pages)."""
    for log in pathlib.Path(folder).glob("dataplane*.log"):
        for path in set(re.findall(r"flow file '([^']+)'", log.read_text(errors="replace"))):
            for one in (path, path + ".new"):
                pathlib.Path(one).unlink(missing_ok=True)


class CommandFailed(RuntimeError):
    """A `guideway` command ended with another exit status than asked for."""


class Appliance:
    def __init__(self, namespace, folder, build, driver, workers, outlive=False):
        self.namespace = namespace
        self.folder = pathlib.Path(folder)
        build = pathlib.Path(build)
        self.build = build if build.is_absolute() else ROOT / build
        self.driver = driver
        self.workers = workers
        self.outlive = outlive
        self.settings = {}
        self.config = self.folder / "guideway.cfg"
        self.dataplane = None
        self.controlplane = None

    # The programs.

    def program(self, name):
        folder = {"guideway": "api/cli", "guideway-dataplane": "dataplane", "guideway-controlplane": "controlplane"}[name]
        path = self.build / folder / name
        if not path.exists():
            raise FileNotFoundError(f"{path}: build it first: meson setup build && ninja -C build")
        return path

    @property
    def run_folder(self):
        return self.folder / "run"

    @property
    def authorization(self):
        """The header of the admin's token, which the control plane leaves in the run folder."""
        return {"Authorization": "Bearer " + (self.run_folder / "admin.token").read_text().strip()}

    def write_config(self, **changes):
        """configs/guideway.cfg with this lab's folder, driver and number of workers; `changes` set further keys."""
        self.settings.update(changes)
        self.run_folder.mkdir(parents=True, exist_ok=True)
        text = CONFIG.read_text()
        for path in ("/var/lib/guideway", "/run/guideway"):
            text = text.replace(path + "/", f"{self.run_folder}/").replace(f'"{path}"', f'"{self.run_folder}"')
        values = {"driver": f'"{self.driver}"', "workers": str(self.workers), **self.settings}
        for key, value in values.items():
            text, found = re.subn(rf"^([^#\n]*\b{key}\s*=\s*)[^;]*;", lambda match: f"{match[1]}{value};", text, flags=re.M)
            if not found:
                raise KeyError(f"{CONFIG} has no '{key}' to change")
        self.config.write_text(text)

    def start(self):
        self.start_dataplane()
        self.start_controlplane()
        self.wait_ready()
        return self

    def start_dataplane(self):
        if not self.config.exists():
            self.write_config()
        self.dataplane = Process("dataplane", [self.program("guideway-dataplane"), "--config", self.config],
                                 self.folder, self.namespace, self.outlive)
        return self.dataplane

    def start_controlplane(self):
        if not self.config.exists():
            self.write_config()
        self.controlplane = Process("controlplane", [self.program("guideway-controlplane"), "--config", self.config],
                                    self.folder, self.namespace, self.outlive)
        return self.controlplane

    def wait_ready(self, within=40.0):
        """Until REST answers and the dataplane has what the control plane wants."""
        self.controlplane.wait_until(lambda: self.rest("GET", "/readyz")[0] == 200, within, "/readyz answers 200")
        self.wait_in_force(within)

    def wait_in_force(self, within=20.0):
        """Until the dataplane forwards by everything that was committed before this call."""
        self.dataplane.wait_until(lambda: self.in_force, within, "the dataplane has the desired state")

    @property
    def in_force(self):
        dataplane = self.status()["dataplane"]
        return dataplane["connected"] and dataplane["forwardingGeneration"] == dataplane["desiredGeneration"]

    @property
    def generation(self):
        """Of the state that is in force."""
        return self.status()["dataplane"]["forwardingGeneration"]

    def stop(self):
        for process in (self.controlplane, self.dataplane):
            if process and process.running:
                process.stop()

    def remove(self):
        for process in (self.controlplane, self.dataplane):
            if process and process.running:
                process.kill()
        remove_flow_files(self.folder)

    @property
    def flow_file(self):
        """Where the dataplane that was started last has its connections; None: in memory alone."""
        found = re.findall(r"flow file '([^']+)' of \d+ MiB (?:made|adopted)", self.dataplane.output())
        return pathlib.Path(found[-1]) if found else None

    # Speaking with them.

    def command(self, *arguments):
        """`guideway ARGUMENTS` as the admin: its token is not where the command would find it by itself."""
        return [str(self.program("guideway")), "--token-file", str(self.run_folder / "admin.token"), *map(str, arguments)]

    def cli(self, *arguments, status=0, **options):
        """Runs `guideway ARGUMENTS` beside the control plane and returns its output."""
        done = subprocess.run(self.namespace.command(*self.command(*arguments)), capture_output=True, text=True,
                              timeout=60, **options)
        if status is not None and done.returncode != status:
            raise CommandFailed(f"guideway {' '.join(map(str, arguments))}: exit {done.returncode}, wanted {status}\n"
                                f"{done.stdout}{done.stderr}")
        return done.stdout if status == 0 else done.stdout + done.stderr

    def cli_json(self, *arguments):
        return json.loads(self.cli(*arguments, "-o", "json"))

    def rest(self, method, path, body=None, headers=None, timeout=10.0):
        """(status, decoded body) of a request to the control plane."""
        status, text, kind = self.rest_raw(method, path, body, headers, timeout)
        return status, json.loads(text) if "json" in kind and text else text.decode(errors="replace")

    def rest_raw(self, method, path, body=None, headers=None, timeout=10.0):
        client = http.client.HTTPConnection("127.0.0.1", REST_PORT, timeout=timeout)
        client.sock = self.namespace.socket()
        client.sock.settimeout(timeout)
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            client.sock.connect(("127.0.0.1", REST_PORT))
            encoded = json.dumps(body) if isinstance(body, (dict, list)) else body
            client.request(method, path, encoded,
                           {"Content-Type": "application/json", **self.authorization, **(headers or {})})
            answer = client.getresponse()
            return answer.status, answer.read(), answer.headers.get("Content-Type", "")
        finally:
            client.close()

    def put(self, path, body):
        """An Ensure that must succeed; returns the object."""
        status, answer = self.rest("PUT", path, body)
        if status not in (200, 201):
            raise CommandFailed(f"PUT {path}: {status} {answer}")
        return answer

    def status(self):
        return self.rest("GET", "/v1/status")[1]

    def metrics(self):
        return self.rest_raw("GET", "/metrics")[1].decode()

    def metric(self, name, **labels):
        """The sum of the samples with this name that carry these labels."""
        total = 0.0
        for line in self.metrics().splitlines():
            match = re.match(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)", line)
            if match and match[1] == name:
                carried = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
                if all(carried.get(key) == value for key, value in labels.items()):
                    total += float(match[3])
        return total

    def addresses(self, name="web", namespace="default", within=10.0):
        """The external addresses of a load balancer by family, once it has them: {4: "203.0.113.1", 6: ...}."""
        def given():
            ingress = self.rest("GET", f"/v1/load-balancers/{namespace}/{name}")[1]["status"]["ingress"]
            return {6 if ":" in one["ip"] else 4: one["ip"] for one in ingress}
        return eventually(given, within, f"{namespace}/{name} has addresses")

