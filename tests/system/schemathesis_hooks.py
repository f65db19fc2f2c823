"""What Schemathesis must not do to the server under test (test_schemathesis.py): wait, watch, and take away its own token.

Such requests have tests of their own; here each would hold one request for a minute, or end the run.
"""
import json

import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    query = dict(case.query or {})
    if str(query.get("watch")).lower() == "true":
        query["watch"] = "false"
    if query.get("wait") == "forwarding" or str(query.get("wait")).isdigit():
        query["wait"] = "0" if query["wait"] != "forwarding" else "forwarding"
    if query.get("wait") == "forwarding" and ("timeout" not in query or str(query["timeout"]).isdigit()):
        query["timeout"] = "0"
    if query:
        case.query = query
    name = (case.path_parameters or {}).get("name")
    if "tokens" in case.path and name in ("admin", "viewer"):
        case.path_parameters["name"] = name + "-2"


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    return value.encode(errors="surrogatepass") if isinstance(value, str) else json.dumps(value).encode()
