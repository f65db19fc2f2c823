"""./demo proves what it tells, and leaves the machine as it was, however it ends."""
import os
import pathlib
import signal
import subprocess

import pytest

from lab import eventually, remove_leftovers
from lab.appliance import ROOT
from lab.host import HUGE_PAGES
from lab.topology import namespaces_with

NAME = f"gwt{os.getpid()}-demo"
FOLDER = pathlib.Path("/run/guideway-lab") / NAME


class RunningDemo:
    def __init__(self, output, *arguments):
        self.output = output
        with open(output, "wb") as file:
            self.popen = subprocess.Popen(
                ["/usr/bin/python3", ROOT / "tests/system/demo.py", "--name", NAME, "--build",
                 ROOT / os.environ.get("GUIDEWAY_BUILD", "build"), *arguments], stdout=file, stderr=file, start_new_session=True)

    def said(self, text):
        return text in self.text

    @property
    def text(self):
        return self.output.read_text(errors="replace")


@pytest.fixture
def demo(tmp_path):
    started = []

    def start(*arguments):
        started.append(RunningDemo(tmp_path / f"demo-{len(started)}.log", *arguments))
        return started[-1]
    huge_pages = HUGE_PAGES.read_text()
    yield start
    for one in started:
        if one.popen.poll() is None:
            one.popen.kill()
            one.popen.wait()
    left = namespaces_with(NAME)
    remove_leftovers(NAME)
    assert not left, f"left behind: {[one.name for one in left]}"
    assert HUGE_PAGES.read_text() == huge_pages, "huge pages are put back"


def test_the_whole_demo_is_right_and_takes_less_than_two_minutes(demo):
    one = demo()
    assert one.popen.wait(120) == 0, one.text
    assert "All" in one.text and "results are right" in one.text
    assert "\x1b[" not in one.text, "colours are for terminals"
    assert not FOLDER.exists()


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_demo_removes_everything(demo, number, status):
    one = demo()
    eventually(lambda: one.said("300 requests") or one.popen.poll() is not None, 60, "the demo is under way")
    one.popen.send_signal(number)
    assert one.popen.wait(30) == status, one.text
    assert not FOLDER.exists()


def test_killed_demo_s_leftovers_are_removed_by_the_next(demo):
    one = demo()
    eventually(lambda: one.said("300 requests") or one.popen.poll() is not None, 60, "the demo is under way")
    one.popen.kill()
    one.popen.wait()
    assert namespaces_with(NAME)
    done = subprocess.run(["/usr/bin/python3", ROOT / "tests/system/demo.py", "--name", NAME, "--clean"], capture_output=True,
                          text=True, timeout=30)
    assert done.returncode == 0 and done.stdout == "removed\n"
    assert not namespaces_with(NAME) and not FOLDER.exists()


def test_failing_demo_removes_everything_and_exits_non_zero(demo, tmp_path):
    one = demo("--build", tmp_path)  # where nothing is built
    assert one.popen.wait(60) == 1, one.text
    assert "build it first" in one.text
    assert not FOLDER.exists()
