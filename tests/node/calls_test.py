"""Registered functions and asynchronous calls, across processes and across the node's death."""
import json
import os
import pathlib
import signal

import pytest

from conftest import FUNCTIONS, Answer, until

ALICE = "?user=alice"


@pytest.fixture
def make_durable(make_node, tmp_path):
    """Starts a node, or the next one in its place, with the same database."""
    def make(**overrides):
        paths = {"paths": {"state": str(tmp_path / "state")}}
        return make_node(**paths, **overrides)
    return make


def deploy(node, name, query=ALICE, **fields):
    spec = {"path": str(FUNCTIONS), "gpu-memory": 100}
    spec.update({key.replace("_", "-"): value for key, value in fields.items()})
    return node.request("PUT", f"/v1/functions/{name}{query}", json.dumps(spec))


def call_later(node, name, payload=b"", query=ALICE, headers=None):
    answer = node.request("POST", f"/async-function/{name}{query}", payload, headers)
    assert answer.status == 202, answer.body
    return answer.headers["X-Call-Id"]


def call_state(node, call, query=""):
    answer = node.request("GET", f"/v1/calls/{call}{query}")
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def wait_for(node, call):
    return call_state(node, call, "?wait=60")


def until_running(node, call):
    until(lambda: call_state(node, call)["status"] == "running", "the call runs")


def appended(path):
    return path.read_text().split() if path.exists() else []


def test_a_function_is_registered_called_changed_and_deleted(node):
    answer = deploy(node, "echo", content_type="text/plain")
    assert (answer.status, answer.headers["Location"]) == (201, "/v1/functions/echo")
    assert json.loads(answer.body)["handler"] == "echo"
    answer = node.request("POST", "/function/echo" + ALICE, b"any\0 bytes \xff", {"Content-Type": "image/png"})
    assert (answer.status, answer.body) == (200, b"any\0 bytes \xff")
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["X-Start-Type"] == "cold" and "exec;dur=" in answer.headers["Server-Timing"]
    assert deploy(node, "echo", handler="count").status == 200
    assert node.request("POST", "/function/echo" + ALICE).body == b"1"
    assert node.request("DELETE", "/v1/functions/echo" + ALICE).status == 200
    node.until_no_container()
    assert node.request("POST", "/function/echo" + ALICE).status == 404
    assert node.request("DELETE", "/v1/functions/echo" + ALICE).status == 404


def test_a_change_reaches_no_container_of_what_was_before(node, tmp_path):
    deploy(node, "f", handler="waits_for_file")
    connection = node.connect()
    connection.request("POST", "/function/f" + ALICE, str(tmp_path / "run"))
    until((tmp_path / "run").exists, "the call runs")
    assert deploy(node, "f", handler="waits_for_file", timeout=9).status == 200
    assert [c["status"] for c in node.containers()] == ["running"]
    (tmp_path / "run.go").touch()
    assert Answer(connection.getresponse()).status == 200
    node.until_no_container()


def test_functions_belong_to_their_user(node):
    deploy(node, "f", handler="count")
    deploy(node, "f", "?user=bob", handler="echo")
    assert node.request("POST", "/function/f" + ALICE, b"x").body == b"1"
    assert node.request("POST", "/function/f?user=bob", b"x").body == b"x"
    assert node.request("POST", "/function/f", b"x").status == 404  # of the user `default`
    both = json.loads(node.request("GET", "/v1/functions").body)["functions"]
    assert [f["user"] for f in both] == ["alice", "bob"]
    bobs = json.loads(node.request("GET", "/v1/functions?user=bob").body)["functions"]
    assert [f["handler"] for f in bobs] == ["echo"]


