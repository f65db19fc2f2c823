"""Which Services are ours, what is written to them and when it goes: rules 1 to 7, 14 and 17, end to end."""
import statistics
import threading
import time

import pytest

from lab.wait import eventually

from .objects import HTTP, STREAM, UDP, service

FINALIZER = "service.kubernetes.io/load-balancer-cleanup"


def steady(world, name, seconds=1.5):
    """The Service's resourceVersion does not move for a while: nobody writes to it."""
    seen = {"version": None, "since": 0.0}

    def still():
        version = world.get(name)["metadata"]["resourceVersion"]
        if version != seen["version"]:
            seen.update(version=version, since=time.monotonic())
        return version if time.monotonic() - seen["since"] >= seconds else None
    return eventually(still, 30, f"nobody writes to {name}", every=0.1)


def test_rule_4_5_a_service_gets_addresses_that_serve_and_the_events_say_so(world, record_property):
    world.deploy("web", 3)
    began = time.monotonic()
    vips = world.expose("web")
    published = time.monotonic() - began
    for family, vip in vips.items():
        record_property(f"seconds from kubectl to the first good packet, IPv{family}", round(published + world.served(vip), 3))
    assert set(vips) == {4, 6}
    assert {one["ipMode"] for one in world.ingress("web")} == {"Proxy"}, "rule 4: kube-proxy installs nothing for a VIP of the NAT modes"
    for one in world.ingress("web"):
        assert [(port["protocol"], port["port"]) for port in one["ports"]] == [("TCP", 80)] and "error" not in one["ports"][0]
    world.event("web", "EnsuredLoadBalancer")
    reasons = {reason: kind for kind, reason, _ in world.events("web")}
    for reason in ("EnsuringLoadBalancer", "IPAllocated", "EnsuredLoadBalancer"):
        assert reasons.get(reason) == "Normal", f"rule 5: {reason} among {reasons}"
    assert len({world.request(vips[4])[0] for _ in range(60)}) == 3, "all pods serve"


def test_rule_4_what_the_api_server_tells_of_a_new_service_and_what_then_takes_how_long(world, record_property):
    """From the event of its creation to the event of its address (which is not told before the appliance forwards for it, asserted), and to the
    first good packet: kube-proxy of the node has to follow the same event, at most ten times a second here. Times are reported, not asserted."""
    world.deploy("web", 2)
    names = [f"web-{i}" for i in range(6)]
    path = f"/api/v1/namespaces/{world.namespace}/services"
    since = world.api.get(path)["metadata"]["resourceVersion"]
    made, told, addresses = {}, {}, {}
    changed = threading.Condition()

    def watch():
        for _, one in world.api.watch(path, since, seconds=120):
            now, name = time.monotonic(), one["metadata"]["name"]
            ingress = one["status"].get("loadBalancer", {}).get("ingress", [])
            with changed:
                made.setdefault(name, now)
                if ingress and name not in told:
                    told[name], addresses[name] = now, ingress[0]["ip"]
                changed.notify_all()
                if len(told) == len(names):
                    return
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    packet = {}
    for name in names:  # one after the other: each is alone on its way
        one = service(name, [HTTP], app="web")
        one["metadata"]["namespace"] = world.namespace
        world.api.apply(one)
        with changed:
            assert changed.wait_for(lambda name=name: name in told, 30), f"{name} has no address: {world.events(name)}"
        conditions = {one["type"]: one["status"] for one in world.balancer(name)["status"]["conditions"]}
        assert conditions["Programmed"] == "True", f"told before it is forwarded: {conditions}"
        eventually(lambda name=name: world.request(addresses[name], timeout=0.05), 30, "it answers", every=0.002)
        packet[name] = time.monotonic()
    watcher.join(10)
    assert len(told) == len(names)
    for what, seconds in (("its address", [told[one] - made[one] for one in names]), ("its first good packet", [packet[one] - made[one] for one in names])):
        record_property(f"ms from the event of a Service to {what}: median and worst of {len(names)}",
                        f"{statistics.median(seconds) * 1000:.0f} {max(seconds) * 1000:.0f}")


def test_rule_1_a_service_of_another_class_is_not_touched(world):
    world.deploy("web", 1)
    world.expose("other", app="web", wait=False, loadBalancerClass="example.org/somebody-else")
    world.expose("ours", app="web")  # made later, and done: the other one was seen before
    assert world.ingress("other") == [] and world.finalizers("other") == [] and world.events("other") == []
    assert world.balancer("other") is None
    # What somebody else's controller wrote stays, finalizer and status.
    world.api.patch(world.path("other"), {"metadata": {"finalizers": [FINALIZER]}})
    world.api.patch(world.path("other") + "/status", {"status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.7"}]}}})
    world.expose("again", app="web")
    assert world.finalizers("other") == [FINALIZER] and world.ingress("other")[0]["ip"] == "198.51.100.7"
    world.delete("other", wait=False)
    world.expose("third", app="web")
    assert world.finalizers("other") == [FINALIZER], "rule 1: its own controller cleans up"
    world.api.patch(world.path("other"), {"metadata": {"finalizers": []}})


