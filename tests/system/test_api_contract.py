"""The REST server against api/openapi.yaml, the contract: a real control plane, without a dataplane, on a free loopback port.

Both ways: what the document promises is served (each path, method, example, status and schema), and what is served is promised (no
answer without a documented status, content type and schema; no other method or path).
"""
import copy
import http.client
import json
import re
import urllib.parse

import jsonschema
import pytest
import requests
import yaml

from live import ROOT, ControlPlane

DOCUMENT = yaml.safe_load((ROOT / "api" / "openapi.yaml").read_text())
METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")
OPERATIONS = [(path, method) for path, item in DOCUMENT["paths"].items() for method in METHODS if method in item]
NO_DATAPLANE = {"/v1/explain", "/v1/counters", "/v1/snat-addresses"}  # 503 here, as nobody is there to answer
METADATA = ["name", "resourceVersion", "generation", "creationTimestamp"]
WHOLE = {
    "LoadBalancer": {"metadata": ["cluster", "namespace", *METADATA], "spec": ["ipFamilyPolicy", "ports"],
                     "status": ["observedGeneration", "ingress", "conditions"]},
    "AddressPool": {"metadata": METADATA,
                    "spec": ["addresses", "autoAssign", "avoidBuggyIPs", "shareAcrossNamespaces", "quarantineSeconds"],
                    "status": ["observedGeneration", "ipv4", "ipv6", "loadBalancers"]},
    "Node": {"metadata": ["cluster", *METADATA], "spec": ["addresses", "weight", "drain"], "status": ["observedGeneration", "conditions"]},
    "Token": {"metadata": METADATA, "spec": ["role"], "status": ["secrets"]},
    "Event": {"metadata": ["resourceVersion"], "regarding": ["kind"]},
}


def resolved(node):
    """`node`, or what its $ref means (within the document)."""
    while "$ref" in node:
        target = DOCUMENT
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def operation(path, method):
    return DOCUMENT["paths"][path][method]


def parameters(path, method):
    return [resolved(one) for one in DOCUMENT["paths"][path].get("parameters", []) + operation(path, method).get("parameters", [])]


def validator(schema):
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "components": DOCUMENT["components"], **schema}
    return jsonschema.Draft202012Validator(whole)


def template_of(path):
    """The documented path that a concrete one is an instance of."""
    path = path.split("?")[0]
    for template in DOCUMENT["paths"]:
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path):
            return template
    return None


class Server:
    def __init__(self, url, token):
        self.url = url
        self.authorization = {"Authorization": "Bearer " + token}

    def ask(self, method, path, check=True, headers=None, **options):
        """The answer to the admin, after holding it against the document."""
        answer = requests.request(method, self.url + path, timeout=20, headers={**self.authorization, **(headers or {})}, **options)
        if check:
            self.hold(method, path, answer)
        return answer

    @staticmethod
    def hold(method, path, answer):
        where = f"{method} {path} -> {answer.status_code}: {answer.text[:500]}"
        template = template_of(path)
        if template is None or method.lower() not in DOCUMENT["paths"][template]:
            assert answer.status_code in (400, 404, 405), f"not documented, but served: {where}"
            Server.hold_body(DOCUMENT["components"]["responses"]["NotFound"], answer, where)
            return
        documented = operation(template, method.lower())["responses"]
        assert str(answer.status_code) in documented, f"status not documented: {where}"
        response = resolved(documented[str(answer.status_code)])
        for name, header in response.get("headers", {}).items():
            header = resolved(header)
            if name in answer.headers:
                validator(header["schema"]).validate(answer.headers[name])
            else:
                assert not header.get("required"), f"no {name}: {where}"
        for name in ("ETag", "Guideway-Forwarding"):
            assert name not in answer.headers or name in response.get("headers", {}), f"{name} not documented: {where}"
        Server.hold_body(response, answer, where)
        if answer.status_code < 300 and "fields=" not in path and answer.headers.get("Content-Type") == "application/json":
            Server.hold_whole(answer.json(), where)

    @staticmethod
    def hold_whole(body, where):
        """The schemas let members be absent, as ?fields= leaves them out; without it nothing may be."""
        for one in body.get("items", [body]):
            for part, names in WHOLE.get(one["kind"], {}).items():
                missing = set(names) - set(one.get(part, {}))
                assert not missing, f"no {sorted(missing)} in {part}: {where}"

    @staticmethod
    def hold_body(response, answer, where):
        if "content" not in response:
            assert answer.content == b"", f"a body where none is documented: {where}"
            return
        kind = answer.headers["Content-Type"].split(";")[0].strip()
        assert kind in response["content"], f"content type {kind} not documented: {where}"
        body = answer.json() if kind.endswith(("/json", "+json")) else answer.text
        errors = list(validator(response["content"][kind]["schema"]).iter_errors(body))
        assert not errors, f"{where}\n" + "\n".join(f"{one.json_path}: {one.message}" for one in errors)
        if kind == "application/problem+json":
            assert body["status"] == answer.status_code, where


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ControlPlane(tmp_path_factory.mktemp("contract")) as running:
        yield Server(running.url, running.token)


