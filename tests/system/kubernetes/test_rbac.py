"""The rights of configs/kubernetes/rbac.yaml are enough (all other tests run with them) and least: without any of them something fails."""
import copy

import pytest

from lab.wait import eventually

from .controller import CloudController, rbac
from .objects import HTTP


def rights():
    """(kind, name of resource, verb) of each right that the manifests give."""
    for one in rbac():
        for rule in one.get("rules", []):
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    yield one["kind"], resource, verb


def without(kind, resource, verb):
    changed = copy.deepcopy(rbac())
    for one in changed:
        if one["kind"] == kind:
            kept = []
            for rule in one["rules"]:
                if resource in rule["resources"]:
                    rule["verbs"] = [each for each in rule["verbs"] if each != verb]
                if rule["verbs"]:
                    kept.append(rule)
            one["rules"] = kept
    return changed


def test_the_account_may_do_nothing_else(cluster):
    for verb, resource in (("get", "secrets"), ("delete", "services"), ("update", "services"), ("create", "services"), ("list", "pods"),
                           ("patch", "nodes"), ("delete", "events"), ("list", "secrets"), ("create", "pods"), ("patch", "endpointslices")):
        said = cluster.kubectl("auth", "can-i", verb, resource, "--as=system:serviceaccount:guideway-system:guideway-cloud-controller",
                               "-A", status=None)
        assert said.strip().startswith("no"), f"{verb} {resource}: {said}"


@pytest.mark.parametrize("kind, resource, verb", list(rights()), ids=lambda one: one.replace("/", "-"))
def test_without_this_right_something_fails(cluster, world, kind, resource, verb):
    cluster.controller.stop()
    one = CloudController(cluster, f"without-{resource.replace('/', '-')}-{verb}", metrics_port=8890,
                          **{**cluster.controller.options, "leader-elect": True}).install()
    try:
        for changed in without(kind, resource, verb):
            cluster.api.apply(changed)
        one.start(wait=False)
        world.expose("web", wait=False)

        def told():
            # The same thing twice makes an Event that is counted up: a patch.
            world.patch("web", {"ports": [{**HTTP, "port": 81}]})
            world.patch("web", {"ports": [{**HTTP, "port": 80}]})
            text = one.process.output().lower()
            return [line for line in text.splitlines() if ("forbidden" in line or "403" in line) and resource.split("/")[0] in line]
        assert eventually(told, 40, f"it says that it may not {verb} {resource}", every=0.3)
    finally:
        one.kill()
        cluster.api.delete("/apis/coordination.k8s.io/v1/namespaces/guideway-system/leases/guideway-cloud-controller")
        for right in rbac():
            cluster.api.apply(right)
        cluster.controller.start()
