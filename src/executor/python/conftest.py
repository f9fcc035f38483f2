"""What the unit tests of the Python executor share: the package beside this file, and processes that it runs in."""
import pathlib
import sys

import pytest

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER))

from mignificient import Invocation, Payload, Result, channel
from orchestrator import Executor

SCRIPT = FOLDER / "mignificient_executor.py"


@pytest.fixture
def result():
    return Result(memoryview(bytearray(16)))


@pytest.fixture
def invocation():
    yields = []
    made = Invocation(Payload(memoryview(b"payload")), Result(memoryview(bytearray(16))), lambda: yields.append(1))
    return made, yields


@pytest.fixture
def execute(tmp_path):
    """execute(source, ...): an executor of a file with this text."""
    executors = []

    def start(source, handler="handler", name="function.py", python=sys.executable, **options):
        path = tmp_path / name
        path.write_text(source)
        executors.append(Executor([python, SCRIPT], tmp_path / "log", path, handler, **options))
        return executors[-1]

    yield start
    for executor in executors:
        executor.close()


@pytest.fixture
def ready(execute):
    """The same, once it has said that it is ready."""

    def start(source, **options):
        executor = execute(source, **options)
        message = executor.receive()
        assert message is not None and message.kind == channel.READY, executor.log.read_text()
        return executor

    return start
