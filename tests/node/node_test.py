"""The life and the death of invocations, across real processes."""
import json
import os
import pathlib
import signal
import socket

import pytest

from conftest import FOLDER, FUNCTIONS, Answer, alive, until


def test_a_function_answers_with_its_bytes_and_where_it_ran(node):
    answer = node.invoke("echo", "hello", uuid="call-1", headers={"traceparent": "00-abc-def-01"})
    assert (answer.status, answer.body) == (200, b"hello")
    assert answer.headers["X-Call-Id"] == "call-1"
    assert answer.headers["X-Start-Type"] == "cold"
    assert answer.headers["traceparent"] == "00-abc-def-01"
    assert answer.headers["X-MIGnificient-Partition"].split()[0] in ("3g.3gb", "4g.4gb")
    names = [part.split(";")[0].strip() for part in answer.headers["Server-Timing"].split(",")]
    assert names == ["queue", "spawn", "context", "attach", "exec", "total"]


def test_a_container_is_reused_by_its_user_and_function_only(node):
    assert node.invoke("count").body == b"1"
    warm = node.invoke("count")
    assert (warm.body, warm.headers["X-Start-Type"]) == (b"2", "warm")
    assert node.invoke("count", user="bob").body == b"1"
    assert node.invoke("other", function_handler="count").body == b"1"
    assert len(node.containers()) == 3
    assert [c["user"] for c in json.loads(node.request("GET", "/containers?user=bob").body)["containers"]] == ["bob"]


def test_a_handler_may_return_size_t_and_take_binary_payloads_in_text(node):
    payload = "null \0 newline \n umlaut ä"
    assert node.invoke("echo_size_t", payload).body == payload.encode()


def test_the_gate_is_open_for_the_owner_of_the_turn(node):
    assert node.invoke("gate").body == b"3"


def test_several_connections_are_served_in_turns(node):
    connections = [node.start("count", mig_instance="3g") for _ in range(8)]
    counts = {int(Answer(c.getresponse()).body) for c in connections}
    assert counts == set(range(1, 9))
    assert len(node.containers()) == 1


def test_keep_alive_serves_many_requests_on_one_connection(node):
    connection = node.connect()
    for i in range(5):
        connection.request("POST", "/invoke", node.body("echo", str(i)))
        assert connection.getresponse().read() == str(i).encode()


@pytest.mark.parametrize("function, words", [
    ("negative", ["returned -7", "about to fail"]),
    ("too_large", ["limits.result is"]),
    ("throws", ["out of paper"]),
    ("throws_number", ["not a std::exception"]),
])
def test_a_function_that_fails_is_a_function_error_and_its_container_lives(node, function, words):
    answer = node.invoke(function)
    assert (answer.status, answer.type) == (500, "function_error")
    for word in words:
        assert word in answer.error
    assert node.invoke(function).headers["X-Start-Type"] == "warm"


@pytest.mark.parametrize("function, words", [
    ("exits", ["exited with status 3"]),
    ("segfaults", ["signal 11 (SIGSEGV)", "last words"]),
    ("server_exits", ["GPU server", "exited with status 9"]),
    ("misuse", ["garbage in the ring"]),
])
def test_a_death_is_answered_at_once_and_leaves_nothing(node, function, words):
    answer = node.invoke(function)
    assert (answer.status, answer.type) == (502, "function_crashed")
    for word in words:
        assert word in answer.error
    node.until_no_container()
    assert not [pid for pid in node.pids if alive(pid)]
    assert node.invoke("echo", "after").body == b"after"


def test_the_gpu_server_killed_in_the_middle_is_answered(node):
    connection = node.start("waits")
    node.wait_for_line("container_started")
    until(lambda: node.containers()[0]["status"] == "running", "it runs")
    os.kill(node.containers()[0]["gpu-server-pid"], signal.SIGKILL)
    answer = Answer(connection.getresponse())
    assert (answer.status, answer.type) == (502, "function_crashed")
    assert "GPU server" in answer.error and "SIGKILL" in answer.error


def test_gpu_out_of_memory_has_its_own_answer(node):
    answer = node.invoke("out_of_memory")
    assert (answer.status, answer.type) == (507, "gpu_out_of_memory")
    assert "[100] MiB" in answer.error


def test_a_broken_context_is_not_given_to_the_next(node):
    assert node.invoke("device_error").status == 200
    assert node.invoke("device_error").headers["X-Start-Type"] == "cold"


def test_where_nothing_is_on_the_gpu_nobody_is_asked_to_drain(node):
    for _ in range(3):
        assert node.invoke("needs_no_drain").status == 200
    assert node.containers()[0]["invocations"] == 3