def test_rule_2_the_finalizer_is_there_before_anything_is_made_and_goes_when_all_is_gone(cluster, world):
    world.deploy("web", 1)
    since = world.api.get(f"/api/v1/namespaces/{world.namespace}/services")["metadata"]["resourceVersion"]
    vip = world.expose("web")[4]
    first_with_address = None
    for _, one in world.api.watch(f"/api/v1/namespaces/{world.namespace}/services", since, seconds=5):
        if one["status"].get("loadBalancer", {}).get("ingress"):
            first_with_address = one
            break
    assert FINALIZER in first_with_address["metadata"]["finalizers"]
    world.served(vip)
    cluster.controller.stop()
    world.delete("web", wait=False)
    assert FINALIZER in world.finalizers("web"), "nobody else removes it"
    assert world.request(vip)[0], "and it goes on meanwhile"
    cluster.controller.start()
    eventually(lambda: world.find("web") is None, 30, "the Service is gone")
    assert world.balancer("web") is None, "rule 2: gone from the appliance before the finalizer was taken away"
    world.silent(vip)


def test_rule_2_deleting_what_the_appliance_does_not_have_succeeds(cluster, world):
    world.deploy("web", 1)
    world.expose("web")
    cluster.controller.stop()
    cluster.appliance.cli("delete", "lb", f"{world.namespace}/web")
    world.delete("web", wait=False)
    cluster.controller.start()
    eventually(lambda: world.find("web") is None, 30, "the Service is gone")


def test_rule_3_same_name_and_another_uid_is_another_service(cluster, world):
    world.deploy("web", 1)
    vip = world.expose("web")[4]
    world.served(vip)
    before = world.balancer("web")["metadata"]["uid"]
    cluster.controller.stop()
    # While nobody looks: removed by force, and made anew under the same name.
    world.api.patch(world.path("web"), {"metadata": {"finalizers": []}})
    world.api.delete(world.path("web"))
    eventually(lambda: world.find("web") is None, 10, "gone")
    world.expose("web", wait=False)
    cluster.controller.start()
    vips = world.addresses("web")
    uid = world.get("web")["metadata"]["uid"]
    assert uid != before and world.balancer("web")["metadata"]["uid"] == uid
    world.served(vips[4])


def test_rule_4_status_is_written_only_when_it_differs_and_put_back_when_wiped(world):
    world.deploy("web", 1)
    vips = world.expose("web")
    version = steady(world, "web")
    world.api.patch(world.path("web"), {"metadata": {"labels": {"of": "somebody"}}})
    after = steady(world, "web")
    assert after != version
    one = world.get("web")
    writers = [field["manager"] for field in one["metadata"]["managedFields"] if field.get("subresource") == "status"]
    assert len(writers) == len(set(writers))
    world.api.patch(world.path("web") + "/status", {"status": {"loadBalancer": {"ingress": None}}})
    assert world.addresses("web") == vips, "rule 4: what somebody wiped is put back, with the same addresses"
    world.served(vips[6])


def test_rule_6_an_appliance_that_lost_its_state_is_filled_again(cluster, world):
    world.deploy("web", 2)
    vips = world.expose("web")
    world.served(vips[4])
    cluster.appliance.cli("delete", "lb", f"{world.namespace}/web")
    eventually(lambda: world.balancer("web"), 30, "it is back")
    assert world.addresses("web") == vips, "with the addresses it had"
    world.served(vips[4])
    cluster.appliance.cli("delete", "node", "node2")
    eventually(lambda: cluster.appliance.rest("GET", "/v1/nodes/node2")[0] == 200, 30, "node2 is back")


def test_rule_6_stale_objects_of_its_own_cluster_are_removed_and_of_others_never(cluster, world):
    stale = {"metadata": {"namespace": world.namespace, "name": "stale", "uid": "11111111-2222-3333-4444-555555555555"},
             "spec": {"ports": [{"name": "http", "protocol": "TCP", "port": 80, "nodePort": 30999}]}}
    other = f"/v1/clusters/elsewhere/load-balancers/{world.namespace}/stale"
    cluster.appliance.put(other, stale)
    cluster.appliance.put(f"/v1/load-balancers/{world.namespace}/stale", stale)
    try:
        eventually(lambda: world.balancer("stale") is None, 30, "the stale one of this cluster is gone")
        cluster.controller.restart()
        cluster.controller.settled()
        assert cluster.appliance.rest("GET", other)[0] == 200, "item 6: another cluster's is not its business"
    finally:
        cluster.appliance.rest("DELETE", other)


