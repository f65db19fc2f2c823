"""The documents are true: every ```sh block of docs/api.md, docs/cli.md and docs/operations.md (where there are these) is run in order in one shell,
against a control plane of its own without a dataplane.

Each curl says behind it, as a comment, which HTTP status it answers; any other command must succeed. What cannot run here (systemctl, other
machines) stands in blocks of another kind (```console).
"""
import os
import re
import subprocess

import pytest

from live import BUILD, ROOT, ControlPlane

# 503 instead of 200 where a dataplane would have to answer.
DATAPLANE = ("/v1/explain", "/v1/counters", "/v1/snat-addresses")
DOCUMENTS = [name for name in ("api.md", "cli.md", "operations.md") if (ROOT / "docs" / name).exists()]

PROLOGUE = """
set -uE
trap 'echo "$BASH_COMMAND" >>failed' ERR
sudo() { "$@"; }
# The status of each answer, and no failure by itself: the comments say what is expected.
curl() { command curl --write-out '%{stderr}status %{http_code} %{url_effective}\\n' "$@" 2>>statuses || true; }
"""


def blocks(text):
    """(line number, commands) of each block that is run."""
    for match in re.finditer(r"^```sh\n(.*?)^```$", text, re.M | re.S):
        yield text.count("\n", 0, match.start()) + 2, match[1]


def commands(block):
    """Lines, those that go on joined."""
    joined, quotes = "", 0
    for line in block.splitlines():
        joined += line + "\n"
        quotes += line.count("'")
        if not line.endswith("\\") and quotes % 2 == 0:
            yield joined
            joined, quotes = "", 0


def expected(block):
    """The status behind each command that asks."""
    for command in commands(block):
        if re.match(r"\s*(\w+=\$\()?(gw|curl)\b", command) and not re.match(r"\s*gw\(\)", command):
            found = re.search(r"#\s*(\d{3})\s*$", command)
            assert found, f"which status does this answer? {command}"
            yield int(found[1])


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_commands_of_a_document_do_what_it_says(tmp_path, name):
    text = (ROOT / "docs" / name).read_text()
    found = list(blocks(text))
    assert found, "there is nothing to run"
    (tmp_path / "work").mkdir()
    with ControlPlane(tmp_path) as running:
        script = PROLOGUE + "\n".join(f"echo 'block {line}' >>statuses\n{block}" for line, block in found)
        for path in ("/var/lib/guideway", "/run/guideway", "/etc/guideway"):
            script = script.replace(path, str(tmp_path))
        script = script.replace("http://127.0.0.1:8870", running.url)
        environment = {**os.environ, "PATH": f"{BUILD}/api/cli:{BUILD}/controlplane:{os.environ['PATH']}",
                       "GUIDEWAY_SERVER": running.url, "GUIDEWAY_TOKEN_FILE": str(running.token_file)}
        ran = subprocess.run(["bash", "-c", script], cwd=tmp_path / "work", env=environment, capture_output=True, text=True, timeout=120)
        told = ran.stdout[-4000:] + ran.stderr[-4000:]
        assert ran.returncode == 0, told
        failed = tmp_path / "work" / "failed"
        assert not failed.exists(), failed.read_text() + told
    seen = {}
    for line in (tmp_path / "work" / "statuses").read_text().splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "block":
            seen[int(rest)] = answers = []
        elif kind == "status":
            status, _, url = rest.partition(" ")
            answers.append(200 if status == "503" and any(path in url for path in DATAPLANE) else int(status))
    for line, block in found:
        assert seen[line] == list(expected(block)), f"{name}:{line}\n{block}\n{told}"