@pytest.mark.parametrize("fields, status, words", [
    ({"gpu_memory": "much"}, 400, ["[gpu-memory]", "\"much\"", "1 to 1000000000"]),
    ({"gpu_memroy": 1}, 400, ["[gpu-memroy]", "`gpu-memory`"]),
    ({"min_containers": 3, "max_containers": 2}, 400, ["[min-containers]", "max-containers (2)"]),
    ({"path": "/etc/passwd"}, 403, ["[path]", "functions.allowed-paths"]),
    ({"timeout": 1e6}, 400, ["[timeout]", "limits.timeout-max"]),
    ({"preload": ["torch"]}, 400, ["[preload]", "python only"]),
    ({"user": "bob"}, 400, ["[user]", "\"bob\"", "\"alice\""]),
])
def test_a_bad_specification_is_refused_by_field(node, fields, status, words):
    answer = deploy(node, "f", **fields)
    assert answer.status == status
    for word in words:
        assert word in answer.error
    assert node.request("GET", "/v1/functions/f" + ALICE).status == 404


def test_a_caller_may_narrow_the_timeout(node):
    deploy(node, "waits", timeout=50)
    answer = node.request("POST", "/function/waits" + ALICE, headers={"X-MIGnificient-Timeout": "0.2"})
    assert answer.status == 504 and "0.2 s" in answer.error
    answer = node.request("POST", "/function/waits" + ALICE, headers={"X-MIGnificient-Timeout": "soon"})
    assert answer.status == 400 and "X-MIGnificient-Timeout" in answer.error
    call = call_later(node, "waits", headers={"X-MIGnificient-Timeout": "0.2"})
    assert wait_for(node, call)["type"] == "timeout"
    answer = node.request("GET", f"/v1/calls/{call}/result")
    assert (answer.status, answer.type) == (504, "timeout")


def test_an_asynchronous_call_is_looked_up_with_its_result(node):
    deploy(node, "echo", content_type="text/plain")
    answer = node.request("POST", "/async-function/echo" + ALICE, b"bytes \xff")
    call = answer.headers["X-Call-Id"]
    assert (answer.status, answer.headers["Location"]) == (202, f"/v1/calls/{call}")
    state = wait_for(node, call)
    assert state["status"] == "done" and state["result-bytes"] == 7 and state["start-type"] == "cold"
    result = node.request("GET", state["result"])
    assert (result.status, result.body) == (200, b"bytes \xff")
    assert result.headers["Content-Type"] == "text/plain" and result.headers["X-Start-Type"] == "cold"
    assert result.headers["X-Call-Id"] == call
    listed = json.loads(node.request("GET", "/v1/calls?function=echo").body)["calls"]
    assert [c["id"] for c in listed] == [call]
    assert json.loads(node.request("GET", "/v1/calls?function=other").body)["calls"] == []
    assert node.request("GET", "/v1/calls/nothing").status == 404
    assert node.request("POST", "/async-function/nothing" + ALICE).status == 404


def test_a_call_that_fails_says_how(node):
    deploy(node, "throws")
    state = wait_for(node, call_later(node, "throws"))
    assert (state["status"], state["type"]) == ("failed", "function_error")
    assert "out of paper" in state["error"]


def test_a_queued_call_that_is_cancelled_never_runs(make_node, tmp_path):
    node = make_node(calls={"parallel": 1})
    deploy(node, "append")
    deploy(node, "waits_for_file")
    first = call_later(node, "waits_for_file", str(tmp_path / "run").encode())
    until((tmp_path / "run").exists, "the first runs")
    second = call_later(node, "append", f"{tmp_path}/log second".encode())
    state = json.loads(node.request("DELETE", f"/v1/calls/{second}").body)
    assert state["status"] == "cancelled" and "before it ran" in state["error"]
    assert node.request("GET", f"/v1/calls/{second}/result").status == 410
    (tmp_path / "run.go").touch()
    assert wait_for(node, first)["status"] == "done"
    third = call_later(node, "append", f"{tmp_path}/log third".encode())
    assert wait_for(node, third)["status"] == "done"
    assert appended(tmp_path / "log") == ["third"]
    assert json.loads(node.request("DELETE", f"/v1/calls/{third}").body)["status"] == "done"


