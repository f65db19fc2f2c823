"""guideway-cloud-controller as a process of the lab: on the appliance with a kubeconfig, by the rights of configs/kubernetes/rbac.yaml and with a
token of the role "controller", as docs/kubernetes.md installs it.
"""
import re

import yaml

from lab.appliance import ROOT
from lab.process import Process
from lab.traffic import fetch
from lab.wait import eventually

SYSTEM = "guideway-system"
NAME = "guideway-cloud-controller"
RBAC = ROOT / "configs" / "kubernetes" / "rbac.yaml"


def rbac():
    return list(yaml.safe_load_all(RBAC.read_text()))


class CloudController:
    """`name` is the process's own among several. `cluster`: as the appliance knows this one. `options`: further flags, name: value."""

    def __init__(self, lab, name="cloud-controller", cluster="default", metrics_port=8872, control=None, kubeconfig=None, **options):
        self.lab, self.name, self.cluster, self.metrics_port = lab, name, cluster, metrics_port
        self.control = control or lab.control
        self.kubeconfig, self.options = kubeconfig, options
        self.namespace = lab.appliance.namespace
        self.folder = lab.folder / name
        self.folder.mkdir(exist_ok=True)
        self.process = None
        self.token_file = self.folder / "appliance.token"

    @property
    def program(self):
        path = self.lab.appliance.build / "controlplane" / "kubernetes" / NAME
        if not path.exists():
            raise FileNotFoundError(f"{path}: build it first: meson setup build && ninja -C build")
        return path

    def install(self):
        """Rights in the cluster, a kubeconfig with a token of its account, a token of the appliance."""
        self.control.api.apply(*rbac())
        if self.kubeconfig is None:
            token = self.control.service_account_token(SYSTEM, NAME)
            self.kubeconfig = self.control.authority.kubeconfig(self.name, self.control.server, token=token)
        if not self.token_file.exists():
            self.lab.appliance.cli("token", "create", self.name, "--role", "controller", "--cluster", self.cluster, "--out", self.token_file)
        return self

    def arguments(self):
        flags = {"kubeconfig": self.kubeconfig, "appliance": "http://127.0.0.1:8870", "appliance-token-file": self.token_file,
                 "cluster": self.cluster, "metrics-listen": f"127.0.0.1:{self.metrics_port}", **self.options}
        found = []
        for key, value in flags.items():
            found += [f"--{key.replace('_', '-')}"] if value is True else [f"--{key.replace('_', '-')}", str(value)]
        return found

    def start(self, wait=True):
        self.process = Process(self.name, [self.program, *self.arguments()], self.folder, self.namespace, self.lab.keep)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, within=30.0):
        self.process.wait_until(lambda: self.get("/readyz").status == 200, within, f"{self.name} is ready")

    def get(self, path):
        return fetch(self.namespace, "127.0.0.1", self.metrics_port, path, timeout=5)

    def metric(self, name, **labels):
        """The sum of the samples with this name that carry these labels."""
        total = 0.0
        for line in self.get("/metrics").text.splitlines():
            match = re.match(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)", line)
            if match and match[1] == name:
                carried = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
                if all(carried.get(key) == value for key, value in labels.items()):
                    total += float(match[3])
        return total

    @property
    def running(self):
        return self.process is not None and self.process.running

    def stop(self):
        return self.process.stop(15) if self.running else None

    def kill(self):
        if self.running:
            self.process.kill()

    def restart(self):
        self.kill()
        return self.start()

    def memory_kilobytes(self):
        text = open(f"/proc/{self.process.pid}/status").read()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]), int(re.search(r"VmHWM:\s+(\d+)", text)[1])

    def settled(self, within=30.0):
        """Nothing waits in its queues."""
        eventually(lambda: self.metric("guideway_cloud_controller_queue_depth") == 0, within, "the work queues are empty")