def test_the_gate_is_closed_after_an_end_without_a_drain_and_opens_again(node):
    """The second invocation, of another container, sees its gate open; the first's stays closed."""
    assert node.invoke("needs_no_drain", user="bob", mig_instance="3g").status == 200
    assert node.invoke("gate", mig_instance="3g").body == b"3"
    assert node.invoke("needs_no_drain", user="bob", mig_instance="3g").status == 200


@pytest.mark.parametrize("function", ["hangs", "waits", "never_drains", "leaves_a_child"])
def test_a_timeout_kills(node, function):
    answer = node.invoke(function, timeout=0.3)
    assert (answer.status, answer.type) == (504, "timeout")
    assert "0.3 s" in answer.error
    node.until_no_container()
    assert not [pid for pid in node.pids if alive(pid)]


def test_a_timeout_counts_the_wait_in_the_queue_and_kills_nobody_else(node, tmp_path):
    first = node.start("waits_for_file", str(tmp_path / "run"), mig_instance="3g")
    until((tmp_path / "run").exists, "the first runs")
    answer = node.invoke("echo", "x", mig_instance="3g", timeout=0.2)
    assert (answer.status, answer.type) == (504, "timeout")
    (tmp_path / "run.go").touch()
    assert Answer(first.getresponse()).status == 200


def test_who_waits_behind_a_crash_is_placed_again(node, tmp_path):
    first = node.start("waits_for_file", str(tmp_path / "run"), mig_instance="3g")
    until((tmp_path / "run").exists, "the first runs")
    second = node.start("waits_for_file", str(tmp_path / "second"), mig_instance="3g")
    (tmp_path / "second.go").touch()
    os.kill(node.containers()[0]["executor-pid"], signal.SIGKILL)
    assert Answer(first.getresponse()).type == "function_crashed"
    assert Answer(second.getresponse()).status == 200


def killed(node, which):
    """Kills a process of the one container, idle, and waits until it is dead: not until the node has seen it."""
    (container,) = node.containers()
    assert container["status"] == "idle"
    os.kill(container[which], signal.SIGKILL)
    until(lambda: not alive(container[which]), "it is dead")


@pytest.mark.parametrize("which", ["gpu-server-pid", "executor-pid"])
def test_a_process_that_died_while_its_container_was_idle_is_no_callers_matter(node, which):
    for _ in range(20):
        assert node.invoke("count").body == b"1"
        killed(node, which)
        assert node.invoke("count").body == b"1"
        (container,) = [c for c in node.containers() if c["status"] == "idle"]
        node.request("POST", "/kill", json.dumps({"user": "alice", "container": container["id"]}))
        node.until_no_container()


def test_a_context_that_breaks_while_its_container_is_idle_ends_it_at_once(node, tmp_path):
    assert node.invoke("device_error_later", str(tmp_path / "now")).status == 200
    assert [c["status"] for c in node.containers()] == ["idle"]
    (tmp_path / "now").touch()
    node.until_no_container()
    ending = node.wait_for_line("container_ending id=c-1 .*")
    assert "GPU context is broken" in ending.group(0)
    assert node.invoke("count").body == b"1"


def test_compatible_status_answers_200(make_node):
    node = make_node(**{"compatible-status": True})
    answer = node.invoke("waits", timeout=0.2)
    assert (answer.status, answer.type) == (200, "timeout")


def test_a_yield_lets_the_next_one_own_the_partition(node, tmp_path):
    first = node.start("yields", str(tmp_path / "run"), mig_instance="3g")
    until((tmp_path / "run").exists, "the first runs on the CPU")
    assert node.invoke("echo", "x", mig_instance="3g").body == b"x"
    (tmp_path / "run.go").touch()
    assert Answer(first.getresponse()).status == 200


def test_a_missing_handler_and_a_file_that_is_no_library(node, tmp_path):
    answer = node.invoke("nobody")
    assert (answer.status, answer.type) == (400, "bad_request")
    assert "function-handler" in answer.error and "nobody" in answer.error
    (tmp_path / "text.so").write_text("no library")
    answer = node.invoke("echo", function_path=str(tmp_path / "text.so"))
    assert (answer.status, answer.type) == (500, "function_error")
    assert "invalid ELF header" in answer.error or "file too short" in answer.error
    node.until_no_container()


def test_paths_that_are_not_allowed(node, tmp_path):
    assert node.invoke("echo", function_path="/etc/passwd").type == "forbidden"
    assert node.invoke("echo", function_path="/does/not/exist").status == 403
    (tmp_path / "link.so").symlink_to("/etc/passwd")
    assert node.invoke("echo", function_path=str(tmp_path / "link.so")).status == 403
    answer = node.invoke("echo", function_path=str(tmp_path / "none.so"))
    assert (answer.status, answer.type) == (400, "bad_request")