@pytest.fixture(autouse=True)
def empty(server):
    """Each test begins without objects."""
    yield
    for plural in ("load-balancers", "nodes", "address-pools", "tokens"):
        for one in server.ask("GET", f"/v1/{plural}").json()["items"]:
            metadata = one["metadata"]
            if (plural, metadata["name"]) == ("tokens", "admin"):
                continue
            cluster = f"/clusters/{metadata['cluster']}" if "cluster" in metadata else ""
            names = [metadata[key] for key in ("namespace", "name") if key in metadata]
            answer = server.ask("DELETE", "/".join([f"/v1{cluster}/{plural}", *names]), headers={"If-Match": "*"})
            assert answer.status_code == 204, answer.text


POOL = {"spec": {"addresses": ["203.0.113.0/28", "2001:db8:9::/120"]}}
NODE = {"spec": {"addresses": ["10.0.2.11"]}}
BALANCER = {"spec": {"ports": [{"protocol": "TCP", "port": 80, "nodePort": 30080}]}}
TOKEN = {"spec": {"role": "viewer"}}
KINDS = {"/v1/address-pools/a": POOL, "/v1/nodes/a": NODE, "/v1/load-balancers/default/a": BALANCER, "/v1/tokens/a": TOKEN,
         "/v1/clusters/prod/nodes/a": NODE, "/v1/clusters/prod/load-balancers/default/a": BALANCER}


def concrete(path, method):
    """An instance of a documented path, made of the examples of its parameters."""
    query = {}
    for one in parameters(path, method):
        if one["in"] == "path":
            path = path.replace("{" + one["name"] + "}", str(one["example"]))
        elif one["in"] == "query" and one.get("required"):
            query[one["name"]] = one["example"]
    return path + ("?" + urllib.parse.urlencode(query) if query else "")


def body_of(path):
    """A wish that the path takes."""
    return BALANCER if "load-balancers" in path else NODE if "nodes" in path else POOL if "pools" in path else TOKEN


def examples(path, method):
    content = operation(path, method).get("requestBody", {}).get("content", {}).get("application/json", {})
    return {name: one["value"] for name, one in content.get("examples", {}).items()}


def named(body, path):
    """The example with its names, if it has any, replaced by those of the path it is sent to."""
    body = copy.deepcopy(body)
    parts = path.split("?")[0].split("/")
    for key, value in (("name", parts[-1]), ("namespace", parts[-2])):
        if key in body.get("metadata", {}):
            body["metadata"][key] = value
    return body