def test_a_call_that_waits_for_its_turn_is_cancelled(node, tmp_path):
    deploy(node, "waits_for_file", mig_instance="3g")
    deploy(node, "append", mig_instance="3g")
    first = call_later(node, "waits_for_file", str(tmp_path / "run").encode())
    until((tmp_path / "run").exists, "the first runs")
    second = call_later(node, "append", f"{tmp_path}/log second".encode())
    assert json.loads(node.request("DELETE", f"/v1/calls/{second}").body)["status"] == "cancelled"
    (tmp_path / "run.go").touch()
    assert wait_for(node, first)["status"] == "done"
    assert appended(tmp_path / "log") == []


def test_a_running_call_that_is_cancelled_loses_its_container(node):
    deploy(node, "waits")
    call = call_later(node, "waits")
    until_running(node, call)
    state = json.loads(node.request("DELETE", f"/v1/calls/{call}").body)
    assert state["status"] == "cancelled" and "while it was running" in state["error"]
    node.until_no_container()


def test_the_queue_is_bounded_by_number_and_bytes(make_node, tmp_path):
    node = make_node(calls={"queue": 2, "queue-bytes": 300})
    deploy(node, "waits_for_file")
    deploy(node, "waits_for_file", "?user=bob")
    calls = [call_later(node, "waits_for_file", str(tmp_path / str(i)).encode()) for i in range(2)]
    answer = node.request("POST", "/async-function/waits_for_file" + ALICE, b"x")
    assert (answer.status, answer.type, answer.headers["Retry-After"]) == (429, "queue_full", "1")
    assert "calls.queue is 2" in answer.error
    answer = node.request("POST", "/async-function/waits_for_file?user=bob", b"x" * 301)
    assert answer.status == 429 and "calls.queue-bytes is 300" in answer.error
    for i, call in enumerate(calls):
        (tmp_path / f"{i}.go").touch()
        assert wait_for(node, call)["status"] == "done"
    call_later(node, "waits_for_file", str(tmp_path / "0").encode())


def test_results_are_kept_within_number_and_age(make_node):
    node = make_node(calls={"kept": 2})
    deploy(node, "echo")
    calls = []
    for i in range(3):
        calls.append(call_later(node, "echo", str(i).encode()))
        wait_for(node, calls[-1])
    assert node.request("GET", f"/v1/calls/{calls[0]}").status == 404
    assert [node.request("GET", f"/v1/calls/{c}/result").body for c in calls[1:]] == [b"1", b"2"]


def test_results_are_forgotten_after_their_time(make_node):
    node = make_node(calls={"keep": 0.05})
    deploy(node, "echo")
    call = call_later(node, "echo", b"x")
    until(lambda: node.request("GET", f"/v1/calls/{call}").status == 404, "the call is forgotten")


def test_a_payload_above_the_limit_is_refused(make_node):
    node = make_node(limits={"payload": 1000})
    deploy(node, "echo")
    for path in ("/function/echo", "/async-function/echo"):
        answer = node.request("POST", path + ALICE, b"x" * 1001)
        assert (answer.status, answer.type) == (413, "payload_too_large")


def test_the_caller_of_a_call_that_waits_in_a_full_node_need_not_try_again(make_node, tmp_path):
    node = make_node(limits={"queue": 1})
    deploy(node, "waits_for_file")
    deploy(node, "echo")
    first = call_later(node, "waits_for_file", str(tmp_path / "run").encode())
    until((tmp_path / "run").exists, "the first runs")
    second = call_later(node, "echo", b"x")
    assert node.request("POST", "/function/echo" + ALICE, b"x").status == 429
    (tmp_path / "run.go").touch()
    assert wait_for(node, first)["status"] == "done"
    assert wait_for(node, second)["status"] == "done"