@pytest.mark.parametrize("fields, field", [
    ({"user": None}, "user"),
    ({"gpu_memory": "1"}, "gpu-memory"),
    ({"timeout": 0}, "timeout"),
    ({"mig_instance": "8g"}, "mig-instance"),
    ({"function_language": "cobol"}, "function-language"),
])
def test_bad_fields_are_named(node, fields, field):
    answer = node.invoke("echo", **fields)
    assert (answer.status, answer.type) == (400, "bad_request")
    assert f"[{field}]" in answer.error


def test_malformed_requests(node):
    assert node.request("POST", "/invoke", "{").type == "bad_request"
    assert node.request("POST", "/invoke", "").type == "bad_request"
    assert node.request("GET", "/nothing").type == "not_found"
    wrong = node.request("GET", "/invoke")
    assert (wrong.status, wrong.headers["Allow"]) == (405, "POST")
    with socket.create_connection(("127.0.0.1", node.port)) as raw:
        raw.sendall(b"what is this\r\n\r\n")
        assert raw.recv(1000).startswith(b"HTTP/1.1 400 ")


def test_what_can_never_fit_is_refused_at_once(node):
    answer = node.invoke("echo", gpu_memory=100000)
    assert (answer.status, answer.type) == (503, "no_capacity")
    assert "100000" in answer.error
    assert node.invoke("echo", mig_instance="7g").type == "no_capacity"


def test_a_payload_above_the_limit_is_refused_before_it_is_sent(make_node):
    node = make_node(limits={"payload": 1000})
    assert node.invoke("echo", "x" * 1001).type == "payload_too_large"
    with socket.create_connection(("127.0.0.1", node.port)) as raw:
        raw.sendall(b"POST /invoke HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
        assert raw.recv(1000).startswith(b"HTTP/1.1 413 ")
    assert node.invoke("echo", "x" * 1000).status == 200


def test_a_client_that_sends_nothing_more_is_let_go(make_node):
    node = make_node(http={"port": 0, "header-timeout": 0.1})
    with socket.create_connection(("127.0.0.1", node.port)) as raw:
        raw.sendall(b"POST /invoke HTTP/1.1\r\n")
        assert raw.recv(1000) == b""


def test_a_user_may_not_queue_without_end(make_node, tmp_path):
    node = make_node(limits={"queue": 2})
    running = [node.start("waits_for_file", str(tmp_path / "run"), mig_instance="3g") for _ in range(2)]
    until((tmp_path / "run").exists, "the first runs")
    refused = until(lambda: (a := node.invoke("nothing")).status == 429 and a, "both are known")
    assert (refused.type, refused.headers["Retry-After"]) == ("queue_full", "1")
    assert node.invoke("nothing", user="bob").status == 200
    (tmp_path / "run.go").touch()
    assert [Answer(c.getresponse()).status for c in running] == [200, 200]


def test_a_caller_that_goes_away_while_it_waits_is_not_run(node, tmp_path):
    first = node.start("waits_for_file", str(tmp_path / "run"), mig_instance="3g")
    until((tmp_path / "run").exists, "the first runs")
    leaver = node.start("waits_for_file", str(tmp_path / "never"), mig_instance="3g", uuid="leaver")
    leaver.close()
    node.wait_for_line("invocation call=leaver .*status=503")
    (tmp_path / "run.go").touch()
    assert Answer(first.getresponse()).status == 200
    assert node.invoke("echo", "next", mig_instance="3g").status == 200
    assert not (tmp_path / "never").exists()


def test_a_caller_that_goes_away_while_it_runs_changes_nothing_for_the_next(node, tmp_path):
    leaver = node.start("waits_for_file", str(tmp_path / "run"), mig_instance="3g", uuid="leaver")
    until((tmp_path / "run").exists, "it runs")
    leaver.close()
    (tmp_path / "run.go").touch()
    node.wait_for_line("invocation call=leaver .*status=200")
    assert node.invoke("waits_for_file", str(tmp_path / "run"), mig_instance="3g").headers["X-Start-Type"] == "warm"


def test_kill_ends_a_container_and_answers_who_runs_in_it(node):
    connection = node.start("waits")
    container = until(lambda: [c for c in node.containers() if c["status"] == "running"], "it runs")[0]
    wrong = node.request("POST", "/kill", json.dumps({"user": "bob", "container": container["id"]}))
    assert (wrong.status, wrong.type) == (404, "not_found")
    assert node.request("POST", "/kill", "{}").type == "bad_request"
    assert node.request("POST", "/kill", json.dumps({"user": "alice", "container": container["id"]})).status == 200
    answer = Answer(connection.getresponse())
    assert answer.type == "function_crashed" and "killed on request" in answer.error
    node.until_no_container()


def test_an_idle_container_makes_room_for_another_user(node):
    assert node.invoke("count", gpu_memory=3000, mig_instance="3g").status == 200
    assert node.invoke("count", gpu_memory=3000, mig_instance="3g", user="bob").status == 200
    node.wait_for_line("container_gone")
    assert [c["user"] for c in node.containers()] == ["bob"]


def test_a_process_that_a_function_detached_dies_with_its_container(node):
    pid = int(node.invoke("detaches").body)
    assert alive(pid)
    node.request("POST", "/kill", json.dumps({"user": "alice", "container": node.containers()[0]["id"]}))
    node.until_no_container()
    assert not alive(pid)


def test_a_function_sees_none_of_the_orchestrators_environment(make_node, monkeypatch):
    monkeypatch.setenv("MIGNIFICIENT_NAME", "secret")
    monkeypatch.setenv("TOKEN", "secret")
    text = make_node().invoke("environment").body.decode()
    assert "secret" not in text
    assert "MIGNIFICIENT_GPU_DOOR=" in text and "LD_LIBRARY_PATH=" in text


def test_a_functions_log_is_bounded(make_node):
    node = make_node(limits={"log": 65536})
    assert node.invoke("prints").status == 200
    log = pathlib.Path(node.containers()[0]["log"])
    until(lambda: "line 19999" in log.read_text(), "the last line is written")
    assert log.stat().st_size + log.with_name(log.name + ".1").stat().st_size <= 65536


def test_health_devices_and_the_unix_socket(make_node, tmp_path):
    node = make_node(http={"port": 0, "unix-socket": str(tmp_path / "node.sock")})
    assert node.request("GET", "/healthz").status == 200
    assert node.request("GET", "/readyz").status == 200
    devices = json.loads(node.request("GET", "/v1/devices").body)
    assert [i["mig_size"] for i in devices["gpus"][0]["instances"]] == ["3g", "4g"]
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(tmp_path / "node.sock"))
        raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert raw.recv(1000).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_shutdown_answers_everybody_and_leaves_no_process(node, tmp_path, signal_number):
    running = node.start("waits_for_file", str(tmp_path / "run"), mig_instance="3g")
    until((tmp_path / "run").exists, "the first runs")
    waiting = node.start("echo", mig_instance="3g", uuid="waiting")
    node.wait_for_line("container_started", 2)
    assert node.stop(signal_number) == 0
    for connection in (running, waiting):
        answer = Answer(connection.getresponse())
        assert (answer.status, answer.type) == (503, "no_capacity")
    assert not [pid for pid in node.pids if alive(pid)]