def test_the_document_is_sound():
    assert DOCUMENT["openapi"].startswith("3.1")
    seen = set()
    for path, method in OPERATIONS:
        one = operation(path, method)
        assert one["operationId"] not in seen
        seen.add(one["operationId"])
        assert one["summary"] and one["responses"]
        names = re.findall(r"\{([^}]+)\}", path)
        assert sorted(names) == sorted(p["name"] for p in parameters(path, method) if p["in"] == "path")
        for response in one["responses"].values():
            for content in resolved(response).get("content", {}).values():
                jsonschema.Draft202012Validator.check_schema(content["schema"])
    for name, schema in DOCUMENT["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)

    def references(node):
        if isinstance(node, dict):
            if "$ref" in node:
                resolved(node)
            for child in node.values():
                references(child)
        elif isinstance(node, list):
            for child in node:
                references(child)
    references(DOCUMENT)


def test_the_documents_examples_agree_with_its_schemas():
    for path, method in OPERATIONS:
        for content in operation(path, method).get("requestBody", {}).get("content", {}).values():
            assert content["examples"], f"{method} {path} has no example"
            for one in content["examples"].values():
                validator(content["schema"]).validate(one["value"])
        for one in parameters(path, method):
            validator(one["schema"]).validate(one["example"])


@pytest.mark.parametrize("path, method", OPERATIONS, ids=[f"{method} {path}" for path, method in OPERATIONS])
def test_each_documented_operation_is_served(server, path, method):
    instance = concrete(path, method)
    if path == "/v1/backup" and method == "put":
        backup = server.ask("GET", instance)
        kind = {"Content-Type": "application/x-ndjson"}
        assert server.ask("PUT", instance, data=backup.content, headers=kind).status_code == 428
        assert server.ask("PUT", instance, data=backup.content, headers={**kind, "If-Match": "*"}).status_code == 200
        example = operation(path, method)["requestBody"]["content"]["application/x-ndjson"]["examples"]["format"]["value"]
        refused = server.ask("PUT", instance, data=example.encode(), headers={**kind, "If-Match": "*"})
        assert refused.status_code == 400 and "checksum" in refused.json()["detail"]
        return
    if path == "/v1/maintenance" and method == "put":
        for wish in examples(path, method).values():
            answer = server.ask("PUT", instance, json=wish)
            assert answer.status_code == (409 if wish["on"] else 200), "without BGP there is nothing to withdraw: " + answer.text
        return
    if method == "post" and path.endswith("/preview"):
        for name, value in examples(path, method).items():
            answer = server.ask("POST", instance, json=named(value, instance.removesuffix("/preview")))
            assert answer.status_code == 200, f"example {name} is refused: {answer.text}"
        return
    if method == "put":
        for name, value in examples(path, method).items():
            answer = server.ask("PUT", instance, json=named(value, instance))
            assert answer.status_code in (200, 201), f"example {name} is refused: {answer.text}"
            assert server.ask("DELETE", instance).status_code == 204
        return
    if (method == "get" and path.endswith("}")) or path.endswith("/rotate"):
        assert server.ask("PUT", instance.removesuffix("/rotate"), json=body_of(path)).status_code == 201
    answer = server.ask(method.upper(), instance)
    wanted = (503,) if path in NO_DATAPLANE else (200, 204)
    assert answer.status_code in wanted, answer.text
    if method == "get":
        head = server.ask("HEAD", instance, check=False)
        assert head.status_code == answer.status_code and head.content == b""


@pytest.mark.parametrize("path", DOCUMENT["paths"])
def test_no_other_method_is_served(server, path):
    instance = concrete(path, next(method for method in METHODS if method in DOCUMENT["paths"][path]))
    documented = {method.upper() for method in METHODS if method in DOCUMENT["paths"][path]}
    if "GET" in documented:
        documented.add("HEAD")
    for method in {"GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"} - documented:
        answer = server.ask(method, instance)
        assert answer.status_code == 405, f"{method} {instance}"
        assert set(answer.headers["Allow"].split(", ")) == documented


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/", "/v2/nodes", "/v1/nodes/", "/v1/nodes/a/b", "/v1/load-balancers/a", "/v1/secrets",
                                  "/metrics/x", "/debug", "/index.html"])
def test_no_other_path_is_served(server, path):
    for method in ("GET", "PUT", "DELETE"):
        assert server.ask(method, path, json={} if method == "PUT" else None).status_code == 404


