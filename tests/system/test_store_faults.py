"""The control plane on a disk that is full, read-only, or fails: changes are refused with the reason, all else goes on, and when the
fault is over it works again without a restart. What was answered is never lost (ipam-rules 20)."""
import os
import re
import subprocess

import pytest

import control
from lab.wait import eventually

POOL = {"spec": {"addresses": ["203.0.113.0/24"]}}
SPARE = {"spec": {"addresses": ["192.0.2.0/28"], "autoAssign": False}}


def balancer(port=30080):
    return {"spec": {"ports": [{"protocol": "TCP", "port": 80, "nodePort": port}]}}


@pytest.fixture
def plane():
    folder = control.memory_folder()
    try:
        with control.ControlPlane(folder) as one:
            one.put("/v1/address-pools/pool", POOL)
            one.put("/v1/address-pools/spare", SPARE)
            for number in range(5):
                one.put(f"/v1/load-balancers/default/kept-{number}", balancer())
            yield one
    finally:
        control.remove(folder)


@pytest.fixture
def another():
    """Makes control planes that end with the test."""
    made = []

    def make(*arguments, **options):
        made.append(control.ControlPlane(*arguments, **options))
        return made[-1]
    yield make
    for one in made:
        one.kill()


def expect_refusal(answer, status, reason, says):
    assert answer.status == status, answer
    problem = answer.json
    assert problem["reason"] == reason, answer
    assert says in problem["detail"] and "guideway.db" in problem["detail"], answer


def expect_changes_refused(plane, status, reason, says):
    """Each kind of change; and after each the objects are as before."""
    before = plane.addresses()
    for method, path, body in (("PUT", "/v1/load-balancers/default/new", balancer()),
                               ("PUT", "/v1/load-balancers/default/kept-0", balancer(30081)),
                               ("DELETE", "/v1/load-balancers/default/kept-1", None),
                               ("PUT", "/v1/nodes/new", {"spec": {"addresses": ["10.0.2.11"]}}),
                               ("PUT", "/v1/address-pools/other", {"spec": {"addresses": ["198.51.100.0/24"]}}),
                               ("DELETE", "/v1/address-pools/spare", None)):
        expect_refusal(plane.ask(method, path, body), status, reason, says)
        assert plane.addresses() == before
    assert plane.ask("PUT", "/v1/load-balancers/default/kept-2", balancer()).status == 200, "what changes nothing writes nothing"
    assert plane.ask("GET", "/v1/load-balancers/default/new").status == 404
    assert plane.get("/v1/load-balancers/default/kept-0")["spec"]["ports"][0]["nodePort"] == 30080
    assert plane.ask("GET", "/healthz").status == 200
    ready = plane.ask("GET", "/readyz")
    assert ready.status == 503 and says in ready.body, ready


def expect_recovery(plane, before):
    """Without a restart; then a crash shows what is on the disk."""
    eventually(lambda: plane.ask("GET", "/readyz").status == 200, 20, "ready again")
    assert plane.addresses() == before
    made = plane.put("/v1/load-balancers/default/new", balancer())
    assert plane.ask("DELETE", "/v1/load-balancers/default/kept-1").status == 204
    expected = {**before, "default/new": [one["ip"] for one in made["status"]["ingress"]]}
    del expected["default/kept-1"]
    assert plane.addresses() == expected
    plane.kill()
    plane.start()
    assert plane.addresses() == expected


@pytest.mark.parametrize("fault, status, reason, says", [
    ("write ENOSPC", 507, "StoreFull", "make room"),
    ("write EDQUOT", 507, "StoreFull", "make room"),
    ("write EROFS", 503, "StoreUnavailable", "writable"),
    ("write EIO", 503, "StoreUnavailable", "look at the disk"),
    ("sync EIO", 503, "StoreUnavailable", "failed"),
    ("sync EIO\nreach 1", 503, "StoreUnavailable", "failed"),
])
def test_changes_are_refused_reads_go_on_and_it_recovers_by_itself(plane, fault, status, reason, says):
    before = plane.addresses()
    plane.fail(fault)
    expect_changes_refused(plane, status, reason, says)
    plane.heal()
    expect_recovery(plane, before)


