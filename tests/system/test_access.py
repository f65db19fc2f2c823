"""Who may do what, as an operator sets it up and as an attacker tries it: tokens, TLS, client certificates, the audit log."""
import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import threading
import time

import pytest
import requests

from lab.alone import ControlPlane, PROGRAM, make_certificate
from lab.wait import eventually

NODE = {"spec": {"addresses": ["10.0.2.11"]}}
POOL = {"spec": {"addresses": ["203.0.113.0/28"]}}


@pytest.fixture
def plain(tmp_path):
    with ControlPlane(tmp_path) as controlplane:
        yield controlplane


@pytest.fixture
def encrypted(tmp_path):
    make_certificate(tmp_path, "authority", "authority", authority=True)
    make_certificate(tmp_path, "server", "guideway", issuer="authority")
    make_certificate(tmp_path, "clients", "clients", authority=True)
    make_certificate(tmp_path, "prod", "prod-admin", issuer="clients")
    more = """tls: { certificate = "{folder}/server.crt"; key = "{folder}/server.key"; loopback = true;
                     client_ca = "{folder}/clients.crt";
                     roles = ( { common_name = "prod-admin"; role = "admin"; } ); };"""
    with ControlPlane(tmp_path, more, "https") as controlplane:
        yield controlplane


def test_a_new_install_is_closed_and_its_owner_finds_the_key(plain):
    token_file = plain.folder / "admin.token"
    assert stat.S_IMODE(token_file.stat().st_mode) == 0o600 and token_file.stat().st_uid == os.geteuid()
    assert stat.S_IMODE((plain.folder / "audit.log").stat().st_mode) == 0o600
    for path in ("/v1/nodes", "/v1/status", "/metrics", "/v1/counters"):
        answer = plain.ask("GET", path, headers={})
        assert answer.status_code == 401 and answer.headers["WWW-Authenticate"] == 'Bearer realm="guideway"'
        assert answer.headers["Content-Type"] == "application/problem+json" and answer.json()["reason"] == "TokenRequired"
    assert plain.ask("PUT", "/v1/nodes/n", headers={}, json=NODE).status_code == 401
    assert plain.ask("GET", "/v1/nodes").status_code == 200
    assert plain.token not in plain.log, "the token is in the file alone"
    assert plain.token.split("_")[2].encode() not in (plain.folder / "guideway.db").read_bytes()
    assert plain.token.split("_")[2].encode() not in (plain.folder / "guideway.db-wal").read_bytes()


def test_the_token_stays_the_same_over_a_restart(tmp_path):
    with ControlPlane(tmp_path) as controlplane:
        before = controlplane.token
    with ControlPlane(tmp_path) as controlplane:
        assert controlplane.token == before
        assert controlplane.ask("GET", "/v1/nodes").status_code == 200


def test_a_lost_token_file_is_replaced_while_the_control_plane_is_stopped(tmp_path):
    with ControlPlane(tmp_path) as controlplane:
        lost = controlplane.authorization
        (tmp_path / "admin.token").unlink()
    done = controlplane.run("--new-admin-token")
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "admin.token") in done.stdout and controlplane.token not in done.stdout
    with controlplane:
        assert controlplane.ask("GET", "/v1/nodes").status_code == 200
        assert controlplane.ask("GET", "/v1/nodes", headers=lost).status_code == 401


def test_guessing_is_limited_and_counted_and_does_not_lock_out(plain):
    statuses = [plain.ask("GET", "/v1/nodes", headers={"Authorization": f"Bearer gw_000000000000_{i:064x}"}).status_code
                for i in range(40)]
    assert statuses[0] == 401 and statuses[-1] == 429 and set(statuses) == {401, 429}
    assert plain.ask("GET", "/v1/nodes").status_code == 200
    refused = plain.metric("guideway_http_refused_logins_total")
    assert refused == 40
    lines = [json.loads(line) for line in (plain.folder / "audit.log").read_text().splitlines()]
    logins = [line for line in lines if line["verb"] == "login"]
    assert logins and logins[0]["peer"] == "127.0.0.1" and logins[0]["result"] == "TokenUnknown"


def test_metrics_are_served_apart(plain):
    assert requests.get(plain.metrics_url + "/metrics", timeout=10).status_code == 200
    for path in ("/v1/nodes", "/v1/status", "/v1/tokens", "/"):
        assert requests.get(plain.metrics_url + path, timeout=10, headers=plain.authorization).status_code == 404


def test_only_tls_is_spoken_and_only_safe_versions(encrypted):
    answer = requests.get(f"http://127.0.0.1:{encrypted.port}/v1/nodes", timeout=10)
    assert answer.status_code == 400 and answer.json()["reason"] == "TlsRequired"
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        with pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(socket.create_connection(("127.0.0.1", encrypted.port), 10))
    assert encrypted.ask("GET", "/v1/nodes").status_code == 200
    left = encrypted.metric("guideway_tls_certificate_expires_in_seconds")
    assert 29 * 86400 < left <= 30 * 86400


