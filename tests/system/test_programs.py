"""The programs as an operator meets them first: the sample configuration, mistakes in it, help, machines that lack something."""
import os
import pathlib
import subprocess

import pytest

from lab.appliance import CONFIG, ROOT

BUILD = ROOT / os.environ.get("GUIDEWAY_BUILD", "build")
DAEMONS = {"guideway-dataplane": "dataplane", "guideway-controlplane": "controlplane"}


def run(program, *arguments, **options):
    folder = {**DAEMONS, "guideway": "api/cli"}[program]
    return subprocess.run([BUILD / folder / program, *map(str, arguments)], capture_output=True, text=True, timeout=30, **options)


@pytest.mark.parametrize("program", DAEMONS)
def test_sample_configuration_is_right(program):
    done = run(program, "--config", CONFIG, "--check-config")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("program, old, new, named", [
    ("guideway-dataplane", "workers = 1;", "workers = 0;", "workers"),
    ("guideway-dataplane", "workers = 1;", "wrokers = 1;", "wrokers"),
    ("guideway-dataplane", '"192.0.2.1/24"', '"192.0.2.256/24"', "addresses"),
    ("guideway-controlplane", 'listen = "127.0.0.1:8870";', 'listen = "127.0.0.1:99999";', "listen"),
    ("guideway-controlplane", "store =", "stroe =", "stroe"),
])
def test_mistake_in_the_configuration_is_told_with_file_line_and_field(tmp_path, program, old, new, named):
    text = CONFIG.read_text()
    assert old in text
    wrong = tmp_path / "wrong.cfg"
    wrong.write_text(text.replace(old, new))
    line = next(number for number, one in enumerate(wrong.read_text().splitlines(), 1) if new in one)
    done = run(program, "--config", wrong, "--check-config")
    told = done.stdout + done.stderr
    assert done.returncode != 0
    assert f"wrong.cfg:{line}" in told and named in told, told


@pytest.mark.parametrize("program", [*DAEMONS, "guideway"])
def test_help_and_version(program):
    assert "usage" in run(program, "--help").stdout.lower()
    assert run(program, "--version").stdout.strip()


@pytest.mark.parametrize("program", DAEMONS)
def test_missing_configuration_is_named(program, tmp_path):
    done = run(program, "--config", tmp_path / "none.cfg")
    assert done.returncode != 0 and "none.cfg" in done.stdout + done.stderr


def test_demo_tells_what_a_user_without_rights_lacks():
    done = subprocess.run(["/usr/bin/python3", ROOT / "tests/system/demo.py", "--preflight"], capture_output=True, text=True,
                          preexec_fn=drop_capabilities, timeout=30)
    assert done.returncode == 2 and "CAP_NET_ADMIN" in done.stderr, done.stderr


def drop_capabilities():
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


def test_demo_has_help():
    done = subprocess.run([ROOT / "demo", "--help"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and "--keep" in done.stdout
    assert pathlib.Path(ROOT / "demo").stat().st_mode & 0o111
