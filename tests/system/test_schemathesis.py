"""Schemathesis makes requests from api/openapi.yaml, right ones and wrong ones, and holds every answer against it: no 5xx but the documented
503 where there is no dataplane, status, headers, content type and schema as documented; a wrong request is refused, another method 405, and
nothing is served to who has no authority.

GUIDEWAY_SCHEMATHESIS_EXAMPLES: how many requests are made for an operation at random (besides those made by rule), default 3.
GUIDEWAY_SCHEMATHESIS_SEED: another course of them.
"""
import os
import re
import subprocess

import pytest

from live import BUILD, ROOT, ControlPlane

HERE = ROOT / "tests" / "system"
EXAMPLES = int(os.environ.get("GUIDEWAY_SCHEMATHESIS_EXAMPLES", "3"))
SEED = os.environ.get("GUIDEWAY_SCHEMATHESIS_SEED", "1")
# Not among them: positive_data_acceptance (a schema cannot say that two pools must not overlap, or which texts are addresses).
CHECKS = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
          "response_schema_conformance", "negative_data_rejection", "unsupported_method", "allow_header_conformance",
          "use_after_free", "ensure_resource_availability"]


@pytest.fixture(scope="module")
def schemathesis():
    folder = BUILD / "schemathesis"
    installed = subprocess.run([ROOT / "tests" / "install-schemathesis", folder], capture_output=True, text=True, timeout=600)
    if installed.returncode != 0:
        pytest.fail(installed.stderr, pytrace=False)
    return folder / "bin" / "schemathesis"


def run(schemathesis, url, token, checks, folder, phases="examples,fuzzing"):
    """The output; the run must be without failures."""
    command = [schemathesis, "--config-file", HERE / "schemathesis.toml", "run", ROOT / "api" / "openapi.yaml", "--url", url, "--phases", phases,
               "--checks", ",".join(checks), "--max-examples", str(EXAMPLES), "--seed", SEED, "--request-timeout", "20",
               "--continue-on-failure", "--no-shrink", "--no-color", "--warnings", "off", "--suppress-health-check", "all"]
    if token:
        command += ["--header", f"Authorization: Bearer {token}"]
    environment = {**os.environ, "PYTHONPATH": str(HERE), "SCHEMATHESIS_HOOKS": "schemathesis_hooks"}
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=1800)
    assert ran.returncode == 0, re.sub(r"(?s).*=+ FAILURES =+", "", ran.stdout)[:30000] + ran.stderr[-2000:]
    return ran.stdout


def cases(output):
    return int(re.search(r"([\d,]+) generated", output)[1].replace(",", ""))


def test_every_answer_to_an_admin_is_as_documented(schemathesis, tmp_path):
    with ControlPlane(tmp_path) as running:
        output = run(schemathesis, running.url, running.token, CHECKS, tmp_path, "examples,coverage,fuzzing")
        assert cases(output) > 1000, output
        assert running.ask("GET", "/v1/status").status_code == 200


def test_every_answer_to_a_viewer_and_a_controller_is_as_documented(schemathesis, tmp_path):
    # What is wrong in a request is not looked at where the role does not serve: 403 instead of 400 refuses it as well.
    with ControlPlane(tmp_path) as running:
        for name, spec in {"viewer": {"role": "viewer"}, "controller": {"role": "controller", "cluster": "prod"}}.items():
            token = running.ask("PUT", f"/v1/tokens/{name}", json={"spec": spec}).json()["status"]["token"]
            assert cases(run(schemathesis, running.url, token, CHECKS, tmp_path)) > 100
        assert [one["metadata"]["name"] for one in running.ask("GET", "/v1/tokens").json()["items"]] == ["admin", "controller", "viewer"]
        assert running.ask("GET", "/v1/address-pools").json()["items"] == []


@pytest.mark.parametrize("token", ["gw_000000000000_0000000000000000000000000000000000000000000", None], ids=["wrong", "none"])
def test_without_authority_nothing_is_served(schemathesis, tmp_path, token):
    with ControlPlane(tmp_path) as running:
        output = run(schemathesis, running.url, token, ["not_a_server_error", "status_code_conformance", "content_type_conformance",
                                                        "response_headers_conformance", "response_schema_conformance", "ignored_auth"],
                     tmp_path)
        assert cases(output) > 100
        for plural in ("load-balancers", "nodes", "address-pools"):
            assert running.ask("GET", f"/v1/{plural}").json()["items"] == []
        assert [one["metadata"]["name"] for one in running.ask("GET", "/v1/tokens").json()["items"]] == ["admin"]
