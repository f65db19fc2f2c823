"""Item 5: from MetalLB. Its kinds in a real API server, read by the real kubectl; and Services that hold an address of another controller."""
import os
import subprocess

import pytest
import yaml

from lab.wait import eventually

from .programs import folder

GROUP = "metallb.io"
KINDS = {"IPAddressPool": "ipaddresspools", "L2Advertisement": "l2advertisements", "BGPAdvertisement": "bgpadvertisements"}
SYSTEM = "metallb-system"


def definition(kind, plural):
    """A kind of MetalLB's, with any fields: its own schema is not what is tried here."""
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"{plural}.{GROUP}"},
            "spec": {"group": GROUP, "scope": "Namespaced", "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
                     "versions": [{"name": "v1beta1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
                         "type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}}


def one(kind, name, **spec):
    return {"apiVersion": f"{GROUP}/v1beta1", "kind": kind, "metadata": {"name": name, "namespace": SYSTEM}, "spec": spec}


@pytest.fixture
def metallb(cluster):
    """Its kinds and its namespace."""
    kubectl = cluster.kubectl
    names = [f"{plural}.{GROUP}" for plural in KINDS.values()]
    try:
        for kind, plural in KINDS.items():
            kubectl("apply", "-f", "-", stdin=yaml.safe_dump(definition(kind, plural)))
        kubectl("wait", "--for=condition=Established", "--timeout=60s", *(f"crd/{name}" for name in names))
        kubectl("apply", "-f", "-", stdin=yaml.safe_dump({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}}))
        yield lambda *objects: kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(objects))
    finally:
        kubectl("delete", "crd", "--ignore-not-found", *names)
        kubectl("delete", "namespace", "--ignore-not-found", "--wait=false", SYSTEM)


def guideway(cluster, *arguments):
    """With the real kubectl in PATH."""
    done = subprocess.run(cluster.appliance.namespace.command(*cluster.appliance.command(*arguments)), capture_output=True, text=True,
                          timeout=90, env={**os.environ, "PATH": f"{folder()}:{os.environ['PATH']}", "HOME": str(cluster.folder)})
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_item_5_pools_are_imported_from_the_cluster_itself(cluster, metallb):
    metallb(one("IPAddressPool", "office", addresses=["198.51.100.64/28", "2001:db8:77::1-2001:db8:77::ff"], autoAssign=False),
            one("L2Advertisement", "office", ipAddressPools=["office"], interfaces=["eth1"]),
            one("BGPAdvertisement", "office", ipAddressPools=["office"], localPref=100))
    done = guideway(cluster, "import", "metallb", "--from-cluster", "--kubeconfig", cluster.control.admin, "--apply")
    try:
        for told in ("IPAddressPool metallb-system/office: carried over", "/spec/interfaces", "BGPAdvertisement metallb-system/office"):
            assert told in done.stderr, done.stderr
        pool = cluster.appliance.rest("GET", "/v1/address-pools/office")[1]
        assert pool["spec"]["addresses"] == ["198.51.100.64/28", "2001:db8:77::1-2001:db8:77::ff"]
        assert pool["spec"]["autoAssign"] is False
    finally:
        assert cluster.appliance.rest("DELETE", "/v1/address-pools/office")[0] in (200, 204)


def test_rule_21_services_keep_the_addresses_that_another_controller_gave_them(cluster, world):
    """As when MetalLB's controller was stopped and ours is started: the status says the address, and nobody acts on it."""
    cluster.controller.stop()
    try:
        world.deploy("web", 1)
        held = {"old": "203.0.113.200", "older": "203.0.113.77"}
        for name, address in held.items():
            world.expose(name, app="web", wait=False, dual=False)
            world.api.patch(world.path(name) + "/status", {"status": {"loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]}}})
    finally:
        cluster.controller.start()
    for name, address in held.items():
        world.event(name, "EnsuredLoadBalancer")
        assert world.addresses(name) == {4: address}, f"not another one: {world.events(name)}"
        eventually(lambda address=address: world.request(address)[0].startswith("web-"), 20, f"{address} serves")
