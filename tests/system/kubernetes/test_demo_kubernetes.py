"""./demo --kubernetes proves what it tells, beside a cluster of its own, and leaves nothing behind."""
import os
import signal
import subprocess

from lab import remove_leftovers
from lab.appliance import ROOT
from lab.topology import namespaces_with

NAME = f"gwt{os.getpid()}-kd"


def test_item_9_the_whole_demo_is_right(tmp_path):
    output = tmp_path / "demo.log"
    with open(output, "wb") as file:
        demo = subprocess.Popen(["/usr/bin/python3", ROOT / "tests/system/demo_kubernetes.py", "--name", NAME, "--build",
                                 ROOT / os.environ.get("GUIDEWAY_BUILD", "build")], stdout=file, stderr=file, start_new_session=True)
    try:
        status = demo.wait(300)
    finally:
        if demo.poll() is None:
            demo.send_signal(signal.SIGINT)
            demo.wait(60)
        left = namespaces_with(NAME)
        remove_leftovers(NAME)
    told = output.read_text(errors="replace")
    assert status == 0, told
    assert "results are right" in told
    assert not left, f"left behind: {[one.name for one in left]}"