@pytest.mark.parametrize("path", KINDS)
def test_the_life_of_an_object(server, path):
    assert server.ask("GET", path).status_code == 404
    created = server.ask("PUT", path, json=KINDS[path])
    assert created.status_code == 201
    tag = created.headers["ETag"]
    assert tag == '"' + created.json()["metadata"]["resourceVersion"] + '"'
    again = server.ask("PUT", path, json=KINDS[path])
    assert (again.status_code, again.headers["ETag"]) == (200, tag), "the same wish changes nothing"
    got = server.ask("GET", path)
    assert got.headers["ETag"] == tag
    back = server.ask("PUT", path, json=got.json())
    assert (back.status_code, back.headers["ETag"]) == (200, tag), "what GET answers can be PUT and changes nothing"
    items = server.ask("GET", path.rsplit("/", 2 if "load-balancers" in path else 1)[0]).json()["items"]
    assert [one for one in items if one["metadata"]["name"] != "admin"] == [got.json()]
    assert server.ask("PUT", path, json=KINDS[path], headers={"If-None-Match": "*"}).status_code == 412

    labelled = got.json()
    labelled["metadata"]["labels"] = {"team": "shop"}
    assert server.ask("PUT", path, json=labelled, headers={"If-Match": '"999999999"'}).status_code == 412
    changed = server.ask("PUT", path, json=labelled, headers={"If-Match": tag})
    assert changed.status_code == 200 and changed.headers["ETag"] != tag
    assert changed.json()["metadata"]["labels"] == {"team": "shop"}
    assert server.ask("DELETE", path, headers={"If-Match": tag}).status_code == 412
    assert server.ask("DELETE", path, headers={"If-Match": changed.headers["ETag"]}).status_code == 204
    assert server.ask("DELETE", path).status_code == 204
    assert server.ask("GET", path).status_code == 404


def test_lists_are_sorted_and_of_the_namespace_asked_for(server):
    server.ask("PUT", "/v1/address-pools/a", json=POOL)
    for key in ("b/y", "a/z", "b/x"):
        server.ask("PUT", f"/v1/load-balancers/{key}", json=BALANCER)

    def keys(query):
        found = server.ask("GET", "/v1/load-balancers" + query).json()["items"]
        return [f'{one["metadata"]["namespace"]}/{one["metadata"]["name"]}' for one in found]
    assert keys("") == ["a/z", "b/x", "b/y"]
    assert keys("?namespace=b") == ["b/x", "b/y"]
    assert keys("?namespace=c") == []


def test_an_address_is_given_before_the_answer(server):
    server.ask("PUT", "/v1/address-pools/a", json=POOL)
    wish = copy.deepcopy(BALANCER)
    wish["spec"]["ipFamilyPolicy"] = "RequireDualStack"
    given = server.ask("PUT", "/v1/load-balancers/default/a", json=wish).json()
    families = ["IPv6" if ":" in one["ip"] else "IPv4" for one in given["status"]["ingress"]]
    assert families == ["IPv4", "IPv6"]
    pool = server.ask("GET", "/v1/address-pools/a").json()["status"]
    assert pool["ipv4"]["allocated"] == 1 and pool["ipv6"]["allocated"] == 1


def test_without_a_free_address_the_object_waits_and_says_so(server):
    answer = server.ask("PUT", "/v1/load-balancers/default/a", json=BALANCER)
    assert answer.status_code == 201
    status = answer.json()["status"]
    assert status["ingress"] == []
    allocated = next(one for one in status["conditions"] if one["type"] == "Allocated")
    assert allocated["status"] == "False" and allocated["reason"] and allocated["message"]
    assert server.ask("GET", "/v1/status").json()["loadBalancers"] == {"total": 1, "waiting": 1}


def test_waiting_without_a_dataplane_says_that_it_is_not_forwarding(server):
    server.ask("PUT", "/v1/address-pools/a", json=POOL)
    answer = server.ask("PUT", "/v1/load-balancers/default/a?wait=0", json=BALANCER)
    assert (answer.status_code, answer.headers["Guideway-Forwarding"]) == (201, "false")
    assert server.ask("GET", "/v1/status?wait=0").headers["Guideway-Forwarding"] == "false"


def spoilt(base, pointer, value):
    body = copy.deepcopy(base)
    *parents, last = pointer.strip("/").split("/")
    at = body
    for part in parents:
        at = at[int(part)] if isinstance(at, list) else at.setdefault(part, {})
    at[last] = value
    return body


