"""A control plane alone: no dataplane, on loopback ports that the kernel chose; certificates made with openssl."""
import os
import pathlib
import signal
import socket
import subprocess
import time

import requests

ROOT = pathlib.Path(__file__).resolve().parents[3]
PROGRAM = ROOT / os.environ.get("GUIDEWAY_BUILD", "build") / "controlplane" / "guideway-controlplane"
START_SECONDS = 30


def free_ports(count):
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60)


def make_certificate(folder, name, common_name, issuer=None, days=30, authority=False):
    """NAME.crt and NAME.key in the folder, put in place one after the other; signed by `issuer`, or by itself."""
    key, crt, request = folder / f"{name}.key", folder / f"{name}.crt", folder / f"{name}.csr"
    new_key, new_crt, extensions = folder / "new.key", folder / "new.crt", folder / "new.ext"
    extensions.write_text(f"basicConstraints=CA:{'TRUE' if authority else 'FALSE'}\n"
                          "subjectAltName=IP:127.0.0.1,IP:127.0.0.2,DNS:localhost\n")
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", new_key,
            "-out", request, "-subj", f"/CN={common_name}")
    signer = ["-CA", folder / f"{issuer}.crt", "-CAkey", folder / f"{issuer}.key", "-CAcreateserial"] if issuer else \
        ["-signkey", new_key]
    openssl("x509", "-req", "-in", request, "-days", days, "-extfile", extensions, "-out", new_crt, *signer)
    new_key.chmod(0o600)
    new_crt.rename(crt)
    new_key.rename(key)
    return crt, key


class ControlPlane:
    """`more`: further lines of the controlplane section, with {folder} for the folder. https: authority.crt there is trusted."""

    def __init__(self, folder, more="", scheme="http"):
        self.folder = pathlib.Path(folder)
        self.port, self.metrics_port = free_ports(2)
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self.metrics_url = f"{scheme}://127.0.0.1:{self.metrics_port}"
        self.verify = str(self.folder / "authority.crt") if scheme == "https" else None
        self.config = self.folder / "guideway.cfg"
        self.config.write_text(f"""controlplane = {{
    listen = "127.0.0.1:{self.port}";
    metrics_listen = "127.0.0.1:{self.metrics_port}";
    store = "{self.folder}/guideway.db";
    dataplane_socket = "{self.folder}/dataplane.sock";
    {more.replace("{folder}", str(self.folder))}
}};
""")
        self.process = None

    def run(self, *arguments):
        return subprocess.run([PROGRAM, "--config", self.config, *arguments], capture_output=True, text=True, timeout=60)

    def __enter__(self):
        with open(self.folder / "log", "a") as log:
            self.process = subprocess.Popen([PROGRAM, "--config", self.config], stdout=log, stderr=subprocess.STDOUT)
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                if requests.get(self.metrics_url + "/readyz", timeout=5, verify=self.verify).status_code == 200:
                    return self
            except requests.ConnectionError:
                pass
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise RuntimeError("no start:\n" + self.log)
            time.sleep(0.02)

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode

    @property
    def log(self):
        return (self.folder / "log").read_text()

    @property
    def token(self):
        return (self.folder / "admin.token").read_text().strip()

    @property
    def authorization(self):
        return {"Authorization": "Bearer " + self.token}

    def ask(self, method, path, headers=None, **options):
        return requests.request(method, self.url + path, timeout=30, verify=self.verify,
                                headers=self.authorization if headers is None else headers, **options)

    def metric(self, line):
        """The value of the sample that begins so."""
        text = requests.get(self.metrics_url + "/metrics", timeout=30, verify=self.verify).text
        return sum(float(one.rsplit(" ", 1)[1]) for one in text.splitlines() if one.startswith(line))
