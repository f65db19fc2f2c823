"""Where the programs of Kubernetes and of etcd are. What is missing is said with the command that brings it; nothing is skipped."""
import os
import pathlib
import shutil

from lab.appliance import ROOT

NAMES = ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kubectl")


def folder():
    return pathlib.Path(os.environ.get("GUIDEWAY_KUBERNETES") or ROOT / "build" / "kubernetes")


def program(name):
    return folder() / name


def missing():
    """One sentence for each program that is not there."""
    lacking = [f"{program(name)}: run tests/install-kubernetes build/kubernetes" for name in NAMES if not program(name).exists()]
    lacking += [f"the program '{name}': run tests/install-packages kubernetes" for name in ("etcd", "etcdctl", "nft", "openssl")
                if not shutil.which(name)]
    return lacking