@pytest.mark.parametrize("path, pointer, value", [
    ("/v1/nodes/a", "/spec/weight", 0),
    ("/v1/nodes/a", "/spec/weight", 1.0),
    ("/v1/nodes/a", "/spec/weight", "1"),
    ("/v1/nodes/a", "/spec/drain", "yes"),
    ("/v1/nodes/a", "/spec/surprise", 1),
    ("/v1/nodes/a", "/spec/addresses", []),
    ("/v1/nodes/a", "/metadata/name", "b"),
    ("/v1/nodes/a", "/kind", "Pod"),
    ("/v1/nodes/a", "/surprise", None),
    ("/v1/address-pools/a", "/spec/addresses", []),
    ("/v1/address-pools/a", "/spec/autoAssign", 1),
    ("/v1/load-balancers/default/a", "/spec/ports", []),
    ("/v1/load-balancers/default/a", "/spec/ports/0/port", 0),
    ("/v1/load-balancers/default/a", "/spec/ports/0/nodePort", 65536),
    ("/v1/load-balancers/default/a", "/spec/ports/0/protocol", "ICMP"),
    ("/v1/load-balancers/default/a", "/spec/ipFamilyPolicy", "Dual"),
    ("/v1/load-balancers/default/a", "/spec/idleTimeoutSeconds", -1),
    ("/v1/load-balancers/default/a", "/metadata/namespace", "other"),
])
def test_a_bad_body_is_refused_at_its_pointer(server, path, pointer, value):
    answer = server.ask("PUT", path, json=spoilt(KINDS[path], pointer, value))
    assert answer.status_code == 400, answer.text
    assert [one["field"] for one in answer.json()["faults"]] == [pointer]
    assert server.ask("GET", path).status_code == 404, "nothing was made of it"


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '{"spec": {"addresses": ["10.0.2.11"]}, "spec": {}}', '{"a": ' * 1000 + "1" + "}" * 1000,
                                  '{"spec": NaN}', b'{"spec": "\xff"}'])
def test_what_is_no_json_object_is_refused(server, body):
    assert server.ask("PUT", "/v1/nodes/a", data=body, headers={"Content-Type": "application/json"}).status_code == 400


