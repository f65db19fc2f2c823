"""The control plane killed at random instants under load, and started again: what it answered stays true (ipam-rules 20, 22, 23).

Several clients create, change and delete load balancers; the pool has fewer addresses than there are names, so freed ones are wanted at
once. Each client knows what its names must be: the answer of its last request, or one of two where the process died under it.
Half of the kills come from outside at a random time; half at an exact touch of the store, of these some as a power cut, where what was
written and not synced is on the disk or not, block by block (tests/faults/faults.cc).

GUIDEWAY_CRASHES=N sets the number of kills (default 1000, about 80 s). GUIDEWAY_SEED=N repeats a choice of instants.
"""
import collections
import hashlib
import http.client
import json
import os
import random
import threading
import time

import pytest

import control
from lab.wait import eventually

CRASHES = int(os.environ.get("GUIDEWAY_CRASHES", "1000"))
SEED = int(os.environ.get("GUIDEWAY_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
CLIENTS = 8
NAMES = 20       # each client's own
ADDRESSES = 128  # less than CLIENTS * NAMES
RUNS = 5
ABSENT = "absent"
ANY = "any address, or none yet"


class Client(threading.Thread):
    """Changes its own names until the process dies. `known`: name -> the states it may be in: ABSENT, ANY, or an address."""

    def __init__(self, number, seed):
        super().__init__(daemon=True)
        self.number, self.random = number, random.Random(seed)
        self.known = {f"c{number}-{i}": {ABSENT} for i in range(NAMES)}
        self.port = 30000
        self.answered = 0
        self.trouble = None

    def prepare(self, plane):
        """For another run of the same client: a thread starts once."""
        next_one = Client(self.number, self.random.random())
        next_one.known, next_one.answered, next_one.port, next_one.plane = self.known, self.answered, self.port, plane
        return next_one

    def run(self):
        connection = control.Connection(self.plane)
        try:
            while True:
                self.change(connection, self.random.choice(list(self.known)))
        except (http.client.HTTPException, OSError):
            pass  # it died; `known` says what may be
        except Exception as error:  # told by the test's own thread
            self.trouble = error
        finally:
            connection.close()

    def change(self, connection, name):
        path = f"/v1/load-balancers/crash/{name}"
        before = self.known[name]
        if self.random.random() < 0.4:
            self.known[name] = before | {ABSENT}
            answer = connection.ask("DELETE", path)
            assert answer.status == 204, answer
            self.known[name] = {ABSENT}
        else:
            self.port = 30000 + (self.port + 1) % 2000  # another body, so that something is written
            # One that was there keeps its address; where it had none it may get one.
            self.known[name] = before | ({ANY} if before & {ABSENT, ANY} else set())
            answer = connection.ask("PUT", path, {"spec": {"ports": [{"protocol": "TCP", "port": 80, "nodePort": self.port}]}})
            assert answer.status in (200, 201), answer
            held = [one["ip"] for one in answer.json["status"].get("ingress", [])]
            assert len(held) <= 1, answer
            if held and not before & {ABSENT, ANY}:
                assert held[0] in before, f"{name} was {before}, is moved to {held[0]}"
            assert held or before & {ABSENT, ANY}, f"{name} was {before}, is without an address"
            self.known[name] = set(held) or {ANY}
        self.answered += 1


def check(plane, clients):
    """What the control plane says now, against what was answered; afterwards that is what is known."""
    found = plane.addresses()
    holders = collections.defaultdict(list)
    for name, held in found.items():
        for address in held:
            holders[address].append(name)
    doubled = {address: names for address, names in holders.items() if len(names) > 1}
    assert not doubled, f"one address, two holders: {doubled}"
    for client in clients:
        for name, may_be in client.known.items():
            key = f"crash/{name}"
            if key not in found:
                assert ABSENT in may_be, f"{name} was answered as {may_be}, is lost"
                client.known[name] = {ABSENT}
                continue
            held = found.pop(key)
            assert may_be != {ABSENT}, f"{name} was deleted, is back with {held}"
            if not held:
                assert ANY in may_be, f"{name} was answered as {may_be}, has no address"
                client.known[name] = {ANY}
            else:
                assert held[0] in may_be or ANY in may_be, f"{name} was answered as {may_be}, has {held}"
                client.known[name] = {held[0]}
    assert not found, f"nobody made these: {found}"
    used = plane.get("/v1/address-pools/pool")["status"]["ipv4"]
    assert used["allocated"] == len(holders), f"{used} but {len(holders)} are held: leaked"
    assert used["free"] + used["allocated"] == used["total"] == ADDRESSES, used


def at_random_time(plane, chance):
    time.sleep(chance.uniform(0, 0.06))  # the instant itself is what is random
    plane.kill()


def at_exact_touch(plane, chance):
    plane.fail(f"kill {chance.randrange(1, 120)}\n{how(chance)}")
    eventually(lambda: not plane.running, 60, "the store is touched often enough")


def how(chance):
    return chance.choice(["", "tear", f"cut {chance.randrange(1 << 30)}", f"cut {chance.randrange(1 << 30)}\ntear"])


def launch(plane, chance):
    """Starts it; now and then it dies while it starts. Returns how often."""
    deaths = 0
    while chance.random() < 0.15:
        plane.fail(f"kill {chance.randrange(1, 8)}\n{how(chance)}")
        if plane.launch():
            break  # it touched its store less often; the kill comes later
        deaths += 1
    else:
        plane.heal()
        plane.start()
    return deaths


@pytest.mark.parametrize("run", range(RUNS))
def test_rule_20_killed_at_random_instants_nothing_answered_is_lost_doubled_or_leaked(run):
    chance = random.Random(SEED + run)
    folder = control.memory_folder()
    plane = control.ControlPlane(folder)
    clients = [Client(number, chance.random()) for number in range(CLIENTS)]
    kills = {"outside": 0, "exact": 0, "at start": 0}
    try:
        plane.start()
        plane.put("/v1/address-pools/pool", {"spec": {"addresses": ["203.0.113.0-203.0.113.127"]}})
        while sum(kills.values()) < CRASHES / RUNS:
            clients = [client.prepare(plane) for client in clients]
            for client in clients:
                client.start()
            exact = kills["exact"] + kills["at start"] < kills["outside"]
            kills["exact" if exact else "outside"] += 1
            (at_exact_touch if exact else at_random_time)(plane, chance)
            plane.kill()
            for client in clients:
                client.join(60)
                assert not client.is_alive(), "a client hangs"
                if client.trouble:
                    raise client.trouble
            kills["at start"] += launch(plane, chance)
            try:
                check(plane, clients)
            except (http.client.HTTPException, OSError):
                # The kill that was meant for the start came now: once more, and this time it lives.
                eventually(lambda: not plane.running, 60, "it answers no more: it died")
            if not plane.running:
                kills["exact"] += 1
                plane.heal()
                plane.start()
                check(plane, clients)
            plane.heal()
        plane.stop()
        backed_up = plane.command("--backup", "-")
        assert backed_up.returncode == 0, backed_up.stderr
        *lines, last = backed_up.stdout.splitlines()
        assert json.loads(last)["sha256"] == hashlib.sha256("".join(line + "\n" for line in lines).encode()).hexdigest()
    except BaseException:
        print(f"GUIDEWAY_SEED={SEED}, run {run}, {kills}, log:\n{plane.log.read_text()[-3000:]}")
        raise
    finally:
        plane.kill()
        control.remove(folder)
    answered = sum(client.answered for client in clients)
    print(f"{kills}, {answered} changes answered")
    assert answered > 5 * sum(kills.values()), "hardly anything was under way: the kills prove little"
