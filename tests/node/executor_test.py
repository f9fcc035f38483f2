"""What every executor must do, whatever language it is for: executor/protocol.h, with the test as the orchestrator."""
import pathlib
import signal
import sys

import pytest

from conftest import BUILD, FUNCTIONS

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "src/executor/python"))

from mignificient import channel
from orchestrator import CAPACITY, DEADLINE_S, Executor

EXECUTORS = {
    "cpp": ([BUILD / "bin/mignificient-executor"], FUNCTIONS),
    "python": ([sys.executable, BUILD / "lib/python/mignificient_executor.py"], HERE / "functions.py"),
}


@pytest.fixture(params=EXECUTORS)
def start(request, tmp_path):
    """start(handler): an executor of this function, or of another file."""
    executors = []

    def begin(handler, path=None):
        program, functions = EXECUTORS[request.param]
        executors.append(Executor(program, tmp_path / "log", path or functions, handler))
        return executors[-1]

    yield begin
    for executor in executors:
        executor.close()


@pytest.fixture
def ready(start):
    def begin(handler):
        executor = start(handler)
        assert executor.receive().kind == channel.READY, executor.log.read_text()
        return executor

    return begin


@pytest.mark.parametrize("payload", [b"", b"hello", bytes(range(256)), b"x" * CAPACITY])
def test_a_payload_arrives_and_a_result_leaves_whole(ready, payload):
    assert ready("echo").answer(payload) == payload


def test_answers_name_their_invocation_and_state_lives_on(ready):
    executor = ready("count")
    for count in (b"1", b"2", b"3"):
        assert executor.answer() == count
    executor.invocation = 1 << 40
    assert executor.invoke().invocation == (1 << 40) + 1


def test_a_failure_is_told_in_a_sentence_and_the_next_invocation_is_served(ready):
    executor = ready("raises")
    for _ in range(2):
        message = executor.invoke()
        assert message.kind == channel.THREW
        assert message.text.startswith("The function ") and "kein Papier: größe" in message.text


def test_a_negative_number_is_passed_on(ready):
    message = ready("negative").invoke()
    assert (message.kind, message.value) == (channel.RETURNED, -7)


def test_yields_are_told_before_the_answer(ready):
    executor = ready("yields_twice")
    for _ in range(2):
        executor.start()
        messages = [executor.receive() for _ in range(3)]
        assert [m.kind for m in messages] == [channel.YIELDED, channel.YIELDED, channel.RETURNED]
        assert {m.invocation for m in messages} == {executor.invocation}


def test_a_missing_handler_is_told_by_name(start):
    executor = start("nobody")
    message = executor.receive()
    if message.kind == channel.READY:  # a file that runs at its first invocation
        message = executor.invoke()
    assert (message.kind, message.failure, message.text) == (channel.FAILED, channel.HANDLER, "nobody")
    assert executor.process.wait(DEADLINE_S) == 0


def test_a_file_that_is_no_function_is_told(start, tmp_path):
    (tmp_path / "file").write_text("this is no function\n")
    executor = start("echo", tmp_path / "file")
    message = executor.receive()
    assert (message.kind, message.failure) == (channel.FAILED, channel.LIBRARY)
    assert message.text
    assert executor.process.wait(DEADLINE_S) == 0


def test_a_closed_channel_ends_the_process(ready):
    executor = ready("echo")
    executor.socket.close()
    assert executor.process.wait(DEADLINE_S) == 0


def test_a_closed_channel_ends_the_process_after_its_invocation(ready):
    executor = ready("echo")
    executor.start(b"x")
    executor.socket.close()
    assert executor.process.wait(DEADLINE_S) in (0, 1)  # its answer can no longer be sent


def test_sigterm_ends_the_process(ready):
    executor = ready("echo")
    executor.process.send_signal(signal.SIGTERM)
    assert executor.process.wait(DEADLINE_S) == -signal.SIGTERM


@pytest.mark.parametrize("packet", [
    b"x",
    channel.MESSAGE.pack(channel.VERSION + 1, channel.INVOKE, 0, 0, 1, 0, 0, 0, 0),
    channel.MESSAGE.pack(channel.VERSION, channel.RETURNED, 0, 0, 1, 0, 0, 0, 0),
    channel.MESSAGE.pack(channel.VERSION, channel.INVOKE, 0, 0, 1, CAPACITY + 1, 0, 0, 0),
])
def test_what_is_no_invocation_ends_the_process(ready, packet):
    executor = ready("echo")
    executor.socket.send(packet)
    assert executor.process.wait(DEADLINE_S) == 1
