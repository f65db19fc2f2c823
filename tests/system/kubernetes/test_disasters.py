"""What goes wrong: the controller is killed at any moment, the API server restarts, etcd comes back from a backup, two controllers run."""
import random
import threading
import time

from lab.traffic import RequestLoad
from lab.wait import eventually

from .controller import CloudController
from .objects import HTTP, UDP, service


def consistent(cluster, world):
    """No orphan, no leak, no double: the appliance holds what the cluster wants, under the same addresses; None while it does not yet."""
    services = {one["metadata"]["name"]: one for one in world.api.list(f"/api/v1/namespaces/{world.namespace}/services")}
    wanted = {name: one for name, one in services.items() if one["spec"]["type"] == "LoadBalancer"}
    if any(one["metadata"].get("deletionTimestamp") for one in services.values()):
        return None
    held = {one["metadata"]["name"]: one for one in cluster.appliance.rest("GET", "/v1/load-balancers?limit=1000")[1]["items"]
            if one["metadata"]["namespace"] == world.namespace and one["metadata"].get("cluster", "default") == "default"}
    if set(held) != set(wanted):
        return None
    seen = []
    for name, one in wanted.items():
        told = [each["ip"] for each in one.get("status", {}).get("loadBalancer", {}).get("ingress", [])]
        has = [each["ip"] for each in held[name]["status"].get("ingress", [])]
        if len(told) != 2 or sorted(told) != sorted(has) or held[name]["metadata"]["uid"] != one["metadata"]["uid"]:
            return None
        ports = [(each["protocol"], each["port"], each.get("nodePort", 0)) for each in one["spec"]["ports"]]
        if ports != [(each["protocol"], each["port"], each.get("nodePort", 0)) for each in held[name]["spec"]["ports"]]:
            return None
        seen += told
    assert len(seen) == len(set(seen)), f"an address was given twice: {seen}"
    return True


def in_use(cluster):
    """How many addresses the pool has given."""
    return cluster.appliance.metric("guideway_address_pool_used_addresses", pool="public")


def test_rule_2_6_the_controller_is_killed_at_any_moment_of_create_update_and_delete(cluster, world):
    world.deploy("web", 1)
    chance = random.Random(6)
    names = [f"s{number}" for number in range(4)]
    for round_ in range(16):
        def change():
            name = chance.choice(names)
            found = world.find(name)
            if found is None:
                world.api.create(service(name, app="web", namespace=world.namespace))
            elif found["metadata"].get("deletionTimestamp"):
                return
            elif chance.random() < 0.4:
                world.api.delete(world.path(name))
            else:
                world.patch(name, {"ports": [{**HTTP, "port": chance.choice((80, 81, 82))}] + chance.choice(([], [UDP]))})
        for _ in range(3):
            change()
        time.sleep(chance.random() * 0.12)  # where it is in its work is the chance; nothing is waited for
        cluster.controller.kill()
        if chance.random() < 0.5:
            change()
        cluster.controller.start(wait=False)
    cluster.controller.wait_ready()
    eventually(lambda: consistent(cluster, world), 60, "the appliance holds what the cluster wants", every=0.2)
    for name in names:
        if world.find(name):
            port = world.get(name)["spec"]["ports"][0]["port"]
            world.served(world.addresses(name)[4], port)
            world.delete(name)
    eventually(lambda: consistent(cluster, world), 30, "nothing is left")


def test_the_api_server_restarts_and_nobody_notices(cluster, world):
    world.deploy("web", 2)
    vip = world.expose("web")[4]
    world.served(vip)
    with RequestLoad(cluster.client, vip, 80, threads=1, pause=0.002) as load:
        cluster.control.kill("kube-apiserver")
        done = load.done
        eventually(lambda: load.done > done + 200, 30, "traffic goes on")
        cluster.control.start_api_server()
        second = world.expose("second", app="web")[4]
        world.served(second)
        world.patch("web", {"ports": [{**HTTP, "port": 80}, {**HTTP, "name": "more", "port": 8000}]})
        world.served(vip, 8000, within=60)
    assert not load.failures, load.report()
    assert cluster.controller.process.running, "the controller outlived it"


def test_rule_7_two_controllers_one_acts_and_the_other_takes_over(cluster, world, record_property):
    world.deploy("web", 1)
    cluster.controller.stop()
    pair = [CloudController(cluster, f"elected-{number}", metrics_port=8880 + number, **{**cluster.controller.options, "leader-elect": True})
            .install() for number in (1, 2)]

    def leaders():
        return [one for one in pair if one.running and one.metric("guideway_cloud_controller_leader") == 1]
    try:
        for one in pair:
            one.start(wait=False)
        first = eventually(lambda: leaders() or None, 40, "one leads")[0]
        other = next(one for one in pair if one is not first)
        most = {"leaders": 0}
        over = threading.Event()

        def look():
            while not over.wait(0.05):
                try:
                    most["leaders"] = max(most["leaders"], len(leaders()))
                except OSError:
                    pass
        watcher = threading.Thread(target=look, daemon=True)
        watcher.start()
        world.expose("before", app="web")
        began = time.monotonic()
        first.stop()  # gives the Lease back
        eventually(lambda: leaders() == [other], 40, "the other one leads")
        record_property("take-over after a clean stop, seconds", round(time.monotonic() - began, 2))
        world.expose("between", app="web")
        first.start(wait=False)
        eventually(lambda: first.get("/healthz").status == 200, 20, "the first is back")
        began = time.monotonic()
        other.kill()
        eventually(lambda: leaders() == [first], 60, "the first leads again")
        record_property("take-over after kill -9, seconds", round(time.monotonic() - began, 2))
        world.expose("after", app="web")
        over.set()
        watcher.join()
        assert most["leaders"] == 1, "never two at once"
        for name in ("before", "between", "after"):
            told = [reason for _, reason, _ in world.events(name)]
            assert told.count("EnsuredLoadBalancer") <= 1, f"rule 7: nobody wrote twice: {told}"
        assert consistent(cluster, world)
    finally:
        for one in pair:
            one.kill()
        cluster.controller.start()


def test_the_appliance_restarts_and_is_found_again(cluster, world):
    world.deploy("web", 1)
    vip = world.expose("web")[4]
    world.served(vip)
    cluster.appliance.controlplane.kill()
    world.expose("second", app="web", wait=False)
    assert world.request(vip)
    cluster.appliance.start_controlplane()
    cluster.appliance.wait_ready()
    world.served(world.addresses("second", within=60)[4])


def test_etcd_comes_back_from_an_older_backup(cluster, world):
    world.deploy("web", 2)
    vips = world.expose("web")
    world.served(vips[4])
    backup = cluster.folder / "etcd.backup"
    cluster.control.snapshot(backup)
    try:
        forgotten = world.expose("forgotten", app="web")
        world.served(forgotten[4])
        world.patch("web", {"ports": [{**HTTP, "port": 8000}]})
        world.served(vips[4], 8000)
        cluster.control.restore(backup)
        # As the manual of such a restore says: whoever keeps what he read is started again. The controller is not: it must find out.
        for number in (1, 2, 3):
            cluster.proxies[number].stop()
            cluster.start_proxy(number)
        assert world.find("forgotten") is None
        eventually(lambda: world.balancer("forgotten") is None, 90, "what the cluster forgot is gone from the appliance")
        world.silent(forgotten[4])
        world.served(vips[4], 80, within=60)
        assert world.addresses("web") == vips
        world.served(world.expose("afterwards", app="web")[4], within=60)
    finally:
        backup.unlink(missing_ok=True)
