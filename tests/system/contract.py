"""api/openapi.yaml as the judge of an answer that needs a dataplane to be given (tests/system/test_api_contract.py has none)."""
import functools

import jsonschema
import yaml

from lab.appliance import ROOT


@functools.cache
def document():
    return yaml.safe_load((ROOT / "api" / "openapi.yaml").read_text())


def hold(path, answer, method="get"):
    """Fails where the answer of status 200 is not as the document promises for this path."""
    schema = document()["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"]
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "components": document()["components"], **schema}
    faults = [f"{error.json_path}: {error.message[:200]}" for error in jsonschema.Draft202012Validator(whole).iter_errors(answer)]
    assert not faults, f"{method.upper()} {path}: " + "; ".join(faults[:10])
