"""Python functions through the orchestrator, across real processes."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import types
import venv

import pytest

from conftest import BUILD, Answer, alive, until

FUNCTIONS = pathlib.Path(__file__).with_name("functions.py")


@pytest.fixture
def make_node(make_node, tmp_path):
    """A node whose interpreter is the one that runs the tests."""

    def make(**overrides):
        overrides.setdefault("executor", {"python": sys.executable})
        overrides.setdefault("functions", {"allowed-paths": [str(FUNCTIONS.parent), str(tmp_path)]})
        node = make_node(**overrides)
        invoke, start = node.invoke, node.start
        node.invoke = lambda *a, **fields: invoke(*a, **{"function_path": str(FUNCTIONS), **fields})
        node.start = lambda *a, **fields: start(*a, **{"function_path": str(FUNCTIONS), **fields})
        return node

    return make


@pytest.fixture
def node(make_node):
    return make_node()


@pytest.fixture
def write(tmp_path):
    """write(text): the path of a function's file with it."""

    def to_file(text, name="written.py"):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return to_file


@pytest.fixture
def environment(tmp_path):
    """A virtual environment."""
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    (site_packages,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    return types.SimpleNamespace(prefix=str(tmp_path / "venv"), python=str(tmp_path / "venv/bin/python3"),
                                 site_packages=site_packages)


def test_a_function_answers_and_says_how_it_was_started(node):
    answer = node.invoke("echo", "hello")
    assert (answer.status, answer.body) == (200, b"hello")
    assert answer.headers["X-Start-Type"] == "cold"
    names = [part.split(";")[0].strip() for part in answer.headers["Server-Timing"].split(",")]
    assert names == ["queue", "spawn", "context", "attach", "exec", "total"]


def test_globals_live_as_long_as_the_container(node):
    assert node.invoke("count").body == b"1"
    warm = node.invoke("count")
    assert (warm.body, warm.headers["X-Start-Type"]) == (b"2", "warm")
    assert node.invoke("count", user="bob").body == b"1"
    assert node.invoke("other", function_handler="count").body == b"1"
    assert node.invoke("count", modules=["wave"]).body == b"3"
    log = pathlib.Path([c for c in node.containers() if c["invocations"] == 3][0]["log"])
    until(lambda: log.read_text() == "call 1\ncall 2\ncall 3\n", "its output is in its log")


@pytest.mark.parametrize("expression, body", [
    ("None", b""),
    ("b''", b""),
    ("''", b""),
    ("0", b""),
    ("b'bytes\\x00\\xff'", b"bytes\x00\xff"),
    ("bytearray(b'array')", b"array"),
    ("invocation.payload.view_readable()[:10]", b"invocation"),
    ("'größe €'", "größe €".encode()),
    ("{'a': [1, 2.5, None, True, 'ä']}", '{"a": [1, 2.5, null, true, "ä"]}'.encode()),
    ("(1, 2)", b"[1, 2]"),
    ("1.5", b"1.5"),
    ("True", b"true"),
])
def test_what_a_handler_returns_is_the_answer(node, expression, body):
    answer = node.invoke("returns", expression)
    assert (answer.status, answer.body) == (200, body), answer.body


def test_writers_over_the_result(node):
    assert node.invoke("writers").body == 'bytes, {"text": "größe"}'.encode()
    assert node.invoke("leaves_it_to_the_size").body == b"written"


@pytest.mark.parametrize("payload", ["", "null \0 newline \n umlaut ä 𝄞", "x" * 65537])
def test_payloads_arrive_as_they_are(node, payload):
    assert node.invoke("echo", payload).body == payload.encode()


def test_big_payloads_and_results(node):
    size = 32 << 20
    answer = json.loads(node.invoke("digest", "a" * (size - 1) + "z").body)
    assert answer == {"bytes": size, "sum": (size // 4096) * ord("a"), "last": ord("z")}
    body = node.invoke("big", "32").body
    assert len(body) == size and body == b"0123456789abcdef" * (2 << 20)
    assert node.invoke("echo", body.decode()).body == body


@pytest.mark.parametrize("function, payload, words", [
    ("raises", "", ["raised an exception: ValueError: kein Papier: größe.", "about to fail", "Traceback",
                    "in raises"]),
    ("exits", "", ["ended early: sys.exit(3) was called"]),
    ("no_arguments", "", ["cannot be called with one argument, the invocation", "no_arguments() takes 0"]),
    ("two_arguments", "", ["cannot be called with one argument, the invocation", "'two'"]),
    ("returns", "{1, 2}", ["[set] that JSON cannot hold"]),
    ("returns", "float('nan')", ["[float] that JSON cannot hold"]),
    ("returns", "'\\ud800'", ["UTF-8 cannot hold"]),
    ("returns", "-7", ["returned -7"]),
    ("returns", "-10**30", ["returned -9223372036854775808"]),
    ("returns", "67108865", ["returned 67108865 bytes (limits.result is 67108864)"]),
    ("returns", "10**30", ["(limits.result is 67108864)"]),
    ("returns", "1/0", ["ZeroDivisionError: division by zero"]),
    ("big", "65", ["returned 68157440 bytes (limits.result is 67108864)"]),
    ("returns", "invocation.result.view_writable().__setitem__(1 << 26, 1)", ["IndexError"]),
])
def test_a_function_that_fails_is_a_function_error_and_its_container_lives(node, function, payload, words):
    for start in ("cold", "warm"):
        answer = node.invoke(function, payload)
        assert (answer.status, answer.type) == (500, "function_error")
        assert answer.headers["X-Start-Type"] == start
        for word in words:
            assert word in answer.error


@pytest.mark.parametrize("function, words", [
    ("exits_hard", ["exited with status 3", "last words"]),
    ("segfaults", ["signal 11 (SIGSEGV)", "last words", "Fatal Python error: Segmentation fault", "in segfaults"]),
    ("aborts", ["signal 6 (SIGABRT)"]),
    ("killed", ["signal 9 (SIGKILL)"]),
    ("closes_its_descriptors", ["The function's process"]),
])
def test_a_death_is_answered_at_once_and_leaves_nothing(node, function, words):
    answer = node.invoke(function)
    assert (answer.status, answer.type) == (502, "function_crashed")
    for word in words:
        assert word in answer.error
    node.until_no_container()
    assert not [pid for pid in node.pids if alive(pid)]
    assert node.invoke("echo", "after").body == b"after"


@pytest.mark.parametrize("source, words", [
    ("def handler(:", ["cannot be loaded: SyntaxError", "written.py, line 1"]),
    ("import no_such_module", ["cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'", "line 1"]),
    ("print('hello')\nraise RuntimeError('größe')", ["cannot be loaded: RuntimeError: größe.", "hello"]),
    ("import sys\nsys.exit(3)", ["cannot be loaded: sys.exit(3) was called"]),
])
def test_a_file_that_cannot_be_loaded_is_a_function_error(node, write, source, words):
    answer = node.invoke("handler", function_path=write(source))
    assert (answer.status, answer.type) == (500, "function_error")
    for word in words:
        assert word in answer.error
    node.until_no_container()


@pytest.mark.parametrize("source", ["import os\nos._exit(3)", "import os\nos.kill(os.getpid(), 11)"])
def test_a_file_that_ends_its_process_is_a_crash(node, write, source):
    answer = node.invoke("handler", function_path=write(source))
    assert (answer.status, answer.type) == (502, "function_crashed")
    assert "status 3" in answer.error or "SIGSEGV" in answer.error
    node.until_no_container()


@pytest.mark.parametrize("name", ["nobody", "calls", "json"])
def test_a_missing_handler_is_a_bad_request(node, name):
    answer = node.invoke("echo", function_handler=name)
    assert (answer.status, answer.type) == (400, "bad_request")
    assert f"Field [function-handler]: file [{FUNCTIONS}] defines no function [{name}]." == answer.error
    node.until_no_container()


def test_everybody_who_waits_for_a_broken_file_is_answered(node, write):
    path = write("raise RuntimeError('broken')")
    connections = [node.start("handler", function_path=path, mig_instance="3g") for _ in range(4)]
    assert [Answer(c.getresponse()).type for c in connections] == ["function_error"] * 4


def test_a_repaired_file_works_at_the_next_invocation(node, write):
    assert node.invoke("handler", function_path=write("raise RuntimeError('broken')")).type == "function_error"
    assert node.invoke("handler", function_path=write("def handler(i): return 'repaired'")).body == b"repaired"


def test_modules_are_imported_before_the_file(node):
    assert node.invoke("loaded", "wave colorsys").body == b"[]"
    assert node.invoke("loaded", "wave colorsys", modules=["wave"], user="bob").body == b'["wave"]'


def test_a_module_that_cannot_be_imported_is_a_function_error(node):
    answer = node.invoke("echo", modules=["no_such_module"])
    assert (answer.status, answer.type) == (500, "function_error")
    for word in ("module [no_such_module] of field [modules] cannot be imported", "ModuleNotFoundError"):
        assert word in answer.error


@pytest.mark.parametrize("modules", ["torch", [1], ["--handler"], ["a b"], [""]])
def test_modules_that_are_no_names_are_bad_requests(node, modules):
    answer = node.invoke("echo", modules=modules)
    assert (answer.status, answer.type) == (400, "bad_request")
    assert "Field [modules]" in answer.error


def test_paths_are_allowed_as_for_other_functions(node, tmp_path):
    assert node.invoke("f", function_path="/usr/lib/python3/x.py").type == "forbidden"
    (tmp_path / "link.py").symlink_to("/etc/passwd")
    assert node.invoke("f", function_path=str(tmp_path / "link.py")).type == "forbidden"


def test_the_language_can_be_named(node, write):
    path = write("def handler(i): return 'python'", "no_ending")
    assert node.invoke("handler", function_path=path, function_language="python").body == b"python"
    answer = node.invoke("echo", function_language="cpp")
    assert answer.type == "function_error" and "invalid ELF header" in answer.error


def test_the_gate_is_open_while_file_and_handler_run(node, write):
    path = write("import sys\nsys.path.insert(0, %r)\nfrom functions import gate\nearly = gate(None)\n"
                 "def handler(i): return early + gate(i)" % str(FUNCTIONS.parent))
    assert node.invoke("handler", function_path=path).body == b"33"


def test_a_yield_lets_the_next_one_own_the_partition(node, tmp_path):
    first = node.start("yields", str(tmp_path / "run"), mig_instance="3g")
    until((tmp_path / "run").exists, "the first runs on the CPU")
    assert node.invoke("echo", "x", mig_instance="3g").body == b"x"
    (tmp_path / "run.go").touch()
    assert Answer(first.getresponse()).status == 200


@pytest.mark.parametrize("function", ["hangs", "waits", "ignores_signals"])
def test_a_timeout_kills(node, function):
    assert node.invoke("calls_what_the_payload_names", "nothing").status == 200
    answer = node.invoke("calls_what_the_payload_names", function, timeout=0.5)
    assert (answer.status, answer.type) == (504, "timeout")
    assert "was killed after its timeout of 0.5 s" in answer.error
    node.until_no_container()
    assert not [pid for pid in node.pids if alive(pid)]


def test_a_file_that_hangs_is_ended_by_the_timeout(node, write):
    answer = node.invoke("handler", function_path=write("while True: pass"), timeout=2)
    assert (answer.status, answer.type) == (504, "timeout")
    if "was killed" in answer.error:  # and not still starting, on a machine with much to do
        node.until_no_container()


def test_a_module_that_hangs_is_ended_by_the_start_timeout(make_node, environment):
    (environment.site_packages / "hangs.py").write_text("import time\ntime.sleep(1000)\n")
    node = make_node(**{"executor": {"python": environment.python}, "gpu-server": {"start-timeout": 1}})
    answer = node.invoke("echo", modules=["hangs"])
    assert (answer.status, answer.type) == (500, "internal")
    assert "not ready after gpu-server.start-timeout [1 s]" in answer.error
    node.until_no_container()


def test_a_timeout_while_the_container_starts_says_so(make_node, environment):
    (environment.site_packages / "hangs.py").write_text("import time\ntime.sleep(1000)\n")
    answer = make_node(executor={"python": environment.python}).invoke("echo", modules=["hangs"], timeout=0.2)
    assert (answer.status, answer.type) == (504, "timeout")
    assert "had its container starting longer than its timeout of 0.2 s" in answer.error


def test_a_module_that_crashes_is_a_crash(make_node, environment):
    (environment.site_packages / "crashes.py").write_text("import ctypes\nctypes.string_at(0)\n")
    answer = make_node(executor={"python": environment.python}).invoke("echo", modules=["crashes"])
    assert (answer.status, answer.type) == (502, "function_crashed")
    assert "(SIGSEGV) before it was ready" in answer.error and "crashes.py" in answer.error


def test_threads_that_a_handler_leaves_hold_up_nobody(node):
    assert node.invoke("leaves_a_thread").body == b"2"
    assert node.invoke("leaves_a_thread").body == b"3"
    assert node.stop() == 0
    assert not [pid for pid in node.pids if alive(pid)]


def test_a_process_that_a_function_detached_dies_with_its_container(node):
    pid = int(node.invoke("leaves_a_process").body)
    assert alive(pid)
    node.request("POST", "/kill", json.dumps({"user": "alice", "container": node.containers()[0]["id"]}))
    node.until_no_container()
    assert not alive(pid)


def test_functions_run_at_once_on_different_partitions(node, tmp_path):
    runs = [node.start("waits_for_file", str(tmp_path / name), user=name, mig_instance=name) for name in ("3g", "4g")]
    for name in ("3g", "4g"):
        until((tmp_path / name).exists, f"{name} runs")
    for name in ("3g", "4g"):
        (tmp_path / f"{name}.go").touch()
    assert [Answer(run.getresponse()).body for run in runs] == [b"done", b"done"]


def test_python_and_cpp_functions_share_a_node(make_node):
    node = make_node(functions={"allowed-paths": [str(FUNCTIONS.parent), str(BUILD / "tests" / "node")]})
    library = str(BUILD / "tests" / "node" / "node_test_function.so")
    runs = [node.start("count", user=f"user{i % 3}", **({"function_path": library} if i % 2 else {}))
            for i in range(12)]
    calls = [int(Answer(run.getresponse()).body) for run in runs]
    for first in range(6):  # of a user and a language; how many containers each has is for the partitions to say
        assert sorted((calls[first], calls[first + 6])) in ([1, 2], [1, 1]), calls


def test_the_environment_is_made_for_the_function(make_node, monkeypatch):
    monkeypatch.setenv("TOKEN", "secret")
    monkeypatch.setenv("PYTHONPATH", "/of/the/node")
    monkeypatch.setenv("LANG", "C")
    environment = json.loads(make_node().invoke("environment").body)
    assert "TOKEN" not in environment and "PYTHONPATH" not in environment
    assert environment["LD_LIBRARY_PATH"].split(":")[0] == str(BUILD / "lib")
    assert environment["executable"] == sys.executable
    assert environment["encoding"] == "utf-8"


def test_nothing_is_left_beside_the_users_files(node, write, tmp_path):
    write("value = 'neighbour'", "neighbour.py")
    path = write("import neighbour\ndef handler(i): return neighbour.value")
    assert node.invoke("handler", function_path=path).body == b"neighbour"
    assert not list(tmp_path.rglob("__pycache__"))


def test_a_log_is_bounded(make_node):
    node = make_node(limits={"log": 65536})
    assert node.invoke("prints").status == 200
    log = pathlib.Path(node.containers()[0]["log"])
    until(lambda: "line 19999" in log.read_text(), "the last line is written")
    assert log.stat().st_size + log.with_name(log.name + ".1").stat().st_size <= 65536


def test_a_virtual_environment_is_used_as_it_is(make_node, environment):
    seen = json.loads(make_node(executor={"python": environment.python}).invoke("environment").body)
    assert (seen["prefix"], seen["executable"]) == (environment.prefix, environment.python)


OTHER = next(iter(sorted(pathlib.Path.home().glob(".pyenv/versions/3.1[0-9]*/bin/python3"))), None)


@pytest.mark.skipif(OTHER is None, reason="no other Python from 3.10 is in ~/.pyenv/versions")
def test_another_interpreter_is_used_where_the_configuration_names_it(make_node):
    node = make_node(executor={"python": str(OTHER)})
    assert os.path.realpath(json.loads(node.invoke("environment").body)["executable"]) == os.path.realpath(OTHER)


def test_the_interpreter_is_python3_of_the_path_by_default(make_node, tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    environment = json.loads(make_node(executor={}).invoke("environment").body)
    assert environment["executable"] == str(tmp_path / "bin/python3")


@pytest.mark.parametrize("python, words", [
    ("/no/such/python3", "Interpreter [/no/such/python3] is no program (key executor.python)"),
    ("no-such-python", "Interpreter [no-such-python] is no program in the PATH (key executor.python)"),
    ("/usr/bin", "Interpreter [/usr/bin] is no program"),
    ("/etc/passwd", "Interpreter [/etc/passwd] is no program"),
    ("venv/bin/python3", "Key [executor.python]"),
])
def test_an_interpreter_that_is_not_there_is_told_at_the_start(tmp_path, python, words):
    (tmp_path / "c.json").write_text(json.dumps({"executor": {"python": python}, "http": {"port": 0}, "paths": {
        "executor": "/bin/true", "keeper": "/bin/true", "gpu-server": "/bin/true", "logs": str(tmp_path)}}))
    done = subprocess.run([BUILD / "tests/node/node_test_serve", tmp_path / "c.json"], capture_output=True, text=True)
    assert done.returncode == 2
    assert words in done.stderr


@pytest.mark.parametrize("script, words", [
    ("#!/bin/sh\necho I am no Python >&2\nexit 7", ["exited with status 7 before it was ready", "I am no Python"]),
    ("#!/no/such/interpreter\n", ["cannot be run", "No such file"]),
])
def test_an_interpreter_that_is_no_python_is_told_at_the_invocation(make_node, tmp_path, script, words):
    (tmp_path / "fake").write_text(script)
    (tmp_path / "fake").chmod(0o755)
    node = make_node(executor={"python": str(tmp_path / "fake")})
    answer = node.invoke("echo")
    assert answer.status in (500, 502)
    for word in words:
        assert word in answer.error
    node.until_no_container()


OLD = next(iter(sorted(pathlib.Path.home().glob(".pyenv/versions/3.[5-8].*/bin/python3"))), None)


@pytest.mark.skipif(OLD is None, reason="no Python older than 3.9 is in ~/.pyenv/versions")
def test_an_interpreter_that_is_too_old_says_so(make_node):
    answer = make_node(executor={"python": str(OLD)}).invoke("echo")
    assert answer.type == "function_crashed"
    assert "needs Python 3.9 or newer" in answer.error and "executor.python" in answer.error


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_node(node, tmp_path, signal_number):
    connection = node.start("waits_for_file", str(tmp_path / "run"))
    until((tmp_path / "run").exists, "it runs")
    node.stop(signal_number)
    until(lambda: not [pid for pid in node.pids if alive(pid)], "its processes are gone")
    connection.close()
