"""What REST answered is kept, whatever dies."""
import pytest

from kinds import AF_PACKET_1
from lab import eventually, fetch

pytestmark = pytest.mark.parametrize("lab", [AF_PACKET_1], indirect=True, ids=str)


def service(name):
    return {"metadata": {"namespace": "durable", "name": name},
            "spec": {"ipFamilyPolicy": "RequireDualStack",
                     "ports": [{"name": "http", "protocol": "TCP", "port": 80, "nodePort": 30080}]}}


def restart(appliance):
    appliance.controlplane.kill()
    appliance.start_controlplane()
    appliance.wait_ready()


def test_address_answered_is_the_same_after_sigkill(lab):
    appliance = lab.appliance
    given = {}
    try:
        for number in range(5):
            name = f"kept-{number}"
            answer = appliance.put(f"/v1/load-balancers/durable/{name}", service(name))
            given[name] = [one["ip"] for one in answer["status"]["ingress"]]
            assert len(given[name]) == 2
            restart(appliance)  # at once after the answer
            for known, addresses in given.items():
                found = appliance.rest("GET", f"/v1/load-balancers/durable/{known}")[1]
                assert [one["ip"] for one in found["status"]["ingress"]] == addresses
        assert len({address for addresses in given.values() for address in addresses}) == 10
        for addresses in given.values():
            for address in addresses:
                assert fetch(lab.client, address, 80).status == 200
    finally:
        for name in given:
            appliance.rest("DELETE", f"/v1/load-balancers/durable/{name}?wait=30")


def test_deletion_answered_is_kept_after_sigkill(lab):
    appliance = lab.appliance
    appliance.put("/v1/load-balancers/durable/gone", service("gone"))
    assert appliance.rest("DELETE", "/v1/load-balancers/durable/gone")[0] == 204
    restart(appliance)
    assert appliance.rest("GET", "/v1/load-balancers/durable/gone")[0] == 404


def test_forwarding_goes_on_with_the_same_generation_order_after_restart(lab):
    """The generation never goes back: the dataplane would refuse an older one."""
    appliance = lab.appliance
    appliance.put("/v1/load-balancers/durable/one?wait=30", service("one"))
    before = appliance.generation
    restart(appliance)
    appliance.rest("DELETE", "/v1/load-balancers/durable/one?wait=30")
    eventually(lambda: appliance.in_force, 10, "the state after the restart is in force")
    assert appliance.generation > before
