"""The operator's command against a control plane without a dataplane: who may what, changes as they happen, files, restarts."""
import json
import os
import stat
import subprocess
import threading
import time

import pytest

from live import BUILD, ControlPlane

GUIDEWAY = BUILD / "api" / "cli" / "guideway"
POOL = "kind: AddressPool\nmetadata: {name: public}\nspec: {addresses: [203.0.113.0/29]}\n"
NODE = "kind: Node\nmetadata: {name: node-1}\nspec: {addresses: [10.0.2.11]}\n"
PATIENCE = 20


def web(name="web", **metadata):
    return json.dumps({"kind": "LoadBalancer", "metadata": {"namespace": "shop", "name": name, **metadata},
                       "spec": {"ports": [{"port": 80, "nodePort": 30080}]}})


class Operator:
    def __init__(self, running, folder):
        self.running, self.folder = running, folder
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GUIDEWAY_SERVER": running.url,
                            "GUIDEWAY_TOKEN_FILE": str(running.token_file)}

    def run(self, *arguments, stdin="", code=0, **environment):
        done = subprocess.run([GUIDEWAY, *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=60,
                              cwd=self.folder, env={**self.environment, **environment})
        assert done.returncode == code, f"{arguments}: exit {done.returncode}, wanted {code}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def apply(self, *documents, **options):
        return self.run("apply", "-f", "-", stdin="\n---\n".join(documents), **options)


class Following:
    """`guideway ... -w` in the background, its lines as they come."""

    def __init__(self, operator, *arguments):
        self.process = subprocess.Popen([GUIDEWAY, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env=operator.environment)
        self.lines, self.changed = [], threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line)
                self.changed.notify_all()

    def wait_for(self, accepts):
        with self.changed:
            assert self.changed.wait_for(lambda: accepts(self.lines), PATIENCE), self.lines

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def running(tmp_path):
    folder = tmp_path / "appliance"
    folder.mkdir()
    with ControlPlane(folder) as running:
        yield running


@pytest.fixture
def operator(running, tmp_path):
    return Operator(running, tmp_path)


def test_a_dry_run_tells_the_address_that_apply_then_gives(operator):
    operator.apply(POOL, NODE, web("first"))
    said = operator.run("apply", "-f", "-", "--dry-run", stdin=web())
    preview = json.loads(operator.run("explain", "allocation", "-f", "-", "-o", "json", stdin=web()))
    assert "web" not in operator.run("get", "lb", "-o", "name"), "a dry run made it"
    operator.apply(web())
    given = json.loads(operator.run("get", "lb", "shop/web", "-o", "json"))["status"]["ingress"]
    assert preview["ingress"] == given
    assert given[0]["ip"] in said and "public" in said


def test_a_wish_that_would_stay_unmet_says_why_and_fails(operator):
    operator.apply(POOL)
    wish = json.loads(web())
    wish["spec"]["addressPool"] = "other"
    told = operator.run("explain", "allocation", "-f", "-", stdin=json.dumps(wish), code=1)
    assert "UnknownPool" in told and "other" in told


def test_clusters_are_kept_apart_and_shown_where_there_are_several(operator):
    operator.apply(POOL, web())
    assert "CLUSTER" not in operator.run("get", "lb")
    operator.apply(web(), code=0)
    operator.run("apply", "-f", "-", "--cluster", "prod", stdin=web())
    table = operator.run("get", "lb")
    assert "CLUSTER" in table and "prod" in table and "default" in table
    assert operator.run("get", "lb", "--cluster", "prod", "-o", "name") == "load-balancer/prod/shop/web\n"
    operator.run("delete", "load-balancer/prod/shop/web")
    assert operator.run("get", "lb", "-o", "name") == "load-balancer/shop/web\n"


def test_labels_select(operator):
    operator.apply(POOL, web("a", labels={"team": "shop"}), web("b", labels={"team": "edge"}), web("c"))
    assert operator.run("get", "lb", "-l", "team in (shop,edge),team!=edge", "-o", "name") == "load-balancer/shop/a\n"
    assert operator.run("get", "lb", "-l", "!team", "-o", "name") == "load-balancer/shop/c\n"
    assert "labelSelector" in operator.run("get", "lb", "-l", "team in", code=1)


def test_a_watch_shows_changes_and_survives_a_restart_of_the_control_plane(operator, running):
    operator.apply(POOL, web("a"))
    with Following(operator, "get", "lb", "-w", "-o", "name") as following:
        following.wait_for(lambda lines: len(lines) >= 1)
        operator.apply(web("b"))
        following.wait_for(lambda lines: "load-balancer/shop/b\n" in lines)
        running.kill()
        running.start()
        operator.apply(web("c"))
        following.wait_for(lambda lines: "load-balancer/shop/c\n" in lines)
        assert following.process.poll() is None


def test_events_come_as_things_happen(operator):
    operator.apply(POOL)
    with Following(operator, "events", "-w", "-o", "json") as following:
        operator.apply(web())
        following.wait_for(lambda lines: any("IPAllocated" in line for line in lines))
    assert "IPAllocated" in operator.run("events", "--for", "lb/shop/web")
    assert "IPAllocated" in operator.run("describe", "lb", "shop/web")


def test_a_reader_that_goes_away_ends_a_watch(operator):
    operator.apply(POOL)
    ours, theirs = os.pipe()
    following = subprocess.Popen([GUIDEWAY, "get", "lb", "-w"], stdout=theirs, stderr=subprocess.PIPE, env=operator.environment)
    os.close(theirs)
    assert os.read(ours, 1000).startswith(b"NAMESPACE")
    os.close(ours)
    end = time.monotonic() + PATIENCE
    number = 0
    while following.poll() is None:
        if time.monotonic() > end:
            following.kill()
            pytest.fail("it goes on for nobody")
        number += 1
        operator.apply(web(f"x{number % 4}"))
        operator.run("delete", "lb", f"shop/x{number % 4}")
    assert following.returncode == 0, following.stderr.read()


def test_tokens_from_their_making_to_their_end(operator, tmp_path):
    operator.apply(POOL, web())
    secret = tmp_path / "ci.token"
    told = operator.run("token", "create", "ci", "--role", "viewer", "--expires", "1h", "--out", secret)
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert secret.read_text().strip() not in told
    assert "shop" in operator.run("--token-file", secret, "get", "lb")
    denied = operator.run("--token-file", secret, "delete", "lb", "shop/web", code=1)
    assert str(secret) in denied and "viewer" in denied
    first = secret.read_text()
    operator.run("token", "rotate", "ci", "--out", secret, "--force")
    assert secret.read_text() != first
    for text in (first, secret.read_text()):
        operator.run("get", "lb", GUIDEWAY_TOKEN=text.strip())
    listed = operator.run("token", "list")
    assert "in 59m" in listed or "in 60m" in listed or "in 1h" in listed, listed
    assert first.strip().split("_")[-1] not in operator.run("get", "tokens", "-o", "json")
    operator.run("token", "delete", "ci")
    assert "--token-file" in operator.run("--token-file", secret, "get", "lb", code=1)


def test_the_secret_on_the_screen_works_as_it_says(operator, running):
    told = operator.run("token", "create", "ci", "--role", "admin")
    secret = next(line.strip() for line in told.splitlines() if line.strip().startswith("gw_"))
    (operator.folder / "ci.token").write_text(secret + "\n")
    (operator.folder / "ci.token").chmod(0o600)
    ask = next(line.strip() for line in told.splitlines() if line.strip().startswith("curl"))
    done = subprocess.run(["sh", "-c", ask + " -sS -o /dev/null -w '%{http_code}'"], capture_output=True, text=True, cwd=operator.folder)
    assert done.stdout == "200", ask + done.stdout + done.stderr


def test_a_backup_brings_back_what_was_there_and_nothing_else(operator, tmp_path):
    operator.apply(POOL, NODE, web())
    before = json.loads(operator.run("get", "lb", "shop/web", "-o", "json"))
    file = tmp_path / "gw.backup"
    operator.run("backup", file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    operator.run("delete", "lb", "shop/web")
    operator.apply(web("other"))
    assert "nothing was changed" in operator.run("restore", file, stdin="no\n", code=1)
    assert "1 load balancer" in operator.run("restore", file, stdin="yes\n")
    after = json.loads(operator.run("get", "lb", "shop/web", "-o", "json"))
    assert after["spec"] == before["spec"] and after["status"]["ingress"] == before["status"]["ingress"]
    assert operator.run("get", "lb", "-o", "name") == "load-balancer/shop/web\n"
    # Standard input and output are the same bytes.
    again = subprocess.run([GUIDEWAY, "backup", "-"], capture_output=True, env=operator.environment, check=True).stdout
    assert again.count(b"\n") == file.read_bytes().count(b"\n")
    operator.run("restore", "-", "--yes", stdin=again.decode())


def test_a_file_that_is_no_backup_changes_nothing(operator, tmp_path):
    operator.apply(POOL, web())
    (tmp_path / "junk").write_text("junk\n")
    assert "not restored" in operator.run("restore", tmp_path / "junk", "--yes", code=1)
    assert operator.run("get", "lb", "-o", "name") == "load-balancer/shop/web\n"


def test_a_change_by_somebody_else_is_not_edited_away(operator, tmp_path):
    operator.apply(NODE)
    editor = tmp_path / "editor"
    editor.write_text(f"#!/bin/sh\n{GUIDEWAY} drain node-1 >/dev/null\nsed -i 's/weight: 1/weight: 5/' \"$1\"\n")
    editor.chmod(0o755)
    told = operator.run("edit", "node", "node-1", code=1, EDITOR=str(editor))
    assert "your text is in" in told
    node = json.loads(operator.run("get", "node", "node-1", "-o", "json"))
    assert node["spec"]["drain"] is True and node["spec"]["weight"] == 1


def test_retries_bridge_a_restart(operator, running):
    operator.apply(POOL)
    running.stop()
    waiting = subprocess.Popen([GUIDEWAY, "--retry-for", "30", "apply", "-f", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, env=operator.environment)
    waiting.stdin.write(web())
    waiting.stdin.close()
    operator.run("get", "lb", code=4)
    running.start()
    assert waiting.wait(60) == 0, waiting.stdout.read()
    assert "created" in waiting.stdout.read()


def test_completion_asks_the_server_of_the_line(operator, running):
    operator.apply(NODE)
    line = f"guideway --server {running.url} --token-file {running.token_file} describe node no"
    script = (f"PATH={GUIDEWAY.parent}:$PATH; unset GUIDEWAY_SERVER GUIDEWAY_TOKEN_FILE\nsource <(guideway completion bash)\n"
              f"COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n"
              "_guideway; echo \"${COMPREPLY[@]}\"")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=operator.environment)
    assert done.stdout == "node-1\n", done.stdout + done.stderr


METALLB = """apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: public, namespace: metallb-system}
spec: {addresses: [203.0.113.0/30, "2001:db8:9::/64"], autoAssign: false}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: all, namespace: metallb-system}
"""
PEER = """---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: tor, namespace: metallb-system}
spec: {myASN: 64500, peerASN: 64501, peerAddress: 10.0.0.1}
"""


def test_pools_of_metallb_become_ours_and_a_service_gets_the_address_it_had(operator, tmp_path):
    (tmp_path / "metallb.yaml").write_text(METALLB)
    told = operator.run("import", "metallb", "metallb.yaml", "--strict", "--out", "pools.yaml")
    assert "IPAddressPool metallb-system/public: carried over, as AddressPool public" in told
    assert "is there already" in operator.run("import", "metallb", "metallb.yaml", "--out", "pools.yaml", code=1)
    assert "address-pool public created" in operator.run("apply", "-f", "pools.yaml")
    assert "address-pool public unchanged" in operator.run("import", "metallb", "metallb.yaml", "--apply")
    # As the cloud controller claims what a Service's status names (rule 21), also of a pool that gives nothing unasked.
    wish = json.loads(web())
    wish["spec"]["addresses"] = ["203.0.113.2"]
    operator.apply(json.dumps(wish))
    given = json.loads(operator.run("get", "lb", "shop/web", "-o", "json"))["status"]["ingress"]
    assert [one["ip"] for one in given] == ["203.0.113.2"]


def test_with_strict_nothing_is_written_where_something_is_lost(operator):
    told = operator.run("import", "metallb", "-", "--apply", "--strict", stdin=METALLB + PEER, code=5)
    assert "BGPPeer metallb-system/tor: cannot be carried over (standard input: document 3)" in told
    assert operator.run("get", "pools", "-o", "name") == ""
    operator.run("import", "metallb", "-", "--apply", stdin=METALLB + PEER)
    assert operator.run("get", "pools", "-o", "name") == "address-pool/public\n"


def test_the_report_is_apart_from_the_pools(operator):
    done = subprocess.run([GUIDEWAY, "import", "metallb", "-"], input=METALLB, capture_output=True, text=True, env=operator.environment)
    assert done.returncode == 0
    assert done.stdout.startswith("kind: AddressPool\n") and "carried over" not in done.stdout
    assert "2 objects: 2 carried over" in done.stderr


def test_import_says_what_it_cannot_read(operator):
    told = operator.run("import", "metallb", "-", stdin=METALLB.replace("false", "never"), code=1)
    assert "standard input: document 1 (IPAddressPool metallb-system/public): /spec/autoAssign: found \"never\"" in told
    assert "nothing was written" in told
    assert "cannot read missing.yaml" in operator.run("import", "metallb", "missing.yaml", code=1)
    operator.run("import", "metallb", code=2)
    operator.run("import", "metallb", "-", "--from-cluster", code=2)
    operator.run("import", "metallb", "-", "--dry-run", stdin=METALLB, code=2)


def kubectl(folder, body):
    """A program of that name which notes its arguments; tests/system/kubernetes/test_import.py asks a real one."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "kubectl").write_text(f"#!/bin/sh\nfor a; do echo \"$a\"; done >>{folder}/arguments\n{body}\n")
    (programs / "kubectl").chmod(0o755)
    return f"{programs}:{os.environ['PATH']}"


def test_the_cluster_is_asked_by_kubectl_without_a_shell(operator, tmp_path):
    (tmp_path / "metallb.yaml").write_text(METALLB)
    path = kubectl(tmp_path, f"""case "$*" in
      *api-resources*) printf 'ipaddresspools.metallb.io\\nl2advertisements.metallb.io\\nservicel2statuses.metallb.io\\n' ;;
      *get*) cat {tmp_path}/metallb.yaml ;; esac""")
    told = operator.run("import", "metallb", "--kubeconfig", "a b;c", "--context", "$(d)", PATH=path)
    assert "name: public" in told
    asked = (tmp_path / "arguments").read_text().splitlines()
    assert asked[:4] == ["--kubeconfig", "a b;c", "--context", "$(d)"]
    assert "ipaddresspools.metallb.io,l2advertisements.metallb.io" in asked, "and not MetalLB's own records"


def test_kubectl_s_errors_are_shown(operator, tmp_path):
    told = operator.run("import", "metallb", "--from-cluster", code=1, PATH=kubectl(tmp_path, "echo connection refused >&2; exit 1"))
    assert "connection refused" in told and "kubectl --request-timeout=60s api-resources" in told
    assert "No such file or directory" in operator.run("import", "metallb", "--from-cluster", code=1, PATH=str(tmp_path))
