"""The command line itself: what it refuses, what it exits with. Needs no GPU, no GPU server and no node: where a node
must answer, a few lines of Python do."""
import contextlib
import http.server
import json
import threading

import pytest

from node import EXAMPLES, mignificient


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(json.loads(body) if self.headers["Content-Type"] == "application/json" else body)
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        self.server.authorizations.append(self.headers["Authorization"])
        status, headers, body = self.server.reply
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def answering(status, headers=None, body=b""):
    """A server that gives one answer to everything; keeps what was posted to it."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    server.reply = (status, headers or {}, body)
    server.bodies, server.authorizations = [], []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def error(sentence, kind):
    return {"X-Function-Error": kind}, json.dumps({"result": None, "error": sentence, "type": kind}).encode()


def test_no_command_names_the_commands():
    result = mignificient()
    assert result.returncode == 2
    assert "serve" in result.stderr and "invoke" in result.stderr


@pytest.mark.parametrize("arguments, complaint", [
    (["invok"], "Command (invok) is unknown. Did you mean `invoke`?"),
    (["frobnicate"], "Command (frobnicate) is unknown. See"),
    (["invoke", "--gpu-memroy", "5"], "Option (--gpu-memroy) is unknown. Did you mean `--gpu-memory`?"),
    (["bench", "--request-rat=5", "x.json"], "Did you mean `--request-rate`?"),
    (["config", "chek", "x"], "Command (chek) is unknown. Did you mean `check`?"),
    (["config"], "Name a command: check."),
    (["bench"], "Name what to load"),
    (["bench", "a.json", "b.csv", "c"], "Argument (c) is unknown."),
    (["bench", "a.json", "--request-distribution", "gauss"], "gauss"),
    (["invoke", "--timeout", "soon", "f"], "--timeout"),
    (["run"], "Write `--` before the program"),
    (["run", "./program"], "Write `--` before the program"),
    (["run", "--gpu-memory", "much", "--", "./program"], "--gpu-memory"),
    (["run", "--", ""], "Write `--` before the program"),
])
def test_usage_errors_exit_with_2_and_say_why(arguments, complaint):
    result = mignificient(*arguments)
    assert result.returncode == 2
    assert complaint in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("command", ["serve", "invoke", "deploy", "functions", "calls", "bench", "run", "devices",
                                     "mig", "ps", "kill", "top", "logs", "doctor", "token", "config", "version"])
def test_each_command_has_help(command):
    result = mignificient(command, "--help")
    assert result.returncode == 0
    assert command in result.stdout


def test_version_in_both_forms():
    plain, as_json = mignificient("version"), mignificient("version", "--json")
    assert plain.stdout == f"mignificient {json.loads(as_json.stdout)['version']}\n"


@pytest.mark.parametrize("arguments", [["invoke", "f"], ["ps"], ["kill", "c"], ["functions"], ["calls"],
                                       ["deploy", "f", "--path", "f.so"], ["calls", "wait", "c"]])
def test_nobody_there_exits_with_3(arguments):
    result = mignificient(*arguments, "--address", "unix:/no/such/socket")
    assert result.returncode == 3
    assert "No node answers at unix:/no/such/socket" in result.stderr


def test_bench_without_a_node_exits_with_3():
    result = mignificient("bench", "--address", "unix:/no/such/socket", EXAMPLES / "vector_add_ptx.json")
    assert result.returncode == 3


def test_address_comes_from_the_environment_and_the_command_line_wins():
    with answering(200, body=b"[]") as server:
        assert mignificient("ps", env={"MIGNIFICIENT_ADDRESS": server.address}).returncode == 0
        assert mignificient("ps", "--address", "unix:/no/such/socket",
                            env={"MIGNIFICIENT_ADDRESS": server.address}).returncode == 3


@pytest.mark.parametrize("arguments", [["invoke", "f"], ["ps"], ["kill", "c"], ["functions"], ["calls"]])
def test_token_goes_with_every_command_as_a_bearer_token(arguments):
    with answering(200, body=b"[]") as server:
        mignificient(*arguments, "--address", server.address, env={"MIGNIFICIENT_TOKEN": "from-environment"})
        mignificient(*arguments, "--address", server.address, "--token", "given",
                     env={"MIGNIFICIENT_TOKEN": "from-environment"})
        mignificient(*arguments, "--address", server.address)
    assert server.authorizations == ["Bearer from-environment", "Bearer given", None]


def test_a_token_that_would_break_the_header_is_refused():
    result = mignificient("ps", "--token", "a\r\nX-Admin: 1")
    assert result.returncode == 2
    assert "visible ASCII" in result.stderr and "X-Admin" not in result.stderr


@pytest.mark.parametrize("status, kind, exit_status", [
    (400, "bad_request", 2), (401, "unauthenticated", 2), (403, "forbidden", 2), (404, "not_found", 5),
    (413, "payload_too_large", 2), (429, "queue_full", 4), (500, "function_error", 1), (502, "function_crashed", 1),
    (503, "no_capacity", 4), (504, "timeout", 124), (507, "gpu_out_of_memory", 137),
    (200, "timeout", 124), (200, "gpu_out_of_memory", 137),  # compatible-status
])
def test_exit_status_of_each_error(status, kind, exit_status):
    with answering(status, *error("It is so.", kind)) as server:
        result = mignificient("invoke", "f", "--address", server.address)
    assert result.returncode == exit_status
    assert f"It is so. [{status} {kind}]" in result.stderr
    assert result.stdout == ""


def test_result_bytes_are_untouched_and_notices_go_to_standard_error():
    headers = {"X-Start-Type": "warm", "Server-Timing": "queue;dur=0.1", "X-Call-Id": "c-1"}
    with answering(200, headers, b"no newline") as server:
        result = mignificient("invoke", "f", "--address", server.address)
        quiet = mignificient("invoke", "f", "-q", "--address", server.address)
    assert result.stdout == "no newline"
    assert result.stderr.startswith("warm start, ")
    assert "queue;dur=0.1" in result.stderr and "c-1" in result.stderr
    assert (quiet.stdout, quiet.stderr) == ("no newline", "")


def test_flags_override_the_description(tmp_path):
    description = tmp_path / "load.json"
    description.write_text(json.dumps({"inputs": [{"function": "f", "function-path": "f.so", "gpu-memory": 1,
                                                   "mig-instance": "any", "input-payload": "from the file"}]}))
    with answering(200) as server:
        mignificient("invoke", description, "--address", server.address)
        mignificient("invoke", description, "--address", server.address, "-d", "given", "--user", "u",
                     "--gpu-memory", "7", "--timeout", "1.5", "--module", "a", "--module", "b")
    first, second = server.bodies
    assert first["function-path"] == str(tmp_path / "f.so")
    assert (first["input-payload"], first["user"], first["gpu-memory"]) == ("from the file", "user", 1)
    assert (second["input-payload"], second["user"], second["gpu-memory"]) == ("given", "u", 7)
    assert (second["timeout"], second["modules"]) == (1.5, ["a", "b"])


def test_bench_names_workers_and_users_as_the_original_did(tmp_path):
    description = tmp_path / "load.json"
    with answering(200) as server:
        description.write_text(json.dumps({"address": server.address, "iterations": 2, "parallel-requests": 2,
                                           "different-users": True, "inputs": [{"function": "a"}, {"function": "b"}]}))
        assert mignificient("bench", description, tmp_path / "out.csv").returncode == 0
        sent = {(body["uuid"], body["user"], body["function"]) for body in server.bodies}
    assert sent == {(f"invoc-{i}-{w}", f"user-{w}", "ab"[w]) for i in range(3) for w in range(2)}


def test_bench_counts_refusals_and_exits_with_4(tmp_path):
    description = tmp_path / "load.json"
    with answering(429, *error("Too many.", "queue_full")) as server:
        description.write_text(json.dumps({"address": server.address, "inputs": {"function": "a"}}))
        result = mignificient("bench", "--json", description)
    assert result.returncode == 4
    refused = json.loads(result.stdout)["errors"]["queue_full"]
    assert (refused["count"], refused["first"]) == (2, "Too many.")


def test_bad_description_exits_with_2_and_names_the_key(tmp_path):
    description = tmp_path / "load.json"
    description.write_text('{"iteratoins": 3}')
    result = mignificient("bench", description)
    assert result.returncode == 2
    assert "Did you mean `iterations`?" in result.stderr
    assert mignificient("bench", tmp_path / "none.json").returncode == 2


def test_csv_that_cannot_be_written(tmp_path):
    with answering(200) as server:
        result = mignificient("bench", "--address", server.address, EXAMPLES / "vector_add_ptx.json",
                              tmp_path / "no/such/folder.csv")
    assert result.returncode == 1
    assert "cannot be written" in result.stderr


def test_config_check_prints_the_effective_configuration(tmp_path):
    file = tmp_path / "orchestrator.json"
    file.write_text("{} // everything has a default")
    result = mignificient("config", "check", file)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["http"]["port"] == 10000


@pytest.mark.parametrize("text, complaint", [
    ("{", "JSON"),
    ('{"sharing-modle": "sequential"}', "sharing-model"),
    ('{"sharing-model": "all"}', "sequential"),
    ('{"http": {"port": "x"}}', "port"),
])
def test_config_check_refuses_and_exits_with_2(tmp_path, text, complaint):
    file = tmp_path / "orchestrator.json"
    file.write_text(text)
    result = mignificient("config", "check", file)
    assert result.returncode == 2
    assert complaint in result.stderr


def test_serve_refuses_a_bad_configuration_with_2(tmp_path):
    file = tmp_path / "orchestrator.json"
    file.write_text('{"sharing-modle": "sequential"}')
    result = mignificient("serve", "--config", file)
    assert result.returncode == 2
    assert "sharing-model" in result.stderr


def test_devices_prints_the_software_gpu_where_there_is_no_other():
    result = mignificient("devices")
    assert result.returncode == 0, result.stderr
    devices = json.loads(result.stdout)
    assert all(gpu["uuid"] and gpu["memory"] > 0 for gpu in devices["gpus"])
