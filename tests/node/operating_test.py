"""What an operator looks at: top, logs, ps, doctor, metrics."""
import http.client
import json
import os
import pathlib
import pty
import re
import select
import signal
import socket
import subprocess
import time

import pytest

from conftest import BUILD, FUNCTIONS, Answer, until

MIGNIFICIENT = BUILD / "bin" / "mignificient"
SAMPLE = re.compile(r'^([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\]|\\.)*",?)*)\})? (\S+)$')


def run(node, command, *arguments):
    return subprocess.run([MIGNIFICIENT, command, "--address", f"http://127.0.0.1:{node.port}", *map(str, arguments)],
                          capture_output=True, text=True, timeout=60, check=False)


def metrics(node):
    """The page, read as strictly as Prometheus does: {(name, labels): value}, {name: type}."""
    answer = node.request("GET", "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    values, types = {}, {}
    for line in answer.body.decode().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types and kind in ("counter", "gauge", "histogram")
            types[name] = kind
        elif not line.startswith("# HELP "):
            found = SAMPLE.match(line)
            assert found, line
            name, labels, value = found.groups()
            assert re.sub("_(bucket|sum|count)$", "", name) in types or name in types
            key = (name, tuple(sorted(re.findall(r'([a-z]+)="((?:[^"\\]|\\.)*)"', labels or ""))))
            assert key not in values
            values[key] = float(value)
    return values, types


def test_metrics_count_invocations_and_show_the_partitions(node):
    assert node.invoke("count").status == node.invoke("count").status == 200
    assert node.invoke("negative").status == 500
    assert node.invoke("echo", gpu_memory=10**6).status == 503
    values, types = metrics(node)
    assert all(name.startswith("mignificient_") for name in types)

    def invocations(outcome, start):
        return values.get(("mignificient_invocations_total", (("outcome", outcome), ("start", start))))

    assert invocations("ok", "cold") == 1 and invocations("ok", "warm") == 1
    assert invocations("function_error", "cold") == 1 and invocations("no_capacity", "none") == 1
    assert values["mignificient_invocation_duration_seconds_count", ()] == 4
    assert values["mignificient_container_start_seconds_count", ()] == 2
    buckets = [value for (name, _), value in values.items() if name == "mignificient_invocation_duration_seconds_bucket"]
    assert buckets == sorted(buckets) and buckets[-1] == 4
    assert values["mignificient_containers", (("state", "idle"),)] == 2
    assert values["mignificient_queue_length", ()] == 0
    memory = {dict(labels)["instance"]: value for (name, labels), value in values.items()
              if name == "mignificient_partition_memory_bytes"}
    assert memory == {"3g.3gb": 3 << 30, "4g.4gb": 4 << 30}
    free = sum(value for (name, _), value in values.items() if name == "mignificient_partition_memory_free_bytes")
    assert free == (7 << 30) - 2 * (100 << 20)


def test_the_pid_of_an_executor_is_that_of_the_process_that_runs_the_function(make_node):
    folder = pathlib.Path(__file__).parent
    node = make_node(functions={"allowed-paths": [str(FUNCTIONS.parent), str(folder)]})
    answer = node.invoke("own_pid")
    (container,) = node.containers()
    assert answer.body == str(container["executor-pid"]).encode()
    python = node.invoke("own_pid", function_path=str(folder / "functions.py"))
    assert python.body.decode() in {str(c["executor-pid"]) for c in node.containers()}
    shown = run(node, "ps", "--user", "alice", "--columns", "executor-pid").stdout
    assert answer.body.decode() in shown and python.body.decode() in shown


def test_metrics_count_requests_by_route_and_status(make_node):
    node = make_node(limits={"payload": 1000})
    kept = node.connect()
    for _ in range(3):
        kept.request("POST", "/invoke", node.body("echo", "x" * 100))
        assert Answer(kept.getresponse()).status == 200
    assert node.request("POST", "/invoke", "no JSON").status == 400
    assert node.request("POST", "/invoke", "x" * 10**6).status == 413
    assert node.request("POST", "/function/unknown").status == node.request("GET", "/v1/calls/x").status == 404
    assert node.request("GET", "/nowhere").status == 404 and node.request("GET", "/invoke").status == 405
    with socket.create_connection(("127.0.0.1", node.port)) as raw:
        raw.sendall(b"nonsense\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 400")
    values, types = metrics(node)
    requests = {tuple(value for _, value in labels): count for (name, labels), count in values.items()
                if name == "mignificient_http_requests_total"}
    assert requests == {
        ("POST", "/invoke", "200"): 3, ("POST", "/invoke", "400"): 1, ("POST", "/invoke", "413"): 1,
        ("POST", "/function/{name}", "404"): 1, ("GET", "/v1/calls/{id}", "404"): 1,
        ("none", "none", "404"): 1, ("none", "none", "405"): 1, ("none", "none", "400"): 1,
    }
    assert types["mignificient_http_requests_total"] == "counter"
    assert values["mignificient_http_connections_total", ()] == 9  # with this one
    assert values["mignificient_http_connections", ()] >= 2 and types["mignificient_http_connections"] == "gauge"
    assert values["mignificient_http_received_bytes_total", ()] > 300
    assert values["mignificient_http_sent_bytes_total", ()] > 300
    before = values["mignificient_http_sent_bytes_total", ()]
    page = len(node.request("GET", "/metrics").body)
    assert metrics(node)[0]["mignificient_http_sent_bytes_total", ()] > before + page


def test_metrics_count_connections_that_are_one_too_many(make_node):
    node = make_node(http={"port": 0, "connections": 1})
    first = node.connect()
    first.connect()
    first.request("GET", "/healthz")
    assert Answer(first.getresponse()).status == 200
    with socket.create_connection(("127.0.0.1", node.port)) as second:
        assert second.recv(100) == b""
    first.request("GET", "/metrics")
    page = Answer(first.getresponse()).body.decode()
    assert "\nmignificient_http_connections_refused_total 1\n" in page
    assert "\nmignificient_http_connections 1\n" in page


def test_status_and_top_tell_who_has_which_partition(node, tmp_path):
    running = node.start("waits_for_file", str(tmp_path / "run"), mig_instance="3g", gpu_memory=512)
    until((tmp_path / "run").exists, "it runs")
    status = json.loads(node.request("GET", "/v1/status").body)
    busy = [partition for partition in status["partitions"] if partition["busy"]]
    assert [(p["instance"], p["memory"] - p["memory-free"], p["running"]) for p in busy] == [("3g.3gb", 512, 1)]
    assert busy[0]["owner"] == {"container": "c-1", "user": "alice", "function": "waits_for_file"}
    assert (status["running"], status["waiting"]) == (1, 0)
    top = run(node, "top", "--once")
    assert top.returncode == 0, top.stderr
    assert "1 running, 0 waiting" in top.stdout and "512/3072" in top.stdout
    assert re.search(r"MIG-software-0 +3g.3gb +#+\.+ .* c-1 alice/waits_for_file", top.stdout)
    assert re.search(r"c-1 +alice +waits_for_file +running", top.stdout)
    assert "\033" not in top.stdout
    assert json.loads(run(node, "top", "--json").stdout)["running"] == 1
    (tmp_path / "run.go").touch()
    assert Answer(running.getresponse()).status == 200


def read_until(terminal, text, seen=b""):
    end = time.monotonic() + 60
    while text not in seen and time.monotonic() < end:
        if select.select([terminal], [], [], 1)[0]:
            seen += os.read(terminal, 65536)
    assert text in seen, seen
    return seen


@pytest.mark.parametrize("leave", ["q", "signal"])
def test_top_refreshes_and_leaves_the_terminal_as_it_was(node, leave):
    terminal, tty = pty.openpty()
    before = subprocess.run(["stty", "-g"], stdin=tty, capture_output=True, check=True).stdout
    top = subprocess.Popen([MIGNIFICIENT, "top", "--interval", "0.1", "--address", f"http://127.0.0.1:{node.port}"],
                           stdin=tty, stdout=tty, stderr=tty)
    seen = read_until(terminal, b"No containers")
    assert b"\033[?1049h" in seen and b"\033[?25l" in seen
    node.invoke("count")
    read_until(terminal, b"idle")
    os.write(terminal, b"q") if leave == "q" else top.send_signal(signal.SIGINT)
    seen = read_until(terminal, b"\033[?1049l")
    assert b"\033[?25h" in seen
    assert top.wait(60) == 0
    assert subprocess.run(["stty", "-g"], stdin=tty, capture_output=True, check=True).stdout == before
    os.close(tty)
    os.close(terminal)


def test_logs_of_a_container_that_lives_and_of_one_that_has_ended(node):
    node.invoke("prints")
    container = node.containers()[0]["id"]
    path = f"/v1/containers/{container}/logs"
    until(lambda: b"line 19999 of many\n" in node.request("GET", path).body, "the last line is there")
    answer = node.request("GET", path + "?tail=19")
    assert (answer.body, answer.headers["Transfer-Encoding"]) == (b"line 19999 of many\n", "chunked")
    assert len(node.request("GET", path + "?tail=1000").body) == 1000
    assert len(node.request("GET", path).body) == 65536
    whole = node.request("GET", path + "?tail=1000000").body.decode()
    assert re.findall(r"line (\d+)", whole) == [str(i) for i in range(20000)]
    command = run(node, "logs", "--tail", 19, container)
    assert (command.returncode, command.stdout) == (0, "line 19999 of many\n")
    node.request("POST", "/kill", json.dumps({"user": "alice", "container": container}))
    node.until_no_container()
    assert node.request("GET", path + "?tail=19").body == b"line 19999 of many\n"
    for wrong in ("tail=-1", "tail=x", "tail=99999999999", "follow=perhaps"):
        assert node.request("GET", f"{path}?{wrong}").type == "bad_request"
    assert node.request("GET", "/v1/containers/c-99/logs").type == "not_found"
    assert run(node, "logs", "c-99").returncode == 5


def test_logs_of_old_containers_are_removed(make_node):
    node = make_node(limits={"ended-logs": 1})
    for i in range(2):
        assert node.invoke("exits").type == "function_crashed"
        node.wait_for_line("container_gone", i + 1)
    until(lambda: node.request("GET", "/v1/containers/c-1/logs").status == 404, "the first is forgotten")
    assert node.request("GET", "/v1/containers/c-2/logs").status == 200
    assert sorted(path.name for path in (node.folder / "logs").iterdir()) == ["c-2.log"]


def test_logs_are_followed_until_the_container_ends(node):
    node.invoke("count")
    container = node.containers()[0]["id"]
    follower = subprocess.Popen([MIGNIFICIENT, "logs", "-f", container, "--address", f"http://127.0.0.1:{node.port}"],
                                stdout=subprocess.PIPE, text=True)
    for word in ("first", "second"):
        print_line(node, container, word)
        assert word in follower.stdout.readline()
    node.request("POST", "/kill", json.dumps({"user": "alice", "container": container}))
    assert follower.wait(60) == 0
    follower.stdout.close()


def print_line(node, container, word):
    """Into the pipe that the container's log is read from."""
    executor = next(c for c in node.containers() if c["id"] == container)["executor-pid"]
    with open(f"/proc/{executor}/fd/1", "w") as out:
        out.write(word + "\n")


def test_a_follower_that_goes_away_frees_its_connection(make_node):
    node = make_node(http={"port": 0, "connections": 2})
    node.invoke("count")

    def follow():
        connection = node.connect()
        try:
            connection.request("GET", "/v1/containers/c-1/logs?follow=true")
            return connection.getresponse().status == 200 and connection
        except (OSError, http.client.HTTPException):  # the connection of the request before this one is still there
            return None

    followers = [until(follow, "it follows") for _ in range(2)]
    for follower in followers:
        follower.close()

    def answers():
        try:
            return node.request("GET", "/healthz").status == 200
        except (OSError, http.client.HTTPException):
            return False

    until(answers, "there is room for a connection again")


def test_followers_do_not_hold_up_the_end_of_the_node(node):
    node.invoke("count")
    follower = node.connect()
    follower.request("GET", f"/v1/containers/{node.containers()[0]['id']}/logs?follow=true")
    answer = follower.getresponse()
    assert node.stop() == 0
    assert answer.read() == b""


def test_ps_shows_the_columns_that_are_asked_for(node):
    node.invoke("count")
    assert run(node, "ps", "--columns", "id,user,status").stdout == "id   user   status\nc-1  alice  idle\n"
    wrong = run(node, "ps", "--columns", "id,usr")
    assert wrong.returncode == 2 and "Did you mean `user`?" in wrong.stderr
    assert json.loads(run(node, "ps", "--json").stdout)[0]["id"] == "c-1"


def test_kill_ends_a_container(node):
    node.invoke("count")
    assert run(node, "kill", "c-1", "--user", "bob").returncode == 5
    assert run(node, "kill", "c-1", "--user", "alice").returncode == 0
    node.until_no_container()


def test_doctor_says_what_the_host_offers():
    text = subprocess.run([MIGNIFICIENT, "doctor"], capture_output=True, text=True, timeout=60, check=False)
    report = subprocess.run([MIGNIFICIENT, "doctor", "--json"], capture_output=True, text=True, timeout=60, check=False)
    report = json.loads(report.stdout)
    checks = {check["name"]: check for check in report["checks"]}
    for name in ("installation", "kernel", "memfd sealing", "pidfd", "membarrier", "futex_waitv", "user namespaces",
                 "cgroups v2", "huge pages", "locked memory", "python"):
        assert checks[name]["state"] in ("ok", "warning", "missing")
        assert checks[name]["found"]
        assert checks[name]["state"] == "ok" or checks[name]["advice"], name
        assert re.search(f"^{checks[name]['state']} +{name} ", text.stdout, re.MULTILINE)
    assert "gpus" in checks or "gpu" in checks
    assert report["isolation"]
    needed = all(check["state"] != "missing" for check in checks.values() if check["required"])
    assert text.returncode == (0 if needed else 2)
