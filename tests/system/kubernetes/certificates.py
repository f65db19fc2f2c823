"""The cluster's own authority, and kubeconfigs whose client certificates it signed. By openssl, as an administrator would."""
import base64
import json
import pathlib
import subprocess


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise RuntimeError(f"openssl {' '.join(map(str, arguments))}: {done.stderr}")


class Authority:
    """Keys and certificates NAME.key, NAME.crt in a folder; ca.crt is trusted by all of the cluster."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.crt, key = self.folder / "ca.crt", self.folder / "ca.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
                "-out", self.crt, "-days", 30, "-subj", "/CN=lab-ca")

    def service_account_key(self):
        path = self.folder / "service-accounts.key"
        if not path.exists():
            openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", path)
        return path

    def sign(self, name, subject, names=()):
        """(certificate, key). `names`: subject alternative names, as "IP:10.0.2.5"; none: a client's."""
        crt, key, request = (self.folder / f"{name}.{kind}" for kind in ("crt", "key", "csr"))
        extensions = self.folder / f"{name}.ext"
        extensions.write_text("basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n"
                              + (f"subjectAltName={','.join(names)}\n" if names else ""))
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
                "-out", request, "-subj", subject)
        openssl("x509", "-req", "-in", request, "-CA", self.crt, "-CAkey", self.folder / "ca.key", "-CAcreateserial",
                "-days", 30, "-extfile", extensions, "-out", crt)
        return crt, key

    def kubeconfig(self, name, server, user=None, groups=(), token=None):
        """A kubeconfig by itself (no files beside it), for a client certificate of `user`, or for a token."""
        if token is None:
            crt, key = self.sign(name, "".join(f"/O={group}" for group in groups) + f"/CN={user}")
            credentials = {"client-certificate-data": encoded(crt), "client-key-data": encoded(key)}
        else:
            credentials = {"token": token}
        path = self.folder / f"{name}.kubeconfig"
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": name,
            "clusters": [{"name": "lab", "cluster": {"server": server, "certificate-authority-data": encoded(self.crt)}}],
            "users": [{"name": name, "user": credentials}],
            "contexts": [{"name": name, "context": {"cluster": "lab", "user": name}}]}, indent=1))
        path.chmod(0o600)
        return path


def encoded(path):
    return base64.b64encode(path.read_bytes()).decode()
