"""etcd, kube-apiserver and kube-controller-manager in one namespace, with an authority of their own and RBAC on."""
import os
import shutil
import subprocess

from lab.process import Process
from lab.wait import eventually

from .api import Api
from .certificates import Authority
from .programs import program

PORT = 6443
SERVICE_NETWORKS = "10.96.0.0/16,fd00:10:96::/112"
# Those that Services and Deployments need. Not node-lifecycle: it would ask for the heartbeats of real kubelets.
CONTROLLERS = ("deployment-controller", "replicaset-controller", "endpointslice-controller", "namespace-controller",
               "serviceaccount-controller", "serviceaccount-token-controller", "garbage-collector-controller", "disruption-controller")


class Control:
    """`address`: (IPv4, IPv6) of the namespace, where the API server listens."""

    def __init__(self, namespace, address, folder, outlive=False):
        self.namespace, self.address, self.outlive = namespace, address, outlive
        self.folder = folder
        self.data = folder / "etcd"
        self.server = f"https://{address[0]}:{PORT}"
        self.processes = {}
        self.authority = None

    def create(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.authority = Authority(self.folder / "pki")
        self.authority.sign("apiserver", "/CN=kube-apiserver",
                            (f"IP:{self.address[0]}", f"IP:{self.address[1]}", "IP:10.96.0.1", "IP:127.0.0.1", "DNS:localhost",
                             "DNS:kubernetes", "DNS:kubernetes.default", "DNS:kubernetes.default.svc"))
        self.authority.service_account_key()
        self.admin = self.authority.kubeconfig("admin", self.server, "admin", ("system:masters",))
        self.manager = self.authority.kubeconfig("controller-manager", self.server, "system:kube-controller-manager")
        self.api = Api(self.admin, self.namespace)
        return self

    def start(self):
        self.start_etcd()
        self.start_api_server()
        self.start_controller_manager()
        return self

    def _run(self, name, *argv):
        self.processes[name] = Process(name, argv, self.folder, self.namespace, self.outlive)
        return self.processes[name]

    def start_etcd(self):
        """Nothing of it outlives the lab, so its folder may be in memory; it listens on loopback of the namespace alone."""
        return self._run("etcd", "etcd", "--data-dir", self.data, "--listen-client-urls", "http://127.0.0.1:2379",
                         "--advertise-client-urls", "http://127.0.0.1:2379", "--listen-peer-urls", "http://127.0.0.1:2380",
                         "--initial-advertise-peer-urls", "http://127.0.0.1:2380", "--initial-cluster", "default=http://127.0.0.1:2380",
                         "--snapshot-count", "100000", "--logger", "zap", "--log-level", "warn")

    def start_api_server(self, wait=True):
        pki = self.authority.folder
        process = self._run(
            "kube-apiserver", program("kube-apiserver"), "--etcd-servers", "http://127.0.0.1:2379", "--secure-port", PORT,
            "--bind-address", "0.0.0.0", "--advertise-address", self.address[0], "--service-cluster-ip-range", SERVICE_NETWORKS,
            "--tls-cert-file", pki / "apiserver.crt", "--tls-private-key-file", pki / "apiserver.key", "--client-ca-file", pki / "ca.crt",
            "--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", pki / "service-accounts.key",
            "--service-account-signing-key-file", pki / "service-accounts.key", "--authorization-mode", "Node,RBAC",
            "--max-requests-inflight", 2000, "--max-mutating-requests-inflight", 1000, "--v", 1)
        if wait:
            self.wait_ready()
        return process

    def wait_ready(self, within=90.0):
        self.processes["kube-apiserver"].wait_until(lambda: self.api.ask("GET", "/readyz")[0] == 200, within, "the API server is ready")

    def start_controller_manager(self):
        pki = self.authority.folder
        return self._run(
            "kube-controller-manager", program("kube-controller-manager"), "--kubeconfig", self.manager, "--controllers",
            ",".join(CONTROLLERS), "--service-account-private-key-file", pki / "service-accounts.key", "--root-ca-file", pki / "ca.crt",
            "--use-service-account-credentials", "--kube-api-qps", 500, "--kube-api-burst", 1000, "--leader-elect=false",
            "--concurrent-deployment-syncs", 10, "--concurrent-service-endpoint-syncs", 10, "--bind-address", "127.0.0.1", "--v", 1)

    def stop(self, *names):
        for name in names:
            self.processes.pop(name).stop()

    def kill(self, *names):
        for name in names:
            self.processes.pop(name).kill()

    def etcdctl(self, *arguments):
        done = subprocess.run(self.namespace.command("etcdctl", *arguments), capture_output=True, text=True, timeout=60,
                              env={**os.environ, "ETCDCTL_API": "3"})
        if done.returncode:
            raise RuntimeError(f"etcdctl {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}")
        return done.stdout

    def snapshot(self, path):
        self.etcdctl("snapshot", "save", path)

    def restore(self, path):
        """As after a disaster: the API server and etcd stop, etcd comes back as it was then."""
        self.kill("kube-controller-manager", "kube-apiserver", "etcd")
        shutil.rmtree(self.data)
        self.etcdctl("snapshot", "restore", path, "--data-dir", self.data, "--name", "default",
                     "--initial-cluster", "default=http://127.0.0.1:2380", "--initial-advertise-peer-urls", "http://127.0.0.1:2380")
        self.start()

    def kubectl(self, *arguments, stdin=None, status=0, timeout=90):
        done = subprocess.run(self.namespace.command(program("kubectl"), "--kubeconfig", self.admin, *arguments), capture_output=True,
                              text=True, timeout=timeout, input=stdin, env={**os.environ, "HOME": str(self.folder)})
        if status is not None and done.returncode != status:
            raise RuntimeError(f"kubectl {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout if status == 0 else done.stdout + done.stderr

    def grant(self, *objects):
        self.api.apply(*objects)

    def service_account_token(self, namespace, name, seconds=7200):
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        answer = self.api.must("POST", path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
                                              "spec": {"expirationSeconds": seconds}})
        return answer["status"]["token"]

    def account_ready(self, namespace="default"):
        """Pods need the namespace's account, which a controller makes."""
        eventually(lambda: self.api.find(f"/api/v1/namespaces/{namespace}/serviceaccounts/default"), 60,
                   f"{namespace} has its service account")

    def remove(self):
        for process in self.processes.values():
            process.kill()
        self.processes.clear()