def test_rule_6_what_cannot_be_served_says_why_and_is_served_when_it_can(cluster, world):
    world.deploy("web", 1)
    world.expose("web", wait=False, annotations={"guideway.io/address-pool": "later"})
    kind, _, message = world.event("web", "AllocationFailed")
    assert kind == "Warning" and "later" in message
    assert world.ingress("web") == []
    cluster.appliance.put("/v1/address-pools/later", {"metadata": {"name": "later"}, "spec": {
        "addresses": ["198.18.7.0/28", "2001:db8:7::/120"]}})
    try:
        vips = world.addresses("web", within=40)
        assert vips[4].startswith("198.18.7.")
        assert eventually(lambda: world.get("web")["metadata"]["annotations"].get("guideway.io/allocated-from-pool"), 20,
                          "the pool is named") == "later"
    finally:
        world.delete("web")
        cluster.appliance.cli("delete", "pool", "later")


def test_rule_14_a_type_change_frees_the_address_and_back_again_allocates(world):
    world.deploy("web", 1)
    vips = world.expose("web")
    world.served(vips[4])
    world.kubectl("-n", world.namespace, "patch", "service", "web", "-p", '{"spec": {"type": "ClusterIP"}}')
    eventually(lambda: not world.ingress("web") and FINALIZER not in world.finalizers("web"), 30, "cleared")
    assert world.balancer("web") is None
    world.silent(vips[4])
    world.kubectl("-n", world.namespace, "patch", "service", "web", "-p", '{"spec": {"type": "LoadBalancer"}}')
    world.served(world.addresses("web")[4])


def test_rule_17_ports_change_on_a_live_service_and_the_address_stays(world):
    world.deploy("web", 2)
    vips = world.expose("web", ports=(HTTP, UDP))
    world.served(vips[4])
    world.kubectl("-n", world.namespace, "patch", "service", "web", "--type", "json", "-p",
                  '[{"op": "replace", "path": "/spec/ports/0/port", "value": 8000}]')
    world.served(vips[4], 8000)
    world.refused(vips[4], 80)
    # A port more, one less, another protocol of the same number, another node port, and the order turned round.
    world.patch("web", {"ports": [STREAM, {**HTTP, "port": 53}]})
    world.served(vips[6], 53)
    world.refused(vips[4], 8000)
    world.patch("web", {"ports": [{**HTTP, "port": 53, "nodePort": 32111}, UDP]})
    world.served(vips[4], 53)
    eventually(lambda: world.balancer("web")["spec"]["ports"][0].get("nodePort") == 32111, 10, "the node port is the new one")
    assert eventually(lambda: world.datagram(vips[4], 53), 20, "UDP answers")[0].startswith("web-")
    assert world.addresses("web") == vips, "rule 16: the same address over changes of ports and node ports"


@pytest.mark.parametrize("change", [
    {"sessionAffinity": "ClientIP"}, {"externalTrafficPolicy": "Local"}, {"loadBalancerSourceRanges": ["192.0.2.0/24", "2001:db8:1::/64"]},
    {"allocateLoadBalancerNodePorts": False}], ids=lambda change: next(iter(change)))
def test_rule_16_17_the_address_stays_over_changes(world, change):
    world.deploy("web", 2)
    vips = world.expose("web")
    world.served(vips[4])
    generation = world.balancer("web")["metadata"].get("resourceVersion")
    world.patch("web", change)
    if "allocateLoadBalancerNodePorts" not in change:  # that one changes nothing for ports that have theirs
        eventually(lambda: world.balancer("web")["metadata"]["resourceVersion"] != generation, 20, "the appliance knows")
    world.served(vips[4])
    world.served(vips[6])
    assert world.addresses("web") == vips


@pytest.mark.parametrize("annotation", ["guideway.io/load-balancer-ips", "metallb.io/loadBalancerIPs", "metallb.universe.tf/loadBalancerIPs"])
def test_requested_addresses_by_annotation_are_given(world, annotation):
    vips = world.expose("web", annotations={annotation: "203.0.113.77,2001:db8:f::77"})
    assert vips == {4: "203.0.113.77", 6: "2001:db8:f::77"}


def test_metallb_s_sharing_annotation_puts_two_services_on_one_address(world):
    world.deploy("web", 1)
    keys = {"metallb.io/allow-shared-ip": "both"}
    first = world.expose("one", app="web", annotations=keys)
    second = world.expose("two", app="web", annotations=keys, ports=({**HTTP, "port": 81},))
    assert first == second
    world.served(first[4], 80)
    world.served(first[4], 81)


def test_two_hundred_services_at_once(world, record_property):
    world.deploy("web", 2)
    count = 200
    began = time.monotonic()
    for number in range(count):
        one = service(f"s{number}", app="web", namespace=world.namespace, dual=False)
        world.api.create(one)
    created = time.monotonic() - began

    def all_given():
        items = world.api.list(f"/api/v1/namespaces/{world.namespace}/services")
        found = [one["status"]["loadBalancer"]["ingress"][0]["ip"] for one in items if one["status"].get("loadBalancer", {}).get("ingress")]
        return found if len(found) == count else None
    vips = eventually(all_given, 90, "all have addresses", every=0.1)
    record_property("200 services: seconds to create, to the last address", (round(created, 2), round(time.monotonic() - began, 2)))
    assert len(set(vips)) == count
    for vip in vips[::20]:
        world.served(vip)