def test_refusals_before_the_body_is_read(server):
    for kind in ({"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}, {},
                 {"Content-Type": "application/json", "Content-Encoding": "gzip"}):
        assert server.ask("PUT", "/v1/nodes/a", data=json.dumps(NODE), headers=kind).status_code == 415
    big = json.dumps({**NODE, "x": "y" * (2 << 20)})
    assert server.ask("PUT", "/v1/nodes/a", data=big, headers={"Content-Type": "application/json"}).status_code == 413
    for tag in ("1", "**", 'W/"1"', '"1", "2"'):  # "*" is allowed since the contract has If-Match: *
        assert server.ask("PUT", "/v1/nodes/a", json=NODE, headers={"If-Match": tag}).status_code == 400
    for tag in ('"1"', "*"):
        assert server.ask("PUT", "/v1/nodes/a", json=NODE, headers={"If-Match": tag}).status_code == 412, "it does not exist"


@pytest.mark.parametrize("path", [concrete(path, "get") for path, item in DOCUMENT["paths"].items() if "get" in item])
def test_unknown_and_broken_queries_are_refused(server, path):
    join = "&" if "?" in path else "?"
    answer = server.ask("GET", f"{path}{join}surprise=1")
    assert answer.status_code == 400
    assert [one["field"] for one in answer.json()["faults"]] == ["?surprise"]
    for wait in ("61", "-1", "x", ""):
        assert server.ask("GET", f"{path}{join}wait={wait}").status_code == 400


def raw(server, target):
    """A GET whose target is sent as it is: (status, decoded problem)."""
    address = urllib.parse.urlsplit(server.url)
    client = http.client.HTTPConnection(address.hostname, address.port, timeout=20)
    try:
        client.putrequest("GET", target, skip_accept_encoding=True)
        for name, value in server.authorization.items():
            client.putheader(name, value)
        client.endheaders()
        answer = client.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        client.close()


@pytest.mark.parametrize("target", ["/v1/nodes/%00", "/v1/nodes/%zz", "/v1/nodes/%", "/v1/nodes/%ff", "/v1/nodes/%0a", "/v1/nodes/%2e%2e",
                                    "/v1/nodes?a=%zz", "/v1/load-balancers?namespace=a&namespace=b"])
def test_broken_targets_are_refused(server, target):
    status, problem = raw(server, target)
    assert status == 400
    validator(DOCUMENT["components"]["schemas"]["Problem"]).validate(problem)


def test_explain_names_each_fault_of_its_query(server):
    answer = server.ask("GET", "/v1/explain?protocol=ICMP&source=x&source_port=0&destination=1&destination_port=65536")
    assert [one["field"] for one in answer.json()["faults"]] == ["?protocol", "?source", "?source_port", "?destination", "?destination_port"]


def test_a_change_that_does_not_fit_what_exists_is_refused(server):
    seen = set()

    def put(path, body, **headers):
        seen.add(server.ask("PUT", path, json=body, headers=headers).status_code)
    put("/v1/address-pools/a", POOL)
    put("/v1/address-pools/a", POOL)
    put("/v1/address-pools/b", POOL)  # overlaps: 400
    put("/v1/address-pools/c", {})
    put("/v1/address-pools/a", POOL, **{"If-Match": '"999999"'})
    put("/v1/nodes/a", NODE)
    put("/v1/nodes/b", NODE)  # the address of another: 409
    assert seen == {200, 201, 400, 409, 412}


@pytest.mark.parametrize("path", [path for path, method in OPERATIONS if method == "get"])
def test_each_documented_parameter_is_taken(server, path):
    instance = concrete(path, "get")
    if path.endswith("}"):
        assert server.ask("PUT", instance, json=body_of(path)).status_code == 201
    for one in parameters(path, "get"):
        if one["in"] == "path" or one.get("required"):
            continue
        query, headers = {}, {}
        (headers if one["in"] == "header" else query)[one["name"]] = str(one["example"]).lower() if one["example"] in (True, False) else str(one["example"])
        if one["name"] == "timeout":
            query.update(wait="forwarding", timeout="0")
        if one["name"] in ("resourceVersion", "allowBookmarks", "Last-Event-ID"):
            continue  # only with watch=true: below
        join = "&" if "?" in instance else "?"
        answer = server.ask("GET", instance + join + urllib.parse.urlencode(query), headers=headers)
        assert answer.status_code == 200, f"{one['name']}: {answer.text}"


def events(response):
    """Server-sent events of a watch, one after the other: (type, id, data)."""
    event = {}
    for line in response.iter_lines(chunk_size=1, decode_unicode=True):
        if line:
            name, _, value = line.partition(": ")
            event[name] = value
        elif "event" in event:
            yield event["event"], event.get("id"), json.loads(event["data"])
            event = {}


WATCHED = [path for path, method in OPERATIONS
           if method == "get" and any(one["name"] == "watch" for one in parameters(path, method))]


@pytest.mark.parametrize("path", WATCHED)
def test_a_watch_tells_what_is_there_and_what_changes(server, path):
    kind = {"events": "Event", "load-balancers": "LoadBalancer", "nodes": "Node", "address-pools": "AddressPool"}[path.rsplit("/", 1)[1]]
    watched = concrete(path, "get")
    target = "/v1/address-pools/a" if kind == "Event" else watched + ("/default/a" if kind == "LoadBalancer" else "/a")
    body = body_of(target)
    item = validator(DOCUMENT["components"]["schemas"][kind])
    if kind != "Event":
        server.ask("PUT", target, json=body)
    with requests.get(server.url + watched + "?watch=true&allowBookmarks=true", headers=server.authorization, stream=True, timeout=30) as answer:
        assert answer.status_code == 200 and answer.headers["Content-Type"] == "text/event-stream"
        told = events(answer)
        seen = []
        while not seen or seen[-1][0] != "BOOKMARK":
            seen.append(next(told))
        if kind != "Event":
            assert [one[0] for one in seen] == ["ADDED", "BOOKMARK"]
            assert seen[0][2] == server.ask("GET", watched).json()["items"][0]
            changed = copy.deepcopy(body)
            changed["metadata"] = {"labels": {"team": "shop"}}
            server.ask("PUT", target, json=changed)
            event, _, data = next(told)
            assert event == "MODIFIED" and data["metadata"]["labels"] == {"team": "shop"}
            server.ask("DELETE", target)
            while event != "DELETED":
                event, revision, data = next(told)
                item.validate(data)
            assert data["metadata"]["name"] == "a"
        else:
            server.ask("PUT", "/v1/load-balancers/default/waiting", json=BALANCER)
            event, revision, data = next(told)
            assert event == "ADDED"
            item.validate(data)
    if revision:
        again = f"{server.url}{watched}?watch=true&resourceVersion={revision}&allowBookmarks=true"
        with requests.get(again, headers=server.authorization, stream=True, timeout=30) as answer:
            assert answer.status_code == 200


def test_a_watch_of_a_revision_that_never_was_is_refused(server):
    answer = server.ask("GET", "/v1/nodes?watch=true&resourceVersion=9223372036854775807")
    assert answer.status_code == 410 and answer.json()["reason"] == "Expired"


def test_pages_hold_every_object_once(server):
    for i in range(5):
        server.ask("PUT", f"/v1/load-balancers/default/w{i}", json=BALANCER)
    names, query = [], "?limit=2"
    while query:
        page = server.ask("GET", "/v1/load-balancers" + query).json()
        names += [one["metadata"]["name"] for one in page["items"]]
        more = page["metadata"].get("continue")
        assert page["metadata"].get("remainingItemCount", 0) == 5 - len(names)
        query = "?limit=2&" + urllib.parse.urlencode({"continue": more}) if more else None
    assert names == [f"w{i}" for i in range(5)]
    assert server.ask("GET", "/v1/load-balancers?limit=2&continue=nonsense").status_code in (400, 410)


def test_a_pool_in_use_is_deleted_only_with_if_match(server):
    server.ask("PUT", "/v1/address-pools/a", json=POOL)
    server.ask("PUT", "/v1/load-balancers/default/a", json=BALANCER)
    refused = server.ask("DELETE", "/v1/address-pools/a")
    assert refused.status_code == 428
    tag = server.ask("GET", "/v1/address-pools/a").headers["ETag"]
    assert tag in refused.json()["detail"]
    assert server.ask("DELETE", "/v1/address-pools/a", headers={"If-Match": tag}).status_code == 204


def test_roles_see_and_change_what_is_theirs(server):
    secrets = {}
    for name, spec in {"eye": {"role": "viewer"}, "hand": {"role": "controller", "cluster": "prod"}}.items():
        secrets[name] = server.ask("PUT", f"/v1/tokens/{name}", json={"spec": spec}).json()["status"]["token"]

    def asked(name, method, path, **options):
        return server.ask(method, path, headers={"Authorization": "Bearer " + secrets[name]}, **options)
    assert asked("hand", "PUT", "/v1/clusters/prod/nodes/a", json=NODE).status_code == 201
    assert asked("hand", "PUT", "/v1/nodes/b", json=NODE).status_code == 403
    assert server.ask("PUT", "/v1/nodes/b", json={"spec": {"addresses": ["10.0.2.12"]}}).status_code == 201
    assert [one["metadata"]["name"] for one in asked("hand", "GET", "/v1/nodes").json()["items"]] == ["a"]
    assert len(asked("eye", "GET", "/v1/nodes").json()["items"]) == 2
    for name in secrets:
        for method, path in (("GET", "/v1/tokens"), ("GET", "/v1/backup"), ("POST", "/v1/tokens/eye/rotate"), ("DELETE", "/v1/tokens/admin")):
            refused = asked(name, method, path)
            assert refused.status_code == 403 and "admin" in refused.json()["detail"]
    assert asked("eye", "PUT", "/v1/nodes/b", json=NODE).status_code == 403
    server.ask("DELETE", "/v1/tokens/eye")
    assert asked("eye", "GET", "/v1/nodes").status_code == 401
    assert server.ask("GET", "/v1/nodes", headers={"Authorization": "Basic YTpi"}).status_code == 401
    answer = requests.get(server.url + "/v1/nodes", timeout=20)
    server.hold("GET", "/v1/nodes", answer)
    assert answer.status_code == 401 and answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_the_served_description_is_this_document(server):
    assert yaml.safe_load(server.ask("GET", "/v1/openapi.yaml").text) == DOCUMENT
