"""I1: the dataplane forwards on its last state with everything else dead, and finds it on disk at its start."""
import json

import pytest

from kinds import AF_PACKET_1, AF_PACKET_2, AF_XDP_2
from lab import RequestLoad, TcpStream, ask_udp, eventually, fetch


def serves(lab):
    """One request and one datagram in each family, answered."""
    def works():
        for vip in lab.vips.values():
            assert fetch(lab.client, vip, 80, timeout=1).status == 200
            ask_udp(lab.client, vip, 53, timeout=1)
        return True
    return works


def test_traffic_goes_on_while_the_control_plane_is_dead(lab):
    appliance = lab.appliance
    with RequestLoad(lab.client, lab.vips[4], 80) as load4, RequestLoad(lab.client, lab.vips[6], 80) as load6, \
            TcpStream(lab.client, lab.stream_vips[4], 7) as stream:
        eventually(lambda: load4.done > 50 and load6.done > 50, 10, "load is under way")
        appliance.controlplane.kill()
        before = load4.done, load6.done, stream.echoed
        eventually(lambda: load4.done > before[0] + 200 and load6.done > before[1] + 200 and stream.echoed > before[2] + 20,
                   20, "traffic goes on without the control plane")
        appliance.start_controlplane()
        appliance.wait_ready()
    assert not load4.failures, load4.report()
    assert not load6.failures, load6.report()
    assert not stream.trouble, stream.trouble
    assert appliance.addresses("web") == lab.vips


def test_dataplane_restarted_without_control_plane_resumes_from_disk(lab):
    appliance = lab.appliance
    appliance.controlplane.kill()
    appliance.dataplane.kill()
    with pytest.raises(OSError):
        fetch(lab.client, lab.vips[4], 80, timeout=0.3)
    appliance.start_dataplane().wait_until(serves(lab), 40, "traffic resumes from the state on disk")
    appliance.start_controlplane()
    appliance.wait_ready()
    assert appliance.addresses("web") == lab.vips
    assert serves(lab)()


def test_dataplane_that_starts_again_gets_the_state_without_being_asked(lab):
    """What changed while it was away is in force after its return, without a further request."""
    appliance = lab.appliance
    appliance.dataplane.stop()
    appliance.put("/v1/nodes/node2", node(lab, 2, drain=True))
    try:
        appliance.start_dataplane().wait_until(lambda: appliance.in_force, 40, "the new state is in force")
        assert "node2" not in {fetch(lab.client, lab.vips[4], 80).text.strip() for _ in range(30)}
    finally:
        appliance.put("/v1/nodes/node2?wait=30", node(lab, 2))
    assert serves(lab)()


@pytest.mark.parametrize("lab", [AF_PACKET_1], indirect=True, ids=str)
def test_dataplane_without_a_state_on_disk_waits_for_the_control_plane(lab):
    appliance = lab.appliance
    appliance.controlplane.stop()
    appliance.dataplane.stop()
    state = state_file(appliance)
    assert json.loads(state.read_text()), "the state on disk is JSON"
    state.unlink()
    # First the control plane, long before the dataplane.
    appliance.start_controlplane().wait_until(lambda: appliance.rest("GET", "/readyz")[0] == 200, 30, "ready alone")
    assert not appliance.status()["dataplane"]["connected"]
    appliance.start_dataplane().wait_until(serves(lab), 40, "the control plane tells a new dataplane by itself")
    eventually(state.exists, 5, "the state is on disk again")


@pytest.mark.parametrize("lab", [AF_PACKET_1], indirect=True, ids=str)
def test_damaged_state_on_disk_is_told_and_not_fatal(lab):
    appliance = lab.appliance
    appliance.dataplane.kill()
    state = state_file(appliance)
    state.write_text(state.read_text()[:-40])
    appliance.start_dataplane().wait_until(serves(lab), 40, "the control plane's state replaces the damaged one")
    assert str(state) in appliance.dataplane.output() or state.name in appliance.dataplane.output()


@pytest.mark.parametrize("lab", [AF_PACKET_2, AF_XDP_2], indirect=True, ids=str)
def test_clean_stop_ends_with_status_zero_and_starts_again(lab):
    appliance = lab.appliance
    assert appliance.controlplane.stop() == 0, appliance.controlplane.tail()
    assert appliance.dataplane.stop() == 0, appliance.dataplane.tail()
    appliance.start()
    assert serves(lab)()


def state_file(appliance):
    return next(appliance.run_folder.glob("forwarding-state*.json"))


def node(lab, number, **spec):
    return {"metadata": {"name": f"node{number}"}, "spec": {"addresses": list(lab.site.node(number)), **spec}}
