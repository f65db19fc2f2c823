"""Labs for the system tests: one for each way to run the dataplane, made when the first test asks, shared by the rest.

A test says by its fixture what it runs on:

    def test_everywhere(lab): ...         # each driver with one and with two workers
    @pytest.mark.parametrize("lab", [AF_PACKET_2], indirect=True)
    def test_once(lab): ...               # this one only

The lab holds what configs/demo holds (default/web) and default/stream, a TCP echo. A test leaves it so. After a test that
failed the next one gets a new lab.
"""
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from kinds import EVERY_WAY, Kind  # noqa: E402
from lab import Lab, missing_abilities  # noqa: E402
from lab.appliance import ROOT  # noqa: E402
from lab.lab import exit_on_signals, remove_dead_runs, unique_name  # noqa: E402
from lab.servers import TCP_ECHO  # noqa: E402
from lab.topology import CHECKSUM_OFFLOAD_ON, OFFLOADS_OFF  # noqa: E402

STEM = "gwt"
STREAM = {"metadata": {"namespace": "default", "name": "stream"},
          "spec": {"ipFamilyPolicy": "RequireDualStack",
                   "ports": [{"name": "echo", "protocol": "TCP", "port": 7, "nodePort": TCP_ECHO}]}}


class Labs:
    """The lab of the moment. Tests are sorted by kind, so each kind is made once."""

    def __init__(self):
        self.lab = None
        self.kind = None
        self.spoilt = False

    def get(self, kind):
        if self.lab and (self.spoilt or self.kind != kind):
            self.close()
        if not self.lab:
            self.kind, self.spoilt = kind, False
            self.lab = self.make(kind)
        return self.lab

    def make(self, kind):
        lab = Lab(unique_name(STEM), os.environ.get("GUIDEWAY_BUILD", "build"), kind.driver, kind.workers,
                  huge_pages=160 if kind.huge_pages else 0,
                  peer_offloads=CHECKSUM_OFFLOAD_ON if kind.unfinished_checksums else OFFLOADS_OFF)
        lab.create()
        self.lab = lab  # from here on a failure's report has its logs
        lab.appliance.write_config(**({} if kind.huge_pages else {"huge_pages": '"never"'}))
        lab.appliance.start()
        for name in ("pool", "nodes", "web"):
            lab.appliance.cli("apply", "-f", ROOT / f"configs/demo/{name}.yaml")
        lab.appliance.put("/v1/load-balancers/default/stream", STREAM)
        lab.vips = lab.appliance.addresses("web")
        lab.stream_vips = lab.appliance.addresses("stream")
        lab.appliance.wait_in_force()
        return lab

    def close(self):
        if self.lab:
            self.lab.remove()
        self.lab = self.kind = None


labs = Labs()


@pytest.fixture
def lab(request):
    return labs.get(request.param)


@pytest.fixture(params=[4, 6], ids=["v4", "v6"])
def family(request):
    return request.param


def pytest_generate_tests(metafunc):
    already = any("lab" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if "lab" in metafunc.fixturenames and not already:
        metafunc.parametrize("lab", EVERY_WAY, indirect=True, ids=str)


def pytest_configure(config):
    exit_on_signals()
    remove_dead_runs(STEM)


def pytest_collection_modifyitems(items):
    """By kind of lab, otherwise as they stand; what needs none comes first."""
    def kind_of(item):
        kind = getattr(item, "callspec", None) and item.callspec.params.get("lab")
        return str(kind) if isinstance(kind, Kind) else ""
    items.sort(key=kind_of)


def pytest_sessionstart():
    missing = missing_abilities(("ip", "nsenter", "ethtool", "nginx", "curl", "wrk", "iperf3", "ping"))
    if missing:
        pytest.exit("the system tests cannot run here; missing:\n  - " + "\n  - ".join(missing), returncode=2)


def pytest_sessionfinish():
    labs.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed and labs.lab and ("lab" in getattr(item, "fixturenames", ())):
        report.sections.append(("logs of the lab", labs.lab.logs()))
        labs.spoilt = True


def pytest_terminal_summary(terminalreporter):
    """What tests measured and do not judge."""
    figures = [(report.nodeid.rsplit("::", 1)[-1], name, value) for report in terminalreporter.getreports("passed")
               for name, value in report.user_properties]
    if figures:
        terminalreporter.section("figures, reported only")
        for test, name, value in figures:
            terminalreporter.write_line(f"{name}: {value}    ({test})")
