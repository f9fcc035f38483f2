"""Containers of one user on one GPU server (gpu-server.share: user): what they share, and what they do not."""
import json
import os
import pathlib
import signal

import pytest

from conftest import BUILD, Answer, alive, until

EXAMPLE = BUILD / "examples" / "libvector_add_ptx.so"


@pytest.fixture
def node(make_node):
    return make_node(**{"gpu-server": {"driver": "cpu", "share": "user"}})


def servers(node):
    return {c["id"]: c["gpu-server-pid"] for c in node.containers()}


def kill(node, container, user="alice"):
    return node.request("POST", "/kill", json.dumps({"user": user, "container": container}))


def memfds(pid):
    links = [os.readlink(entry) for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()]
    return sorted(link for link in links if "memfd:" in link)


def two_containers(node, first="count", second="echo"):
    """Both on the partition 3g, idle; returns their ids and the server's pid."""
    for handler in (first, second):
        assert node.invoke(handler, "x", mig_instance="3g").status == 200
    (one, pid), (two, other) = sorted(servers(node).items())
    assert pid == other
    return one, two, pid


def busy(node, tmp_path, handler="yields", **fields):
    """An invocation that runs without the GPU until `finish`."""
    connection = node.start(handler, str(tmp_path / "run"), mig_instance="3g", **fields)
    until((tmp_path / "run").exists, "it runs")
    return connection


def finish(connection, tmp_path):
    (tmp_path / "run.go").touch()
    return Answer(connection.getresponse())


def test_containers_of_a_user_on_a_partition_share_a_server_that_waits_for_no_context(node):
    two_containers(node)
    answer = node.invoke("echo_size_t", "x", mig_instance="3g")
    assert answer.headers["X-Start-Type"] == "cold"
    times = dict(part.strip().split(";dur=") for part in answer.headers["Server-Timing"].split(","))
    assert float(times["context"]) == 0
    assert len(set(servers(node).values())) == 1


def test_users_and_partitions_never_share_a_server(node):
    node.invoke("echo", mig_instance="3g")
    node.invoke("echo", mig_instance="3g", user="bob")
    node.invoke("count", mig_instance="4g")
    assert len(set(servers(node).values())) == 3


def test_without_the_key_nobody_shares_a_server(make_node):
    node = make_node()
    node.invoke("echo", mig_instance="3g")
    node.invoke("count", mig_instance="3g")
    assert len(set(servers(node).values())) == 2


def test_the_end_of_one_container_leaves_the_other_and_the_last_ends_the_server(node):
    one, two, pid = two_containers(node, "echo", "count")
    before = memfds(pid)
    assert kill(node, one).status == 200
    until(lambda: [c["id"] for c in node.containers()] == [two], "the first is gone")
    assert alive(pid)
    assert len(memfds(pid)) == len(before) // 2
    warm = node.invoke("count", mig_instance="3g")
    assert (warm.body, warm.headers["X-Start-Type"]) == (b"2", "warm")
    kill(node, two)
    node.until_no_container()
    assert not alive(pid)
    assert memfds(node.process.pid) == []
    assert not [pid for pid in node.pids if alive(pid)]


def test_the_death_of_the_server_ends_all_its_containers(node, tmp_path):
    assert node.invoke("count", mig_instance="3g").status == 200
    first = busy(node, tmp_path)
    second = node.start("waits", mig_instance="3g")
    until(lambda: [c["status"] for c in node.containers()].count("running") == 2, "both run")
    (pid,) = set(servers(node).values())
    os.kill(pid, signal.SIGKILL)
    for connection in (first, second):
        answer = Answer(connection.getresponse())
        assert (answer.status, answer.type) == (502, "function_crashed")
        for word in ("GPU server", "SIGKILL", "Containers [c-1, c-2, c-3] of user [alice] shared it", "gpu-server.share"):
            assert word in answer.error
    node.until_no_container()
    assert not [pid for pid in node.pids if alive(pid)]
    assert memfds(node.process.pid) == []
    assert node.invoke("count", mig_instance="3g").body == b"1"


def test_the_next_invocation_after_the_death_of_an_idle_server_gets_a_new_one(node):
    for _ in range(10):
        one, two, pid = two_containers(node, "count", "echo")
        os.kill(pid, signal.SIGKILL)
        until(lambda: not alive(pid), "it is dead")
        assert [node.invoke(name, "1", mig_instance="3g").body for name in ("count", "echo")] == [b"1", b"1"]
        until(lambda: not {one, two} & set(servers(node)), "the old ones are gone")
        for container in servers(node):
            kill(node, container)
        node.until_no_container()


def test_who_joins_a_server_that_dies_gets_another(node):
    assert node.invoke("count", mig_instance="3g").body == b"1"
    (pid,) = servers(node).values()
    os.kill(pid, signal.SIGSTOP)  # it takes the session and does not open it
    joining = node.start("echo", "x", mig_instance="3g")
    until(lambda: [c["status"] for c in node.containers()] == ["idle", "starting"], "the second starts")
    os.kill(pid, signal.SIGKILL)
    answer = Answer(joining.getresponse())
    assert (answer.status, answer.body, answer.headers["X-Start-Type"]) == (200, b"x", "cold")
    assert set(servers(node).values()) and pid not in servers(node).values()


