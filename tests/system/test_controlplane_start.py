"""guideway-controlplane's command line and exit status, as its --help says them."""
import os
import subprocess

import pytest

from lab.appliance import ROOT

PROGRAM = ROOT / os.environ.get("GUIDEWAY_BUILD", "build") / "controlplane" / "guideway-controlplane"


@pytest.mark.parametrize("arguments, told", [
    (["--confg", "x"], "--confg"),
    (["--config"], "--config"),
    (["--config", "/nonexistent/guideway.cfg"], "cannot be opened"),
])
def test_wrong_usage_and_a_refused_configuration_end_with_2(arguments, told):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2, done.stdout + done.stderr
    assert told in done.stderr


@pytest.mark.parametrize("store, told", [
    ("missing/guideway.db", "create its folder first"),
    (".", "Is a directory"),
])
def test_a_store_that_cannot_be_opened_ends_with_1_and_says_what_to_do(tmp_path, store, told):
    config = tmp_path / "guideway.cfg"
    config.write_text(f'controlplane: {{ listen = "127.0.0.1:8870"; store = "{tmp_path / store}"; '
                      f'dataplane_socket = "{tmp_path}/dataplane.sock"; }};\n')
    done = subprocess.run([PROGRAM, "--config", config], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1, done.stdout + done.stderr
    assert told in done.stderr