def test_shutdown_lets_what_runs_finish_within_its_grace(make_node, tmp_path):
    node = make_node(**{"shutdown-grace": 60})
    running = node.start("waits_for_file", str(tmp_path / "run"))
    until((tmp_path / "run").exists, "it runs")
    node.process.send_signal(signal.SIGTERM)
    node.wait_for_line("stopping")
    (tmp_path / "run.go").touch()
    assert Answer(running.getresponse()).status == 200
    assert node.process.wait(60) == 0


def test_a_killed_orchestrator_leaves_no_process(node, tmp_path):
    connection = node.start("waits_for_file", str(tmp_path / "run"))
    until((tmp_path / "run").exists, "it runs")
    assert len(node.pids) == 3  # executor, its keeper, GPU server
    node.stop(signal.SIGKILL)
    connection.close()
    until(lambda: not [pid for pid in node.pids if alive(pid)], "its children die with it")


def test_it_does_not_start_where_it_cannot_work(make_node, tmp_path):
    import subprocess
    node = make_node()
    config = json.loads((tmp_path / "orchestrator.json").read_text())
    for section, key, value, word in [("http", "port", node.port, "in use"),
                                      ("paths", "executor", "/no/such/program", "paths.executor"),
                                      ("http", "prot", 1, "Did you mean `http.port`")]:
        changed = json.loads(json.dumps(config))
        changed[section][key] = value
        (tmp_path / "bad.json").write_text(json.dumps(changed))
        done = subprocess.run([str(FOLDER / "node_test_serve"), str(tmp_path / "bad.json")], capture_output=True, text=True, timeout=60)
        assert done.returncode == 2
        assert word in done.stderr
