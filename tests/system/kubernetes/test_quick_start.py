"""docs/kubernetes.md is true: the commands of its quick start are run as they stand, in order, and then there is an address that works."""
import os
import re
import subprocess

from lab.appliance import ROOT
from lab.process import Process
from lab.traffic import fetch
from lab.wait import eventually

from .programs import program

# What is not there in the lab: systemd, and the folder /etc/guideway. The rest is the document's.
PROLOGUE = """
set -euE
trap 'echo "failed: $BASH_COMMAND" >&2' ERR
kubectl() { command "$KUBECTL" "$@"; }
guideway() { command "$GUIDEWAY" --token-file "$ADMIN_TOKEN" "$@"; }
guideway-cloud-controller() { command "$CONTROLLER" "$@"; }
systemctl() { [ "$*" = "enable --now guideway-cloud-controller" ] && echo "$*" >"$FOLDER/started"; }
"""
def quick_start():
    """[commands of a block]: those of a controller in the cluster are left out, for which there is no image."""
    text = (ROOT / "docs/kubernetes.md").read_text()
    section = text[text.index("## Quick start"):text.index("## What becomes what")]
    found = [re.sub(r"^ {0,3}", "", block, flags=re.M) for block in re.findall(r"^ *```sh\n(.*?)^ *```$", section, re.M | re.S)]
    return [block for block in found if "create secret generic" not in block]


def test_item_7_the_quick_start_is_tried_from_scratch(cluster, tmp_path):
    appliance, folder = cluster.appliance, tmp_path / "work"
    folder.mkdir()
    (folder / "configs").symlink_to(ROOT / "configs")
    etc = tmp_path / "etc"
    (tmp_path / "home").mkdir()
    blocks = quick_start()
    assert len(blocks) == 5, "account, token, kubeconfig, start, a first service"
    environment = {**os.environ, "HOME": str(tmp_path / "home"), "FOLDER": str(folder), "KUBECTL": str(program("kubectl")),
                   "GUIDEWAY": str(appliance.program("guideway")), "ADMIN_TOKEN": str(appliance.run_folder / "admin.token"),
                   "CONTROLLER": str(cluster.controller.program)}
    kubeconfig = tmp_path / "home" / ".kube" / "config"  # an administrator's
    kubeconfig.parent.mkdir()
    kubeconfig.write_bytes(cluster.control.admin.read_bytes())

    def run(commands):
        script = (PROLOGUE + commands).replace("/etc/guideway", str(etc))
        done = subprocess.run(appliance.namespace.command("bash", "-c", script), cwd=folder, env=environment, capture_output=True,
                              text=True, timeout=120)
        assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"
        return done.stdout

    def has_token():
        secret = cluster.api.find("/api/v1/namespaces/guideway-system/secrets/guideway-cloud-controller-token")
        return secret and secret.get("data", {}).get("token")
    cluster.controller.stop()
    etc.mkdir()
    started = None
    try:
        account, token, credentials, start, service = blocks
        run(account)
        run(token)
        secret, kubeconfig_of_it = credentials.split("\nEOF\n", 1)
        run(secret + "\nEOF\n")
        eventually(has_token, 30, "the cluster fills in the secret's token")
        run(kubeconfig_of_it)
        # "Put it on the appliance ... fill in the section": the sample is filled in for this appliance.
        run("install -m 0600 guideway.kubeconfig /etc/guideway/kubeconfig")
        sample = (ROOT / "configs/guideway.cfg").read_text()
        (etc / "guideway.cfg").write_text(sample.replace("/etc/guideway", str(etc)))
        run(start)
        assert (folder / "started").read_text().strip() == "enable --now guideway-cloud-controller"
        started = Process("quick-start", [cluster.controller.program, "--config", etc / "guideway.cfg"], tmp_path, appliance.namespace)
        run(service)
        path = "/api/v1/namespaces/default/services/web"
        address = eventually(lambda: cluster.api.get(path)["status"]["loadBalancer"]["ingress"][0]["ip"], 60, "EXTERNAL-IP")
        cluster.pods_ready("web", 3)
        eventually(lambda: fetch(cluster.client, address, 80).status == 200, 30,
                   "it answers")
        assert address in run("kubectl get service web"), "as the user sees it"
    finally:
        run("kubectl delete service web --ignore-not-found --wait=false; kubectl delete deployment web --ignore-not-found; "
            "kubectl -n guideway-system delete secret guideway-cloud-controller-token --ignore-not-found; "
            "guideway token delete cluster-default || true")
        eventually(lambda: started is None or cluster.api.find("/api/v1/namespaces/default/services/web") is None, 40, "the service is gone")
        if started is not None:
            started.stop()
        cluster.controller.start()
        cluster.pods_ready("web", 0)
