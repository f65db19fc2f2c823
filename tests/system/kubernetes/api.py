"""Speaking with the API server: plain HTTPS with a kubeconfig's client certificate or token, from inside a namespace.

kubectl is what users have, and what the tests begin with; it takes a tenth of a second to start, so loops use this.

    api = Api(namespace, kubeconfig)
    api.apply({"apiVersion": "v1", "kind": "Service", ...})
    api.get("/api/v1/namespaces/default/services/web")
"""
import base64
import http.client
import json
import pathlib
import ssl
import tempfile
import threading
import urllib.parse

PLURALS = {"Service": "services", "Pod": "pods", "Node": "nodes", "Namespace": "namespaces", "Deployment": "deployments",
           "EndpointSlice": "endpointslices", "Event": "events", "Lease": "leases", "ServiceAccount": "serviceaccounts",
           "ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings", "Role": "roles", "RoleBinding": "rolebindings",
           "Secret": "secrets", "ConfigMap": "configmaps"}
WITHOUT_NAMESPACE = {"Node", "Namespace", "ClusterRole", "ClusterRoleBinding"}
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


class ApiError(RuntimeError):
    def __init__(self, status, what, answer):
        message = answer.get("message", answer) if isinstance(answer, dict) else answer
        super().__init__(f"{what}: {status}: {message}")
        self.status, self.answer = status, answer


def path_of(kind, name=None, namespace="default", version="v1"):
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    middle = "" if kind in WITHOUT_NAMESPACE else f"/namespaces/{namespace}"
    return f"{root}{middle}/{PLURALS[kind]}" + (f"/{name}" if name else "")


def path_of_object(one):
    meta = one["metadata"]
    return path_of(one["kind"], meta["name"], meta.get("namespace", "default"), one["apiVersion"])


class Api:
    """Each thread has a connection of its own. `namespace`: None: where the program is."""

    def __init__(self, kubeconfig, namespace=None, timeout=30.0):
        config = json.loads(pathlib.Path(kubeconfig).read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        where = urllib.parse.urlsplit(cluster["server"])
        self.host, self.port = where.hostname, where.port
        self.namespace, self.timeout = namespace, timeout
        self.headers = {"Accept": "application/json"}
        self.context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        if "token" in user:
            self.headers["Authorization"] = "Bearer " + user["token"]
        else:
            with tempfile.NamedTemporaryFile("wb") as pair:
                pair.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
                pair.flush()
                self.context.load_cert_chain(pair.name)
        self._own = threading.local()

    def connection(self, timeout=None):
        client = http.client.HTTPSConnection(self.host, self.port, timeout=timeout or self.timeout, context=self.context)
        if self.namespace is not None:
            plain = self.namespace.socket()
            try:
                plain.settimeout(timeout or self.timeout)
                plain.connect((self.host, self.port))
                client.sock = self.context.wrap_socket(plain, server_hostname=self.host)
            except BaseException:
                plain.close()
                raise
        return client

    def ask(self, method, path, body=None, kind="application/json"):
        """(status, decoded answer). A connection that the server closed meanwhile is made anew."""
        encoded = None if body is None else json.dumps(body)
        headers = {**self.headers, **({"Content-Type": kind} if encoded is not None else {})}
        for fresh in (False, True):
            client = getattr(self._own, "client", None)
            if client is None or fresh:
                client = self._own.client = self.connection()
            try:
                client.request(method, path, encoded, headers)
                answer = client.getresponse()
                text = answer.read()
                break
            except (OSError, http.client.HTTPException):
                client.close()
                self._own.client = None
                if fresh:
                    raise
        if answer.getheader("Content-Type", "").startswith("application/json") and text:
            return answer.status, json.loads(text)
        return answer.status, text.decode(errors="replace")

    def must(self, method, path, body=None, kind="application/json", allowed=()):
        status, answer = self.ask(method, path, body, kind)
        if status >= 300 and status not in allowed:
            raise ApiError(status, f"{method} {path}", answer)
        return answer if status < 300 else None

    def get(self, path):
        return self.must("GET", path)

    def find(self, path):
        """The object, or None where there is none."""
        return self.must("GET", path, allowed=(404,))

    def list(self, path):
        return self.must("GET", path)["items"]

    def create(self, one):
        return self.must("POST", path_of_object(one).rsplit("/", 1)[0], one)

    def apply(self, *objects):
        """Server-side apply of each, in order; the last one's answer."""
        for one in objects:
            answer = self.must("PATCH", path_of_object(one) + "?fieldManager=tests&force=true", one, "application/apply-patch+yaml")
        return answer

    def patch(self, path, change, kind=MERGE):
        return self.must("PATCH", path, change, kind)

    def delete(self, path, **options):
        """None where it was gone already."""
        return self.must("DELETE", path, {"kind": "DeleteOptions", "apiVersion": "v1", **options}, allowed=(404,))

    def watch(self, path, since, seconds=300):
        """Events (type, object) from this resourceVersion on, until the server ends the watch."""
        mark = "&" if "?" in path else "?"
        client = self.connection(timeout=seconds + 30)
        try:
            client.request("GET", f"{path}{mark}watch=true&resourceVersion={since}&timeoutSeconds={seconds}&allowWatchBookmarks=true",
                           headers=self.headers)
            answer = client.getresponse()
            if answer.status != 200:
                raise ApiError(answer.status, f"watch {path}", answer.read().decode(errors="replace"))
            for line in answer:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError(event["object"].get("code", 0), f"watch {path}", event["object"])
                yield event["type"], event["object"]
        finally:
            client.close()
