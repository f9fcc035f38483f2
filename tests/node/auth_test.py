"""Who may ask for what: tokens, the Unix socket, TLS, and what a node refuses to listen on."""
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess

import pytest

from conftest import BUILD, FOLDER, Answer, until

ALICE, BOB, ROOT = "token-of-alice-0123", "token-of-bob-0123456", "token-of-root-012345"
TOKENS = f"# who\nalice plain:{ALICE}\nbob plain:{BOB}\nops plain:{ROOT} admin\n"
MIGNIFICIENT = BUILD / "bin" / "mignificient"


def write_private(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


@pytest.fixture
def guarded(make_node, tmp_path):
    return make_node(auth={"tokens": write_private(tmp_path / "tokens", TOKENS)})


def bearer(token):
    return {"Authorization": f"Bearer {token}"} if token else {}


def invoke_as(node, token, user, function="count", **fields):
    body = json.loads(node.body(function, **fields))
    body.pop("user")
    if user:
        body["user"] = user
    return node.request("POST", "/invoke", json.dumps(body), bearer(token))


@pytest.mark.parametrize("method, path", [("POST", "/invoke"), ("GET", "/containers"), ("GET", "/v1/devices"),
                                          ("GET", "/v1/status"), ("GET", "/metrics"), ("POST", "/kill"),
                                          ("GET", "/v1/containers/c-1/logs"), ("GET", "/nothing")])
@pytest.mark.parametrize("headers", [{}, bearer("wrong"), {"Authorization": "Basic " + ALICE}])
def test_without_a_known_token_every_path_is_401(guarded, method, path, headers):
    answer = guarded.request(method, path, "{}" if method == "POST" else None, headers)
    assert (answer.status, answer.type) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer realm=")
    assert ("invalid_token" in answer.headers["WWW-Authenticate"]) == bool(headers)
    assert answer.headers["X-Call-Id"]


def test_health_needs_no_token(guarded):
    assert guarded.request("GET", "/healthz").status == 200
    assert guarded.request("GET", "/readyz").status == 200


def test_a_user_acts_as_themselves_and_the_administrator_as_anybody(guarded):
    assert invoke_as(guarded, ALICE, "alice").body == b"1"
    assert invoke_as(guarded, ALICE, None).body == b"2"  # the token says who it is
    refused = invoke_as(guarded, ALICE, "bob")
    assert (refused.status, refused.type) == (403, "forbidden")
    assert "alice" in refused.error and "bob" in refused.error
    assert invoke_as(guarded, ROOT, "alice").body == b"3"
    assert invoke_as(guarded, BOB, "bob").body == b"1"


def test_a_user_sees_and_kills_only_what_is_theirs(guarded):
    invoke_as(guarded, ALICE, "alice")
    invoke_as(guarded, BOB, "bob")

    def users(token, path="/containers"):
        return sorted(c["user"] for c in json.loads(guarded.request("GET", path, None, bearer(token)).body)["containers"])

    assert users(ALICE) == users(ALICE, "/v1/status") == ["alice"]
    assert users(ROOT) == users(ROOT, "/v1/status") == ["alice", "bob"]
    assert guarded.request("GET", "/containers?user=bob", None, bearer(ALICE)).status == 403
    containers = json.loads(guarded.request("GET", "/containers", None, bearer(ROOT)).body)["containers"]
    of = {container["user"]: container["id"] for container in containers}

    def kill(token, **body):
        return guarded.request("POST", "/kill", json.dumps(body), bearer(token)).status

    logs = f"/v1/containers/{of['bob']}/logs"
    assert guarded.request("GET", logs, None, bearer(ALICE)).status == 403
    assert guarded.request("GET", logs, None, bearer(BOB)).status == 200
    assert kill(ALICE, user="bob", container=of["bob"]) == 403
    assert kill(ALICE, container=of["bob"]) == 404
    assert kill(ALICE, container=of["alice"]) == 200
    assert kill(ROOT, user="bob", container=of["bob"]) == 200


def test_a_body_is_refused_before_it_is_sent_and_the_answer_arrives(guarded):
    with socket.create_connection(("127.0.0.1", guarded.port)) as raw:
        raw.sendall(b"POST /invoke HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        assert raw.recv(1000).startswith(b"HTTP/1.1 401 ")
    connection = guarded.connect()  # without a body the connection goes on
    connection.request("GET", "/containers")
    assert Answer(connection.getresponse()).status == 401
    connection.request("GET", "/containers", headers=bearer(ALICE))
    assert Answer(connection.getresponse()).status == 200


def test_a_changed_file_counts_and_a_broken_one_does_not(guarded, tmp_path):
    tokens = tmp_path / "tokens"
    write_private(tmp_path / "new", TOKENS + "carol plain:token-of-carol-01234\n")
    os.rename(tmp_path / "new", tokens)
    guarded.wait_for_line(r"tokens_read .*tokens=4")
    assert guarded.request("GET", "/containers", None, bearer("token-of-carol-01234")).status == 200
    write_private(tmp_path / "new", "carol\n")
    os.rename(tmp_path / "new", tokens)
    assert "Line 1" in guarded.wait_for_line(r"tokens_kept .*").group(0)
    assert guarded.request("GET", "/containers", None, bearer("token-of-carol-01234")).status == 200
    tokens.chmod(0o644)
    assert "others may read" in guarded.wait_for_line(r"tokens_kept .*", 2).group(0)
    write_private(tmp_path / "new", TOKENS)
    os.rename(tmp_path / "new", tokens)
    guarded.process.send_signal(signal.SIGHUP)
    guarded.wait_for_line(r"tokens_read .*tokens=3", 2)
    assert guarded.request("GET", "/containers", None, bearer("token-of-carol-01234")).status == 401
    assert guarded.request("GET", "/containers", None, bearer(ALICE)).status == 200


def refused_start(tmp_path, config):
    path = tmp_path / "refused.json"
    paths = {"executor": str(BUILD / "bin" / "mignificient-executor"), "gpu-server": str(FOLDER / "node_test_gpu_server"),
             "keeper": str(BUILD / "bin" / "mignificient-keeper")}
    path.write_text(json.dumps({"gpu-server": {"driver": "cpu"}, "paths": paths, **config}))
    ended = subprocess.run([FOLDER / "node_test_serve", path], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    return ended.stderr


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1"])
def test_without_tokens_only_loopback_is_served(tmp_path, address):
    complaint = refused_start(tmp_path, {"http": {"address": address, "port": 0}})
    assert "[http.address]" in complaint and "auth.tokens" in complaint and "loopback" in complaint


def test_with_tokens_another_address_is_served_with_a_warning_where_there_is_no_tls(make_node, tmp_path):
    node = make_node(auth={"tokens": write_private(tmp_path / "tokens", TOKENS)}, http={"port": 0, "address": "0.0.0.0"})
    assert "clear text" in node.wait_for_line("configuration .*").group(0)
    assert node.request("GET", "/containers").status == 401


def test_a_token_file_that_others_may_read_is_refused(tmp_path):
    (tmp_path / "tokens").write_text(TOKENS)
    (tmp_path / "tokens").chmod(0o644)
    complaint = refused_start(tmp_path, {"auth": {"tokens": str(tmp_path / "tokens")}, "http": {"port": 0}})
    assert "0644" in complaint and "chmod 600" in complaint


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def over_socket(path, headers=None):
    connection = UnixConnection(path)
    connection.request("GET", "/containers", headers=headers or {})
    answer = Answer(connection.getresponse())
    connection.close()
    return answer


def test_the_unix_socket_has_its_mode_and_asks_for_a_token_too(make_node, tmp_path):
    path = tmp_path / "node.sock"
    node = make_node(auth={"tokens": write_private(tmp_path / "tokens", TOKENS)},
                     http={"port": 0, "unix-socket": str(path), "unix-socket-mode": "0660"})
    assert oct(path.stat().st_mode & 0o7777) == "0o660"
    assert over_socket(path).status == 401
    assert over_socket(path, bearer(ALICE)).status == 200
    assert node.stop() == 0
    assert not path.exists()


def test_the_sockets_owner_needs_no_token_where_the_configuration_says_so(make_node, tmp_path):
    path = tmp_path / "node.sock"
    node = make_node(auth={"tokens": write_private(tmp_path / "tokens", TOKENS), "trust-socket-owner": True},
                     http={"port": 0, "unix-socket": str(path)})
    assert oct(path.stat().st_mode & 0o7777) == "0o600"
    assert over_socket(path).status == 200
    assert over_socket(path, bearer("wrong")).status == 401
    assert node.request("GET", "/containers").status == 401


# --- TLS -----------------------------------------------------------------------------------------------------------


def make_certificate(folder, name):
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)
    key.chmod(0o600)
    return certificate, key


class TlsNode:
    def __init__(self, node, certificate):
        self.node, self.certificate = node, certificate

    def connect(self, certificate=None):
        context = ssl.create_default_context(cafile=str(certificate or self.certificate))
        return http.client.HTTPSConnection("localhost", self.node.port, context=context, timeout=60)

    def run(self, command, *arguments, address=None, env=None):
        address = address or f"https://localhost:{self.node.port}"
        return subprocess.run([MIGNIFICIENT, command, "--address", address, *map(str, arguments)], capture_output=True,
                              text=True, timeout=60, check=False, env={**os.environ, **(env or {})})


@pytest.fixture
def secure(make_node, tmp_path):
    certificate, key = make_certificate(tmp_path, "node")
    node = make_node(auth={"tokens": write_private(tmp_path / "tokens", TOKENS)},
                     http={"port": 0, "tls": {"certificate": str(certificate), "key": str(key)}})
    return TlsNode(node, certificate)


def test_a_function_is_invoked_through_tls_on_a_kept_connection(secure):
    connection = secure.connect()
    for i in range(3):
        payload = str(i) * 100_000  # more than one record
        connection.request("POST", "/invoke", secure.node.body("echo", payload), bearer(ALICE))
        answer = Answer(connection.getresponse())
        assert (answer.status, answer.body) == (200, payload.encode())
    connection.request("GET", "/containers")
    assert Answer(connection.getresponse()).status == 401


def test_metrics_count_who_is_turned_away(secure, tmp_path):
    other, _ = make_certificate(tmp_path, "other")
    with pytest.raises(ssl.SSLCertVerificationError):
        secure.connect(other).request("GET", "/healthz")
    connection = secure.connect()
    connection.request("POST", "/invoke", secure.node.body("echo"), bearer("wrong"))
    assert Answer(connection.getresponse()).status == 401
    connection = secure.connect()
    connection.request("GET", "/metrics", headers=bearer(ALICE))
    page = Answer(connection.getresponse()).body.decode()
    assert 'mignificient_http_requests_total{method="POST",route="/invoke",status="401"} 1\n' in page
    assert "\nmignificient_http_handshakes_failed_total 1\n" in page


def test_plain_http_and_strangers_get_nothing_from_a_tls_port(secure, tmp_path):
    with socket.create_connection(("127.0.0.1", secure.node.port)) as raw:
        raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert not raw.recv(1000).startswith(b"HTTP/")
    other, _ = make_certificate(tmp_path, "other")
    with pytest.raises(ssl.SSLCertVerificationError):
        secure.connect(other).request("GET", "/healthz")


def test_a_caller_that_goes_away_from_tls_while_it_waits_is_not_run(secure, tmp_path):
    def start(payload, **fields):
        connection = secure.connect()
        body = secure.node.body("waits_for_file", str(payload), mig_instance="3g", **fields)
        connection.request("POST", "/invoke", body, bearer(ALICE))
        return connection

    first = start(tmp_path / "run")
    until((tmp_path / "run").exists, "the first runs")
    leaver = start(tmp_path / "never", uuid="leaver")
    leaver.close()
    secure.node.wait_for_line("invocation call=leaver .*status=503")
    (tmp_path / "run.go").touch()
    assert Answer(first.getresponse()).status == 200


def test_the_commands_speak_tls_with_a_token(secure):
    trusted = secure.run("ps", "--json", "--ca", secure.certificate, "--token", ALICE)
    assert (trusted.returncode, trusted.stdout) == (0, "[]\n"), trusted.stderr
    assert secure.run("ps", "--json", "--insecure", env={"MIGNIFICIENT_TOKEN": ROOT}).returncode == 0
    unknown = secure.run("ps", "--token", ALICE)
    assert unknown.returncode == 3 and "--ca" in unknown.stderr
    refused = secure.run("ps", "--ca", secure.certificate, "--token", "wrong")
    assert refused.returncode == 2 and "401 unauthenticated" in refused.stderr
    by_address = secure.run("ps", "--json", "--ca", secure.certificate, "--token", ALICE,
                            address=f"https://127.0.0.1:{secure.node.port}")
    assert by_address.returncode == 0, by_address.stderr


def load_report(secure, tmp_path, *arguments, status=0):
    description = tmp_path / "load.json"
    description.write_text(json.dumps({"iterations": 2, "parallel-requests": 3,
                                       "inputs": [json.loads(secure.node.body("echo", "x" * 100_000))]}))
    result = secure.run("bench", "--json", "--token", ALICE, "--user", "alice", *arguments, description)
    assert result.returncode == status, result.stdout + result.stderr
    return json.loads(result.stdout) if status == 0 else result.stderr


def test_bench_speaks_tls_in_closed_and_open_loops(secure, tmp_path):
    trusted = load_report(secure, tmp_path, "--ca", secure.certificate)
    assert trusted["succeeded"] == 9 and trusted["parameters"]["address"].startswith("https://")
    opened = load_report(secure, tmp_path, "--insecure", "--request-rate", 100, "--request-count", 10)
    assert opened["succeeded"] == 10


def test_bench_sends_nothing_to_a_node_that_it_does_not_trust(secure, tmp_path):
    other, _ = make_certificate(tmp_path, "other")
    assert "does not prove who it is" in load_report(secure, tmp_path, "--ca", other, status=3)
    assert "--ca FILE" in load_report(secure, tmp_path, status=3)
    assert "cannot be used" in load_report(secure, tmp_path, "--ca", tmp_path / "missing.pem", status=2)
    assert not [line for line in secure.node.lines if "invocation call=" in line]


def test_a_renewed_certificate_is_served_after_sighup_and_a_broken_one_is_not(secure, tmp_path):
    renewed, key = make_certificate(tmp_path, "renewed")
    os.rename(renewed, secure.certificate)
    secure.node.process.send_signal(signal.SIGHUP)
    secure.node.wait_for_line("certificate_kept")  # the key is another one's
    (tmp_path / "node.key").write_bytes(key.read_bytes())
    secure.node.process.send_signal(signal.SIGHUP)
    secure.node.wait_for_line("certificate_read")
    connection = secure.connect()  # trusts the renewed one only
    connection.request("GET", "/healthz")
    assert Answer(connection.getresponse()).status == 200


def test_a_key_without_a_certificate_is_refused(tmp_path):
    assert "http.tls.certificate" in refused_start(tmp_path, {"http": {"port": 0, "tls": {"key": "/x"}}})


# --- the command that makes tokens ---------------------------------------------------------------------------------


def test_a_made_token_opens_the_node_whose_file_has_its_line(make_node, tmp_path):
    made = subprocess.run([MIGNIFICIENT, "token", "new", "dave", "--json"], capture_output=True, text=True, check=True)
    made = json.loads(made.stdout)
    assert made["line"].startswith("dave sha256:") and made["token"] not in made["line"]
    plain = subprocess.run([MIGNIFICIENT, "token", "new", "erin", "--admin"], capture_output=True, text=True, check=True)
    assert plain.stdout.startswith("erin sha256:") and plain.stdout.endswith(" admin\n")
    token = plain.stderr.split()[1]
    node = make_node(auth={"tokens": write_private(tmp_path / "tokens", made["line"] + "\n" + plain.stdout)})
    assert invoke_as(node, made["token"], "dave").status == 200
    assert invoke_as(node, token, "dave").body == b"2"
    assert subprocess.run([MIGNIFICIENT, "token", "new", "a b"], capture_output=True, check=False).returncode == 2
