"""An executor is a tenant's process: whatever it sends, its invocation gets one typed answer, and nobody else notices."""
import json
import pathlib
import sys

import pytest

from conftest import Answer, alive

HOSTILE = pathlib.Path(__file__).with_name("hostile_executor.py")

CRASHED, FAILED, TIMEOUT = (502, "function_crashed"), (500, "function_error"), (504, "timeout")
ANSWERED = (200, None)  # what came first counts
CASES = {
    "one byte": (CRASHED, "A packet of 1 bytes is no message"),
    "too long": (CRASHED, "broke its protocol"),
    "another version": (CRASHED, "version 1 of the invocation protocol"),
    "an unknown kind": (CRASHED, "its message 77 (invocation 0) is out of turn"),
    "an invocation": (CRASHED, "out of turn"),
    "an answer to nothing": (CRASHED, "out of turn"),
    "garbage without end": (CRASHED, "broke its protocol"),
    "ready without end": (CRASHED, "out of turn"),
    "failed with every byte": (FAILED, "cannot be loaded"),
    "a text that is longer than its packet": (CRASHED, "with a text of 4294967295"),
    "a text that is shorter than its packet": (CRASHED, "with a text of 1"),
    "failed without end": (FAILED, "cannot be loaded: x"),
    "descriptors": (CRASHED, "broke its protocol"),
    "ready again": (CRASHED, "out of turn"),
    "another invocation": (CRASHED, "out of turn"),
    "yields without end": (CRASHED, "yielded"),
    "answers without end": (ANSWERED, ""),
    "throws every byte": (FAILED, "\x01"),
    "a huge result": (FAILED, "returned 9223372036854775807 bytes (limits.result is 67108864)"),
    "a result beyond the area": (FAILED, "returned 67108865 bytes"),
    "the smallest number": (FAILED, "returned -9223372036854775808"),
    "fails after its answer": (ANSWERED, ""),
    "sends garbage after its answer": (ANSWERED, ""),
    "dies after its answer": (ANSWERED, ""),
    # The GPU server answers no drain: it was asked for one, whatever the executor says.
    "says finished while the GPU is busy": (TIMEOUT, "GPU work was not done"),
    "says that it has no channel": (TIMEOUT, "GPU work was not done"),
    "an unknown end of GPU work": (TIMEOUT, "GPU work was not done"),
    "closes": (CRASHED, "SIGKILL"),
    "an empty packet": (CRASHED, "SIGKILL"),
    "prints without end": (TIMEOUT, "1 s"),
}


@pytest.fixture
def node(make_node, tmp_path):
    interpreter = tmp_path / "interpreter"
    interpreter.write_text(f"#!/bin/sh\nexec {sys.executable} {HOSTILE} \"$@\"\n")
    interpreter.chmod(0o755)
    return make_node(executor={"python": str(interpreter)})


@pytest.mark.parametrize("how", CASES)
def test_a_hostile_executor_harms_only_itself(node, tmp_path, how):
    """A well-behaved function on the same node is invoked at the same time, and after."""
    (tmp_path / "how.py").write_text(json.dumps(how))
    (status, kind), words = CASES[how]
    assert node.invoke("echo", "before").body == b"before"
    hostile = node.start("f", function_path=str(tmp_path / "how.py"), user="mallory", mig_instance="4g",
                         timeout=1 if kind == "timeout" else 60)
    for _ in range(5):
        assert node.invoke("echo", "during", mig_instance="3g").body == b"during"
    answer = Answer(hostile.getresponse())
    assert (answer.status, answer.type) == (status, kind), answer.body
    if kind is not None:
        assert words in answer.error
    # Where the answer came first, the container ends for what came after it.
    if how not in ("throws every byte", "a huge result", "a result beyond the area", "the smallest number"):
        node.wait_for_line("container_gone")
    assert node.invoke("echo", "after", mig_instance="3g").body == b"after"
    assert node.stop() == 0
    assert not [pid for pid in node.pids if alive(pid)]


def test_what_says_finished_truly_is_not_drained(node, tmp_path):
    """Its GPU server would answer no drain: what the cases above are compared with."""
    (tmp_path / "how.py").write_text(json.dumps("says finished truly"))
    assert node.invoke("f", function_path=str(tmp_path / "how.py"), user="mallory", mig_instance="4g").status == 200