@pytest.mark.parametrize("function, status, words", [
    ("out_of_memory", (507, "gpu_out_of_memory"), "[100] MiB"),
    ("misuse", (502, "function_crashed"), "garbage in the ring"),
    ("segfaults", (502, "function_crashed"), "SIGSEGV"),
])
def test_what_one_session_does_wrong_ends_it_alone(node, function, status, words):
    assert node.invoke("count", mig_instance="3g").body == b"1"
    answer = node.invoke(function, mig_instance="3g")
    assert (answer.status, answer.type) == status
    assert words in answer.error and "shared" not in answer.error
    until(lambda: len(node.containers()) == 1, "it is gone")
    assert node.invoke("count", mig_instance="3g").body == b"2"


def test_a_broken_context_ends_all_its_containers_and_the_next_gets_another(node, tmp_path):
    assert node.invoke("count", mig_instance="3g").status == 200
    running = busy(node, tmp_path)
    (pid,) = set(servers(node).values())
    assert node.invoke("device_error", mig_instance="3g").status == 200
    answer = Answer(running.getresponse())
    assert (answer.status, answer.type) == (502, "function_crashed")
    for word in ("The GPU context was broken by container [c-3]", "illegal address", "of user [alice] shared it"):
        assert word in answer.error
    node.until_no_container()
    assert not alive(pid)
    assert node.invoke("count", mig_instance="3g").body == b"1"


def test_work_that_never_ends_costs_all_containers_their_server(make_node, tmp_path):
    node = make_node(**{"gpu-server": {"driver": "cpu", "share": "user", "close-timeout": 0.2}})
    running = busy(node, tmp_path)
    (pid,) = servers(node).values()
    answer = node.invoke("never_drains", mig_instance="3g", timeout=0.3)
    assert (answer.status, answer.type) == (504, "timeout")
    answer = Answer(running.getresponse())
    assert (answer.status, answer.type) == (502, "function_crashed")
    for word in ("container [c-2] had ended", "gpu-server.close-timeout [0.2 s]", "Containers [c-1, c-2]"):
        assert word in answer.error
    node.until_no_container()
    assert not alive(pid)
    assert node.invoke("count", mig_instance="3g").body == b"1"


def test_a_timeout_alone_costs_nobody_else_anything(node, tmp_path):
    running = busy(node, tmp_path)
    assert node.invoke("waits", mig_instance="3g", timeout=0.3).type == "timeout"
    assert finish(running, tmp_path).status == 200


def test_shutdown_leaves_no_process(node):
    two_containers(node)
    assert node.stop() == 0
    assert not [pid for pid in node.pids if alive(pid)]


@pytest.mark.skipif(not EXAMPLE.exists(), reason="examples are not built")
def test_the_software_gpu_serves_several_containers_and_outlives_one(make_node):
    node = make_node(**{"gpu-server": {"driver": "cpu", "share": "user"},
                        "functions": {"allowed-paths": [str(EXAMPLE.parent)]},
                        "paths": {"gpu-server": str(BUILD / "bin" / "mignificient-gpu-server")}})

    def add(name):
        return node.invoke(name, '{"vec-elements": 1000}', function_path=str(EXAMPLE), mig_instance="3g",
                           function_handler="vector_add_ptx")

    assert [add(name).status for name in ("f", "g")] == [200, 200]
    (one, pid), (_, other) = sorted(servers(node).items())
    assert pid == other
    kill(node, one)
    until(lambda: len(node.containers()) == 1, "the first is gone")
    assert add("g").headers["X-Start-Type"] == "warm"
    assert set(servers(node).values()) == {pid}


def all_threads_ended(pid):
    try:
        return not alive(pid) and len(os.listdir(f"/proc/{pid}/task")) <= 1
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.skipif(not EXAMPLE.exists(), reason="examples are not built")
@pytest.mark.parametrize("share", ["none", "user"])
def test_the_software_gpus_server_may_be_killed_while_its_container_is_idle(make_node, share):
    node = make_node(**{"gpu-server": {"driver": "cpu", "share": share},
                        "functions": {"allowed-paths": [str(EXAMPLE.parent)]},
                        "paths": {"gpu-server": str(BUILD / "bin" / "mignificient-gpu-server")}})

    def add():
        return node.invoke("f", '{"vec-elements": 1000}', function_path=str(EXAMPLE), mig_instance="3g",
                           function_handler="vector_add_ptx")

    assert add().status == 200
    for _ in range(5):
        (container,) = [c for c in node.containers() if c["status"] == "idle"]
        os.kill(container["gpu-server-pid"], signal.SIGKILL)
        until(lambda: all_threads_ended(container["gpu-server-pid"]), "it is dead, and its sockets are closed")
        answer = add()
        assert (answer.status, answer.headers["X-Start-Type"]) == (200, "cold")