def test_functions_and_calls_survive_a_restart(make_durable, tmp_path):
    node = make_durable(calls={"parallel": 1})
    deploy(node, "echo", timeout=7)
    deploy(node, "append")
    deploy(node, "waits_for_file")
    done = call_later(node, "echo", b"kept")
    assert wait_for(node, done)["status"] == "done"
    running = call_later(node, "waits_for_file", str(tmp_path / "run").encode())
    until((tmp_path / "run").exists, "it runs")
    queued = call_later(node, "append", f"{tmp_path}/log queued".encode())
    assert node.stop() == 0
    assert appended(tmp_path / "log") == []

    node = make_durable()
    assert json.loads(node.request("GET", "/v1/functions/echo" + ALICE).body)["timeout"] == 7
    assert node.request("GET", f"/v1/calls/{done}/result").body == b"kept"
    state = call_state(node, running)
    assert state["status"] == "lost" and "stopped while this call was running" in state["error"]
    assert wait_for(node, queued)["status"] == "done"
    assert appended(tmp_path / "log") == ["queued"]


def test_after_a_kill_queued_calls_run_once_and_running_ones_are_lost(make_durable, tmp_path):
    """Whenever the node dies, each call has run at most once, and each that did not is told apart."""
    node = make_durable(calls={"parallel": 4})
    for name in ("append", "append_and_wait"):
        deploy(node, name, mig_instance="3g")
    running = call_later(node, "append_and_wait", f"{tmp_path}/log running".encode())
    until_running(node, running)
    until(lambda: appended(tmp_path / "log"), "it has written")
    names = [f"call-{i}" for i in range(12)]
    queued = [call_later(node, "append", f"{tmp_path}/log {name}".encode()) for name in names]
    node.stop(signal.SIGKILL)

    node = make_durable()
    node.wait_for_line(r"state .*queued=12 lost=1")
    assert [wait_for(node, call)["status"] for call in queued] == ["done"] * 12
    state = call_state(node, running)
    assert state["status"] == "lost" and "died while this call was running" in state["error"]
    answer = node.request("GET", f"/v1/calls/{running}/result")
    assert (answer.status, answer.type) == (502, "lost")
    assert sorted(appended(tmp_path / "log")) == sorted(["running"] + names)



@pytest.mark.parametrize("after", [1, 3, 8])
def test_a_kill_in_the_middle_of_many_calls_runs_none_twice(make_durable, tmp_path, after):
    node = make_durable()
    deploy(node, "append")
    names = [f"call-{i}" for i in range(30)]
    calls = {name: call_later(node, "append", f"{tmp_path}/log {name}".encode()) for name in names}
    until(lambda: len(appended(tmp_path / "log")) >= after, "some have run")
    node.stop(signal.SIGKILL)

    node = make_durable()
    states = {name: wait_for(node, call)["status"] for name, call in calls.items()}
    log = appended(tmp_path / "log")
    assert len(log) == len(set(log)), "a call ran twice"
    assert set(states.values()) <= {"done", "lost"}
    for name, state in states.items():
        assert state == "lost" or name in log


def test_two_nodes_do_not_share_a_database(make_durable, tmp_path):
    make_durable()
    with pytest.raises(AssertionError, match="Another node uses it"):
        make_durable()


def test_without_a_folder_nothing_survives_and_the_log_says_so(make_node):
    node = make_node()
    node.wait_for_line("paths.state is empty")
    deploy(node, "echo")
    node.stop()
    assert make_node().request("GET", "/v1/functions/echo" + ALICE).status == 404


def test_the_database_is_its_owners_alone(make_durable, tmp_path):
    make_durable()
    for file in pathlib.Path(tmp_path / "state").iterdir():
        assert os.stat(file).st_mode & 0o077 == 0, file


def test_the_description_of_the_routes_is_served(node):
    description = json.loads(node.request("GET", "/openapi.json").body)
    assert "/async-function/{name}" in description["paths"]


def test_a_path_that_has_other_methods_names_them(node):
    answer = node.request("POST", "/v1/functions/f", b"")
    assert answer.status == 405 and answer.headers["Allow"] == "PUT, GET, DELETE"