def test_a_power_cut_while_syncs_fail_loses_nothing_that_was_answered(plane):
    before = plane.addresses()
    plane.fail("sync EIO")
    assert plane.ask("PUT", "/v1/load-balancers/default/new", balancer()).status == 503
    for seed in range(4):
        plane.fail(f"sync EIO\nkill 2\ncut {seed}")
        with pytest.raises(Exception):
            for number in range(10):
                plane.ask("PUT", f"/v1/load-balancers/default/other-{number}", balancer())
        eventually(lambda: not plane.running, 20, "it died")
        plane.heal()
        plane.start()
        after = plane.addresses()
        assert {name: held for name, held in after.items() if name.startswith("default/kept")} == before
        assert len({held[0] for held in after.values()}) == len(after), "one address, two holders"


@pytest.fixture
def small_disk(tmp_path):
    """A tmpfs in a mount namespace of its own, held by a process that ends with the test: (its place, how to get there)."""
    place = tmp_path / "disk"
    place.mkdir()
    # In a changed root, which need not be a mount, nothing can be said of its propagation; whoever made it has.
    holder = subprocess.Popen(["unshare", "--mount", "--propagation", "unchanged", "sh", "-c",
                               "mount --make-rprivate / 2>/dev/null; "
                               f"mount -t tmpfs -o size=1m none {place} && echo ready && exec cat"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "ready\n"
    yield place, ["nsenter", "--mount", f"--target={holder.pid}"]
    holder.stdin.close()
    holder.wait(20)


def test_a_disk_that_is_full_indeed(small_disk, tmp_path):
    place, inside = small_disk
    with control.ControlPlane(tmp_path, store=place / "guideway.db", inside=inside, preload=False) as plane:
        plane.put("/v1/address-pools/pool", POOL)
        plane.put("/v1/address-pools/spare", SPARE)
        for number in range(5):
            plane.put(f"/v1/load-balancers/default/kept-{number}", balancer())
        # All the room that is left is taken by something else, to the last byte.
        subprocess.run([*inside, "sh", "-c", f"cat /dev/zero > {place}/ballast 2>/dev/null"], check=False)
        refused = None
        for number in range(3000):  # the log's last blocks still take a few
            answer = plane.ask("PUT", f"/v1/load-balancers/default/more-{number}", balancer())
            if answer.status == 507:
                refused = answer
                break
            assert answer.status == 201, answer
        assert refused is not None, "it is never full"
        expect_refusal(refused, 507, "StoreFull", "make room")
        answered = plane.addresses()
        expect_changes_refused(plane, 507, "StoreFull", "make room")
        plane.kill()
        plane.start()
        assert plane.addresses() == answered, "it also starts on a full disk"
        subprocess.run([*inside, "rm", place / "ballast"], check=True)
        expect_recovery(plane, answered)


def test_a_file_system_that_is_read_only_at_the_start_is_named(small_disk, another, tmp_path):
    place, inside = small_disk
    plane = another(tmp_path, store=place / "guideway.db", inside=inside, preload=False)
    plane.start()
    plane.put("/v1/address-pools/pool", POOL)
    plane.stop()
    subprocess.run([*inside, "mount", "-o", "remount,ro", place], check=True)
    assert not plane.launch()
    assert plane.process.returncode == 1
    assert "Read-only file system" in plane.log.read_text() and "writable" in plane.log.read_text()
    subprocess.run([*inside, "mount", "-o", "remount,rw", place], check=True)
    plane.start()
    assert plane.get("/v1/address-pools/pool")["spec"]["addresses"] == POOL["spec"]["addresses"]


def test_a_torn_last_page_of_the_log_costs_at_most_the_last_change(plane):
    """A disk that lied about its last sync. (Torn writes of an honest disk are among the crashes of test_store_crash.)"""
    before = plane.addresses()
    plane.put("/v1/load-balancers/default/last", balancer())
    plane.kill()
    log = plane.store.with_name(plane.store.name + "-wal")
    with open(log, "r+b") as file:
        file.truncate(log.stat().st_size - 2000)
    plane.start()
    assert plane.addresses() == before
    expect_recovery(plane, before)


def test_a_torn_page_of_the_file_is_noticed_and_a_backup_restores_it(plane, tmp_path):
    before = plane.addresses()
    plane.stop()
    backup = tmp_path / "backup"
    done = plane.command("--backup", backup)
    assert done.returncode == 0, done.stderr
    whole = plane.store.read_bytes()
    # The page of the load balancers: its second half did not get there.
    page = whole.index(b'"kept-0"') // 4096 * 4096
    plane.store.write_bytes(whole[:page + 2048] + bytes(2048) + whole[page + 4096:])
    assert not plane.launch()
    assert plane.process.returncode == 1
    assert "damaged" in plane.log.read_text() and "restore a backup" in plane.log.read_text()
    done = plane.command("--restore", backup)
    assert done.returncode == 0, done.stderr
    plane.start()
    assert plane.addresses() == before
    expect_recovery(plane, before)


def test_two_control_planes_on_one_store_are_not_possible(plane, another, tmp_path):
    second = another(tmp_path, store=plane.store, token_file=plane.token_file)
    assert not second.launch()
    assert second.process.returncode == 1
    assert f"in use by another guideway-controlplane (process {plane.process.pid})" in second.log.read_text()
    for command in (("--backup", "-"), ("--restore", "/dev/null")):
        done = plane.command(*command)
        assert done.returncode == 1 and done.stdout == "", done
    plane.put("/v1/load-balancers/default/more", balancer())
    plane.kill()
    second.start()
    assert "default/more" in second.addresses()


def test_a_restore_goes_back_to_what_the_backup_has_and_counts_on(plane, tmp_path):
    before = plane.addresses()
    plane.stop()
    backup = tmp_path / "backup"
    assert plane.command("--backup", backup).returncode == 0
    assert backup.stat().st_mode & 0o777 == 0o600
    plane.start()
    changed = plane.put("/v1/load-balancers/default/later", balancer())
    assert plane.ask("DELETE", "/v1/load-balancers/default/kept-0").status == 204
    running = plane.command("--restore", backup)
    assert running.returncode == 1 and "guideway restore" in running.stderr, running
    plane.stop()
    damaged = tmp_path / "damaged"
    damaged.write_bytes(backup.read_bytes().replace(b"kept-0", b"kept-9", 1))
    refused = plane.command("--restore", damaged)
    assert refused.returncode == 1 and "line " in refused.stderr and "not touched" in refused.stderr, refused
    done = plane.command("--restore", backup)
    assert done.returncode == 0 and "before-restore" in done.stderr, done
    plane.start()
    assert plane.addresses() == before
    again = plane.put("/v1/load-balancers/default/later", balancer())
    version = int(again["metadata"]["resourceVersion"])
    assert version > int(changed["metadata"]["resourceVersion"]), "no version is given twice"


@pytest.mark.parametrize("how", ["", "tear", "cut 1"])
def test_a_restore_that_is_killed_leaves_the_old_store_or_the_new_one(plane, tmp_path, how):
    old = plane.addresses()
    plane.stop()
    backup = tmp_path / "backup"
    assert plane.command("--backup", backup).returncode == 0
    plane.start()
    assert plane.ask("DELETE", "/v1/load-balancers/default/kept-0").status == 204
    new = plane.addresses()
    plane.stop()
    original = plane.store.read_bytes()
    seen = set()
    for touch in range(1, 500):
        for file in plane.folder.glob(plane.store.name + "*"):
            file.unlink()
        plane.store.write_bytes(original)
        plane.fail(f"kill {touch}\n{how}")
        done = plane.command("--restore", backup)
        plane.heal()
        plane.start()
        found = plane.addresses()
        plane.kill()
        assert found in (old, new), touch
        seen.add("old" if found == new else "restored")
        if done.returncode == 0:
            assert found == old
            break
    assert seen == {"old", "restored"}


def test_the_commands_of_operations_md_do_what_it_says(plane, tmp_path):
    """Each `# command` of the section "Backup and restore", in order, as root would type them."""
    text = (control.ROOT / "docs" / "operations.md").read_text()
    section = text.split("\n## Backup and restore\n")[1].split("\n## ")[0]
    commands = [line[2:] for block in re.findall(r"^```console\n(.*?)^```$", section, re.M | re.S) for line in block.splitlines()
                if line.startswith("# ")]
    assert len(commands) > 8, "the section has no commands any more"
    before = plane.addresses()
    states = []
    for command in commands:
        if command == "systemctl stop guideway-controlplane":
            plane.stop()
        elif command == "systemctl start guideway-controlplane":
            plane.start()
            states.append(plane.addresses())
            plane.put("/v1/load-balancers/default/later", balancer())
        else:
            command = command.replace("/etc/guideway/guideway.cfg", str(plane.config)).replace("/var/lib/guideway", str(plane.folder))
            done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60,
                                  env={**os.environ, "PATH": f"{control.PROGRAM.parent}:{os.environ['PATH']}"})
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            if "sha256sum" in command:
                assert done.stdout == "whole\n"
    with_later = {**before, "default/later": states[-1]["default/later"]}
    assert states == [before, before, with_later], "backed up; restored; the restore undone"
