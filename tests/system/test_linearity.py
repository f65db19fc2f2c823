"""Thirty-two clients at once on a few load balancers: what they see must be what one after the other could have seen.

PUT, GET and DELETE of shared names, each over a connection of its own; every answer is noted with its times, and each name's history is
searched for an order that explains it (linearity.py). Then edits under If-Match: none may be lost.
"""
import collections
import math
import random
import threading
import time

import pytest
from control import Connection, ControlPlane
from linearity import Operation, linearizable

CLIENTS = 32
NAMES = 16
OPERATIONS = 120  # a client


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    with ControlPlane(tmp_path_factory.mktemp("linearity"), preload=False) as running:
        running.put("/v1/address-pools/a", {"spec": {"addresses": ["203.0.113.0/24"]}})
        yield running


def path(name):
    return f"/v1/load-balancers/shared/{name}"


def body(value):
    """The value is the node port: part of the spec, so that a PUT of another one is a change."""
    return {"spec": {"ports": [{"port": 80, "nodePort": value}]}}


def in_threads(count, work):
    failures = []

    def run(number):
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - told below, by the thread that asserts
            failures.append(error)
    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_the_checker_itself_tells_right_from_wrong():
    def history(*operations):
        return [Operation(*one) for one in operations]
    assert linearizable(history((("put", 1), 0, 1), (("get", 1), 2, 3)))
    assert not linearizable(history((("put", 1), 0, 1), (("get", None), 2, 3)))  # a stale read
    assert linearizable(history((("put", 1), 0, 5), (("get", None), 1, 2), (("get", 1), 3, 4)))
    assert not linearizable(history((("put", 1), 0, 5), (("get", 1), 1, 2), (("get", None), 3, 4)))  # back in time
    assert not linearizable(history((("put", 1), 0, 1), (("put", 2), 2, 3), (("get", 1), 4, 5)))  # a lost update
    assert linearizable(history((("put", 1), 0, math.inf), (("get", 1), 1, 2)))
    assert linearizable(history((("put", 1), 0, math.inf), (("get", None), 1, 2)))
    assert not linearizable(history((("put", 1), 0, 1), (("delete",), 2, 3), (("get", 1), 4, 5)))


def test_every_name_has_a_history_that_one_after_the_other_could_have_made(plane):
    histories = collections.defaultdict(list)
    lock = threading.Lock()

    def client(number):
        choose = random.Random(number)
        connection = Connection(plane)
        noted = []
        for step in range(OPERATIONS):
            name = f"n{choose.randrange(NAMES)}"
            kind = choose.choices(("put", "get", "delete"), (4, 5, 1))[0]
            called = time.monotonic()
            if kind == "put":
                value = 1 + number * OPERATIONS + step
                answer = connection.ask("PUT", path(name), body(value))
                assert answer.status in (200, 201), answer
                assert answer.json["spec"]["ports"][0]["nodePort"] == value, "the answer is of somebody else's wish"
                what = ("put", value)
            elif kind == "delete":
                answer = connection.ask("DELETE", path(name))
                assert answer.status == 204, answer
                what = ("delete",)
            else:
                answer = connection.ask("GET", path(name))
                assert answer.status in (200, 404), answer
                what = ("get", answer.json["spec"]["ports"][0]["nodePort"] if answer.status == 200 else None)
            noted.append((name, Operation(what, called, time.monotonic())))
        connection.close()
        with lock:
            for name, operation in noted:
                histories[name].append(operation)

    in_threads(CLIENTS, client)
    assert sum(map(len, histories.values())) == CLIENTS * OPERATIONS
    for name, history in sorted(histories.items()):
        assert linearizable(history), f"{name}: no order explains these:\n" + "\n".join(map(str, sorted(history, key=lambda one: one.called)))


def test_no_edit_under_if_match_is_lost(plane):
    """A counter in the labels: read, add one, write under If-Match, again where somebody was faster."""
    each = 6
    plane.put(path("counter"), {"metadata": {"labels": {"count": "0"}}, **body(30080)})
    refused = []

    def client(_):
        connection = Connection(plane)
        for _ in range(each):
            while True:
                now = connection.ask("GET", path("counter")).json
                version = now["metadata"]["resourceVersion"]
                count = int(now["metadata"]["labels"]["count"]) + 1
                answer = connection.ask("PUT", path("counter"), {"metadata": {"labels": {"count": str(count)}}, **body(30080)},
                                        {"If-Match": f'"{version}"'})
                if answer.status == 200:
                    break
                assert answer.status == 412, answer
                refused.append(version)
        connection.close()

    in_threads(8, client)
    assert int(plane.get(path("counter"))["metadata"]["labels"]["count"]) == 8 * each
    assert refused, "nobody ever met another one, so nothing was tried"


def test_a_watch_ends_where_the_list_does(plane):
    """List, change from many sides, and follow: what the events make of the list is the list at the end."""
    start = plane.get("/v1/load-balancers?namespace=shared")
    objects = {one["metadata"]["name"]: one for one in start["items"]}
    events = []

    def client(number):
        choose = random.Random(1000 + number)
        connection = Connection(plane)
        for step in range(20):
            name = f"n{choose.randrange(NAMES)}"
            if choose.random() < 0.3:
                connection.ask("DELETE", path(name))
            else:
                connection.ask("PUT", path(name), body(1 + choose.randrange(60000)))
        connection.close()

    in_threads(CLIENTS, client)
    end = plane.get("/v1/load-balancers?namespace=shared")
    until = int(end["metadata"]["resourceVersion"])
    with plane.stream(f"/v1/load-balancers?namespace=shared&watch=true&allowBookmarks=true&resourceVersion={start['metadata']['resourceVersion']}") as stream:
        for kind, revision, data in stream:
            if kind in ("ADDED", "MODIFIED"):
                objects[data["metadata"]["name"]] = data
            elif kind == "DELETED":
                del objects[data["metadata"]["name"]]
            events.append(kind)
            if revision is not None and revision >= until:
                break
    assert sorted(objects) == sorted(one["metadata"]["name"] for one in end["items"])
    for one in end["items"]:
        told = objects[one["metadata"]["name"]]
        assert (told["spec"], told["metadata"]["resourceVersion"], told["status"]["ingress"]) == \
            (one["spec"], one["metadata"]["resourceVersion"], one["status"]["ingress"])
