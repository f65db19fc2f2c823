"""The documents are true: every ```sh block of docs/api.md, docs/cli.md and docs/operations.md (where there are these), and every line of a
```console block that begins with "# ", is run in order in one shell, beside a control plane of its own without a dataplane.

Each curl says behind it, as a comment, which HTTP status it answers; any other command must succeed. `systemctl start` and `stop` start and stop
this control plane. What cannot run here (other machines, lines that begin with "$ " in a ```console block) is not run.
"""
import contextlib
import os
import re
import signal
import subprocess

import pytest

from live import BUILD, ROOT, ControlPlane

# 503 instead of 200 where a dataplane would have to answer.
DATAPLANE = ("/v1/explain", "/v1/counters", "/v1/snat-addresses")
DOCUMENTS = [name for name in ("api.md", "cli.md", "operations.md") if (ROOT / "docs" / name).exists()]

PROLOGUE = """
set -uE
trap 'echo "line: $BASH_COMMAND" >>"$RESULTS/failed"' ERR
sudo() { "$@"; }
# The status of each answer, and no failure by itself: the comments say what is expected.
curl() { command curl --write-out '%{stderr}status %{http_code} %{url_effective}\\n' "$@" 2>>"$RESULTS/statuses" || true; }
systemctl() {
  case "$1 $2" in
    "start guideway-controlplane")
      guideway-controlplane --config "$CONFIG" >>"$RESULTS/log" 2>&1 &
      echo $! >"$RESULTS/pid"
      until command curl -sf "$URL/readyz" >/dev/null; do kill -0 "$(cat "$RESULTS/pid")" || return 1; sleep 0.05; done ;;
    "stop guideway-controlplane") local pid; pid=$(cat "$RESULTS/pid"); kill -TERM "$pid"; wait "$pid" && rm "$RESULTS/pid" ;;
    *) return 1 ;;
  esac
}
systemctl start guideway-controlplane
"""
EPILOGUE = "\nsystemctl stop guideway-controlplane\n"


def blocks(text):
    """(line number, commands) of each block that is run."""
    for match in re.finditer(r"^```(sh|console)\n(.*?)^```$", text, re.M | re.S):
        block = match[2]
        if match[1] == "console":
            block = "".join(line[2:] + "\n" for line in block.splitlines() if line.startswith("# "))
        if block:
            yield text.count("\n", 0, match.start()) + 2, block


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
    found = list(blocks((ROOT / "docs" / name).read_text()))
    assert found, "there is nothing to run"
    plane = ControlPlane(tmp_path)
    work, results = tmp_path / "work", tmp_path / "results"
    work.mkdir()
    results.mkdir()
    script = "\n".join(f"echo 'block {line}' >>\"$RESULTS/statuses\"\n{block}" for line, block in found)
    for path in ("/var/lib/guideway", "/run/guideway", "/etc/guideway"):
        script = script.replace(path, str(tmp_path))
    script = PROLOGUE + script.replace("http://127.0.0.1:8870", plane.url) + EPILOGUE
    environment = {**os.environ, "PATH": f"{BUILD}/api/cli:{BUILD}/controlplane:{os.environ['PATH']}", "RESULTS": str(results),
                   "CONFIG": str(plane.config), "URL": plane.url, "GUIDEWAY_SERVER": plane.url, "GUIDEWAY_TOKEN_FILE": str(plane.token_file)}
    try:
        ran = subprocess.run(["bash", "-c", script], cwd=work, env=environment, capture_output=True, text=True, timeout=120)
    finally:
        with contextlib.suppress(OSError, ValueError):  # it was stopped, as it should be
            os.kill(int((results / "pid").read_text()), signal.SIGKILL)
    told = "\n" + ran.stdout[-3000:] + ran.stderr[-3000:]
    assert ran.returncode == 0, told
    assert not (results / "failed").exists(), (results / "failed").read_text() + told
    seen = {}
    for line in (results / "statuses").read_text().splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "block":
            seen[int(rest)] = answers = []
        elif kind == "status":
            status, _, url = rest.partition(" ")
            answers.append(200 if status == "503" and any(path in url for path in DATAPLANE) else int(status))
    for line, block in found:
        assert seen[line] == list(expected(block)), f"{name}:{line}\n{block}"
