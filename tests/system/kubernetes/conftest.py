"""One cluster for all tests here, made when the first asks for it and removed at the end, also where it could not be made.

    cluster      the lab with Kubernetes, the appliance with its pools, the cloud controller: all running
    world        a namespace of its own in it, empty at the start, removed afterwards (world.py)

A test that stops something starts it again; one that fails makes the fixture look whether all still runs, and start what does not.
"""
import itertools
import os
import re

import pytest

from lab import Lab  # noqa: F401  (the parent's conftest made it importable)
from lab.lab import unique_name

from .cluster import ClusterLab
from .controller import CloudController
from .programs import missing
from .world import World

POOL = {"metadata": {"name": "public"}, "spec": {"addresses": ["203.0.113.0/24", "2001:db8:f::1-2001:db8:f::ffff"], "avoidBuggyIPs": True}}
# The backends of many Services at once: each has its own node port on each node.
LIMITS = {"services": "8192", "backends": "32768"}


NUMBERS = itertools.count(1)


class Running:
    lab = None
    trouble = None


@pytest.fixture(scope="session")
def cluster():
    lacking = missing()
    if lacking:
        pytest.fail("the tests of the cluster cannot run; missing:\n  - " + "\n  - ".join(lacking), pytrace=False)
    if Running.trouble:
        pytest.fail(f"the cluster could not be made: {Running.trouble}", pytrace=False)
    lab = ClusterLab(unique_name("gwt") + "k", os.environ.get("GUIDEWAY_BUILD", "build"))
    try:
        lab.create()
        Running.lab = lab
        lab.appliance.write_config(**LIMITS)
        lab.appliance.start()
        lab.appliance.put("/v1/address-pools/public", POOL)
        lab.controller = CloudController(lab, **CONTROLLER).install().start()
        yield lab
    except BaseException as trouble:
        Running.trouble = Running.trouble or trouble
        raise
    finally:
        Running.lab = None
        lab.remove()


CONTROLLER = {"pods": "via_nodes"}


def heal(lab):
    """What a failed test left stopped is started."""
    for name, start in (("etcd", lab.control.start_etcd), ("kube-apiserver", lab.control.start_api_server),
                        ("kube-controller-manager", lab.control.start_controller_manager)):
        if name not in lab.control.processes or not lab.control.processes[name].running:
            start()
    for number in range(1, 4):
        if lab.api.find(f"/api/v1/nodes/node{number}") is None:
            lab.register_node(number)
        if not lab.proxies[number].running:
            lab.start_proxy(number)
    if not lab.appliance.dataplane.running:
        lab.appliance.start_dataplane()
    if not lab.appliance.controlplane.running:
        lab.appliance.start_controlplane()
    lab.appliance.wait_ready()
    if not lab.controller.running:
        lab.controller.start()


@pytest.fixture
def world(cluster, request):
    name = re.sub("[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:50].strip("-")
    # A namespace that is being deleted keeps its name for a while; parametrised tests share the beginning of theirs.
    made = World(cluster, f"{name}-{next(NUMBERS)}").create()
    try:
        yield made
    finally:
        if getattr(request.node, "failed_call", False):
            heal(cluster)
        made.remove()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call":
        item.failed_call = report.failed
    if report.failed and Running.lab:
        report.sections.append(("logs of the cluster", logs(Running.lab)))


def logs(lab):
    text = lab.logs(lines=30)
    parts = [part for part in re.split(r"(?m)^(?=--- )", text) if not re.match(r"--- (kube-apiserver|etcd|kubelet)", part)]
    return "".join(parts)[-20000:]