def test_a_client_certificate_stands_for_its_role(encrypted):
    identity = (str(encrypted.folder / "prod.crt"), str(encrypted.folder / "prod.key"))
    assert encrypted.ask("PUT", "/v1/nodes/n", headers={}, cert=identity, json=NODE).status_code == 201
    make_certificate(encrypted.folder, "other", "somebody", issuer="clients")
    other = (str(encrypted.folder / "other.crt"), str(encrypted.folder / "other.key"))
    answer = encrypted.ask("GET", "/v1/nodes", headers={}, cert=other)
    assert answer.status_code == 401 and answer.json()["reason"] == "CertificateUnknown"
    make_certificate(encrypted.folder, "foreign", "prod-admin")
    foreign = (str(encrypted.folder / "foreign.crt"), str(encrypted.folder / "foreign.key"))
    with pytest.raises(requests.ConnectionError):
        encrypted.ask("GET", "/v1/nodes", headers={}, cert=foreign)


def test_a_new_certificate_is_taken_without_dropping_a_request(encrypted):
    first = ssl.get_server_certificate(("127.0.0.1", encrypted.port))
    stop, failures, answered = threading.Event(), [], [0]

    def ask_on_and_on(keep):
        session = requests.Session()
        while not stop.is_set():
            try:
                one = session if keep else requests
                answer = one.get(encrypted.url + "/v1/nodes", timeout=20, verify=encrypted.verify, headers=encrypted.authorization)
                assert answer.status_code == 200
                answered[0] += 1
            except Exception as trouble:  # noqa: BLE001: any is a dropped request
                failures.append(repr(trouble))

    threads = [threading.Thread(target=ask_on_and_on, args=(keep,)) for keep in (True, False)]
    for thread in threads:
        thread.start()
    eventually(lambda: answered[0] >= 20, 20, "requests are answered")
    make_certificate(encrypted.folder, "server", "guideway", issuer="authority")
    eventually(lambda: ssl.get_server_certificate(("127.0.0.1", encrypted.port)) != first, 20, "the new certificate is shown")
    so_far = answered[0]
    eventually(lambda: answered[0] >= so_far + 20, 20, "requests are answered with the new certificate")
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_bad_pair_is_refused_with_a_reason_and_the_old_one_stays(encrypted):
    first = ssl.get_server_certificate(("127.0.0.1", encrypted.port))
    (encrypted.folder / "server.key").write_text("no key\n")
    eventually(lambda: encrypted.metric('guideway_tls_certificate_loads_total{result="refused"}') == 1, 20, "it is refused")
    assert ssl.get_server_certificate(("127.0.0.1", encrypted.port)) == first
    assert "tls.key" in encrypted.log and "server.key" in encrypted.log


@pytest.mark.parametrize("more, told", [
    ('listen = "0.0.0.0:18870";', ("controlplane.listen", "with tls")),
    ('tls: { certificate = "{folder}/none.crt"; key = "{folder}/server.key"; };', ("tls.certificate", "none.crt")),
    ('tls: { certificate = "{folder}/server.crt"; key = "{folder}/none.key"; };', ("tls.key", "none.key")),
    ('tls: { certificate = "{folder}/server.crt"; key = "{folder}/other.key"; };', ("tls.key", "not the key of")),
    ('tls: { certificate = "{folder}/server.crt"; key = "{folder}/server.key"; client_ca = "{folder}/server.key"; };',
     ("tls.client_ca", "server.key")),
    ('tls: { key = "{folder}/server.key"; };', ("tls.certificate", "missing")),
    ('tls: { certificate = "{folder}/server.crt"; key = "{folder}/server.key"; client_certificates = "required"; };',
     ("tls.client_certificates", "without client_ca")),
    ('auth = "none";', ("auth", "unknown")),
    ('limits: { connections = 1; };', ("limits.connections", "allowed 16..32768")),
    ('limits: { connections = 100; watches = 200; };', ("limits.watches", "at most connections")),
    ('audit_megabytes = 0;', ("audit_megabytes", "allowed")),
])
def test_check_config_names_the_field_and_the_file(tmp_path, more, told):
    make_certificate(tmp_path, "server", "guideway")
    make_certificate(tmp_path, "other", "other")
    config = tmp_path / "guideway.cfg"
    own_listen = "" if "listen" in more else 'listen = "127.0.0.1:18870"; '
    config.write_text(f'controlplane: {{ {own_listen}store = "{tmp_path}/s.db"; dataplane_socket = "{tmp_path}/d.sock"; '
                      + more.replace("{folder}", str(tmp_path)) + " };\n")
    done = subprocess.run([PROGRAM, "--config", config, "--check-config"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2, done.stdout
    for word in told:
        assert word in done.stderr, done.stderr


def test_the_audit_log_is_opened_anew_on_sighup(plain):
    log = plain.folder / "audit.log"
    log.rename(plain.folder / "audit.log.moved")
    plain.process.send_signal(signal.SIGHUP)
    eventually(log.exists, 20, "the audit log is there again")
    plain.ask("GET", "/v1/nodes", headers={})
    eventually(lambda: "TokenRequired" in log.read_text(), 20, "the refused login is written there")
    assert plain.process.poll() is None
