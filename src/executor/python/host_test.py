"""The executor's process, with the test as its orchestrator."""
import glob
import os
import signal
import subprocess
import sys

import pytest

from conftest import SCRIPT
from mignificient import channel
from orchestrator import CAPACITY, DEADLINE_S


def interpreters():
    """One path of each Python from 3.9 that is found here, and one of an older one."""
    new, old = {sys.version_info[:2]: sys.executable}, {}
    for path in glob.glob("/usr/bin/python3.*") + glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin/python")):
        if path.endswith("-config"):
            continue
        done = subprocess.run([path, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True)
        if done.returncode == 0:
            version = tuple(map(int, done.stdout.split()))
            (new if version >= (3, 9) else old).setdefault(version, path)
    return new, old


NEW, OLD = interpreters()

COUNT = """
calls = 0
def handler(invocation):
    global calls
    calls += 1
    return {"calls": calls, "payload": bytes(invocation.payload.view_readable()).decode()}
"""


@pytest.mark.parametrize("python", NEW.values(), ids=[f"{a}.{b}" for a, b in NEW])
def test_every_python_runs_a_function_and_keeps_its_globals(ready, python):
    executor = ready(COUNT, python=python)
    assert executor.answer("größe".encode()) == '{"calls": 1, "payload": "größe"}'.encode()
    assert executor.answer() == b'{"calls": 2, "payload": ""}'


@pytest.mark.parametrize("python", OLD.values(), ids=[f"{a}.{b}" for a, b in OLD])
def test_an_older_python_says_that_it_is_too_old(execute, python):
    executor = execute(COUNT, python=python)
    assert executor.receive() is None
    assert executor.process.wait(DEADLINE_S) == 1
    assert "needs Python 3.9 or newer" in executor.log.read_text()


def test_the_process_ends_when_the_channel_is_closed_whatever_the_function_left(ready):
    executor = ready("""
import atexit, threading
atexit.register(threading.Event().wait)
def handler(invocation):
    threading.Thread(target=threading.Event().wait).start()
""")
    assert executor.answer() == b""
    executor.socket.close()
    assert executor.process.wait(DEADLINE_S) == 0


def test_sigterm_ends_the_process(ready):
    executor = ready(COUNT)
    executor.process.send_signal(signal.SIGTERM)
    assert executor.process.wait(DEADLINE_S) == -signal.SIGTERM


def test_a_function_runs_on_the_main_thread(ready):
    executor = ready("import threading\n"
                     "def handler(i): return threading.current_thread() is threading.main_thread()")
    assert executor.answer() == b"true"


def test_the_file_runs_at_the_first_invocation_and_not_before(ready):
    executor = ready("print('top level')\ndef handler(i): return 'ran'")
    assert executor.log.read_text() == ""
    assert executor.answer() == b"ran"
    assert executor.answer() == b"ran"
    assert executor.log.read_text() == "top level\n"


def test_modules_are_imported_before_it_is_ready(execute):
    executor = execute("def handler(i): return 'ran'", modules=["this"])
    assert executor.receive().kind == channel.READY
    assert "The Zen of Python" in executor.log.read_text()


def test_imports_at_the_head_of_the_file_come_before_it_is_ready(execute):
    executor = execute('"""Documentation."""\nfrom __future__ import annotations\nimport this\n'
                       "def handler(i): return 'ran'")
    assert executor.receive().kind == channel.READY
    assert "The Zen of Python" in executor.log.read_text()
    assert executor.answer() == b"ran"


@pytest.mark.parametrize("head", ["import no_such_module", "x = 1", "import neighbour"])
def test_imports_after_something_else_wait_for_the_first_invocation(execute, tmp_path, head):
    (tmp_path / "neighbour.py").write_text("")
    executor = execute(f"{head}\nimport this\ndef handler(i): return 'ran'")
    assert executor.receive().kind == channel.READY
    assert executor.log.read_text() == ""
    executor.invoke()
    assert ("The Zen" in executor.log.read_text()) == ("no_such" not in head)


def test_a_neighbour_of_the_file_is_imported_rather_than_an_installed_module(ready, tmp_path):
    (tmp_path / "colorsys.py").write_text("mine = True")
    executor = ready("import colorsys\ndef handler(i): return colorsys.mine")
    assert executor.answer() == b"true"


def test_a_file_may_have_the_name_of_a_loaded_module(execute):
    executor = execute("import json\ndef handler(i): return json.dumps([__name__, json.__name__])", name="json.py")
    assert executor.receive().kind == channel.READY
    assert executor.answer() == b'["function_json", "json"]'


def test_a_function_can_be_pickled_for_other_processes(ready):
    executor = ready("""
import multiprocessing
def square(x): return x * x
def handler(i):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.map(square, [1, 2, 3])
""")
    assert executor.answer() == b"[1, 4, 9]"


@pytest.mark.parametrize("source, words, logged", [
    ("def handler(:\n", ["SyntaxError", "function.py, line 1"], "def handler(:"),
    ("x = '\0'", ["null"], ""),
    ("# coding: no-such-code\n", ["SyntaxError", "no-such-code"], ""),
])
def test_a_file_that_is_no_python_is_told_at_the_start(execute, source, words, logged):
    executor = execute(source)
    message = executor.receive()
    assert (message.kind, message.failure) == (channel.FAILED, channel.LIBRARY)
    for word in words:
        assert word in message.text
    assert logged in executor.log.read_text()
    assert executor.process.wait(DEADLINE_S) == 0


@pytest.mark.parametrize("source, text", [
    ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    ("def f(): raise KeyError('x')\nf()", "KeyError: 'x'"),
    ("import sys; sys.exit(3)", "sys.exit(3) was called"),
    ("class E(Exception):\n  def __str__(self): raise self\nraise E", "function.E"),
])
def test_a_file_that_fails_is_told_at_its_first_invocation(ready, source, text):
    executor = ready(source)
    message = executor.invoke()
    assert (message.kind, message.failure, message.text) == (channel.FAILED, channel.LIBRARY, text)
    assert executor.process.wait(DEADLINE_S) == 0


def test_a_traceback_begins_in_the_function(ready):
    executor = ready("def f(): raise KeyError('x')\ndef handler(i): f()")
    assert executor.invoke().text == "The function raised an exception: KeyError: 'x'."
    log = executor.log.read_text()
    assert log.startswith("Traceback (most recent call last):") and "in handler" in log and "in f" in log
    assert "mignificient" not in log


@pytest.mark.parametrize("modules, text", [
    (["os", "no_such"], "module [no_such] of field [modules] cannot be imported: ModuleNotFoundError: No module named "
                        "'no_such'"),
    (["os.nothing"], "module [os.nothing] of field [modules] cannot be imported: ModuleNotFoundError: No module named "
                     "'os.nothing'; 'os' is not a package"),
])
def test_a_module_that_cannot_be_imported_is_named(execute, modules, text):
    message = execute(COUNT, modules=modules).receive()
    assert (message.kind, message.failure, message.text) == (channel.FAILED, channel.LIBRARY, text)


@pytest.mark.parametrize("source", ["x = 1", "handler = 3", "def other(i): pass"])
def test_a_missing_handler_is_told(ready, source):
    message = ready(source).invoke()
    assert (message.kind, message.failure, message.text) == (channel.FAILED, channel.HANDLER, "handler")


@pytest.mark.parametrize("source, text", [
    ("def handler(): pass", "The handler cannot be called with one argument, the invocation: "
                            "handler() takes 0 positional arguments but 1 was given."),
    ("def handler(a, b): pass", "The handler cannot be called with one argument, the invocation: "
                                "handler() missing 1 required positional argument: 'b'."),
    ("def handler(i): return len()", "The function raised an exception: TypeError: "
                                     "len() takes exactly one argument (0 given)."),
    ("def handler(i): raise ValueError('out of paper!')", "The function raised an exception: ValueError: "
                                                          "out of paper!"),
    ("def handler(i): raise ValueError", "The function raised an exception: ValueError."),
    ("import json\ndef handler(i): json.loads('{')", "The function raised an exception: json.decoder.JSONDecodeError: "
     "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)."),
    ("import sys\ndef handler(i): sys.exit()", "The function ended early: sys.exit() was called."),
    ("import sys\ndef handler(i): sys.exit('no paper')", "The function ended early: sys.exit('no paper') was called."),
    ("def handler(i): raise KeyboardInterrupt", "The function raised an exception: KeyboardInterrupt."),
    ("def handler(i): return {1}", "The function returned a value of type [set] that JSON cannot hold: "
                                   "Object of type set is not JSON serializable."),
    ("async def handler(i): pass", "The function returned a value of type [coroutine] that JSON cannot hold: "
                                   "Object of type coroutine is not JSON serializable."),
    (f"def handler(i): return bytes({CAPACITY + 1})",
     f"The function returned {CAPACITY + 1} bytes (limits.result is {CAPACITY})."),
    ("def handler(i): i.result.view_writable()[1 << 40] = 1",
     "The function raised an exception: IndexError: index out of bounds on dimension 1."),
    ("def handler(i): raise ValueError('\\ud800')", "The function raised an exception: ValueError: ?."),
])
def test_a_handler_that_fails_is_told_and_can_be_called_again(ready, source, text):
    executor = ready(source)
    for _ in range(2):
        message = executor.invoke()
        assert (message.kind, message.text) == (channel.THREW, text)
        assert message.invocation == executor.invocation


def test_a_negative_int_is_passed_on_however_small(ready):
    executor = ready("def handler(i): return -int(bytes(i.payload.view_readable()))")
    assert executor.invoke(b"7").value == -7
    assert executor.invoke(b"1" + b"0" * 40).value == -(1 << 63)


def test_yields_are_told_and_never_after_the_answer(ready):
    executor = ready("""
import threading
last = None
def handler(i):
    global last
    if last: last.gpu_yield()
    last = i
    if i.payload.size: i.gpu_yield(); i.gpu_yield()
""")
    executor.start(b"yield")
    assert [(m.kind, m.invocation) for m in (executor.receive(), executor.receive())] == 2 * [(channel.YIELDED, 1)]
    assert executor.receive().kind == channel.RETURNED
    assert executor.invoke().kind == channel.RETURNED
    executor.start(b"yield")
    assert [(m.kind, m.invocation) for m in (executor.receive(), executor.receive(), executor.receive())] == [
        (channel.YIELDED, 3), (channel.YIELDED, 3), (channel.RETURNED, 3)]


def test_a_forked_child_that_returns_does_not_answer(ready):
    executor = ready("import os\ndef handler(i):\n  pid = os.fork()\n  if pid: os.waitpid(pid, 0)\n"
                     "  return 'child' if pid == 0 else 'parent'")
    assert executor.answer() == b"parent"
    assert executor.answer() == b"parent"


def test_a_forked_child_that_raises_does_not_answer(ready):
    executor = ready("import os\ndef handler(i):\n  pid = os.fork()\n  if pid == 0: raise KeyError\n"
                     "  os.waitpid(pid, 0)\n  return 'parent'")
    assert executor.answer() == b"parent"
    assert executor.answer() == b"parent"


@pytest.mark.parametrize("packet", [b"x", channel.MESSAGE.pack(77, 3, 0, 0, 1, 0, 0, 0, 0),
                                    channel.MESSAGE.pack(channel.VERSION, 3, 0, 0, 1, CAPACITY + 1, 0, 0, 0)])
def test_an_orchestrator_that_breaks_the_protocol_is_left(ready, packet):
    executor = ready(COUNT)
    executor.socket.send(packet)
    assert executor.process.wait(DEADLINE_S) == 1
    assert "BrokenChannel" in executor.log.read_text()


def test_programs_that_the_function_starts_get_neither_channel_nor_memory(ready):
    executor = ready("import os, subprocess, sys\ndef handler(i):\n"
                     "  code = 'import os; print(*sorted(os.listdir(\"/proc/self/fd\")))'\n"
                     "  return subprocess.run([sys.executable, '-c', code], capture_output=True).stdout",)
    descriptors = executor.answer().split()
    assert len(descriptors) <= 4, descriptors  # 0, 1, 2 and the folder itself


def test_it_is_not_started_by_hand():
    done = subprocess.run([sys.executable, "-B", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 1
    assert "not by hand" in done.stderr
