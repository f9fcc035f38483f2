"""What the unit tests of the Python executor share: the package beside this file, and an orchestrator's end of it."""
import os
import pathlib
import socket
import subprocess
import sys

import pytest

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER))

from mignificient import Invocation, Payload, Result, channel  # noqa: E402

DEADLINE_S = 60
CAPACITY = 1 << 16


@pytest.fixture
def result():
    return Result(memoryview(bytearray(16)))


@pytest.fixture
def invocation():
    yields = []
    made = Invocation(Payload(memoryview(b"payload")), Result(memoryview(bytearray(16))), lambda: yields.append(1))
    return made, yields


class Message:
    def __init__(self, packet):
        fields = channel.MESSAGE.unpack(packet)
        _, self.kind, self.failure, text_size, self.invocation, _, self.value, text = fields
        self.text = text[:text_size].decode()


class Executor:
    """The process, and the orchestrator's end of its channel and memory."""

    def __init__(self, log, path, handler, modules=(), python=sys.executable, capacity=CAPACITY):
        self.log = log
        layout = channel.Layout(capacity, capacity)
        memory = os.memfd_create("test")
        os.ftruncate(memory, layout.total)
        self.result_offset = layout.result_offset
        self.memory = memory
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(DEADLINE_S)
        command = [python, FOLDER / "mignificient_executor.py", "--channel-fd", theirs.fileno(), "--memory-fd", memory,
                   "--payload-capacity", capacity, "--result-capacity", capacity, "--function", path, "--handler",
                   handler]
        for module in modules:
            command += ["--module", module]
        with open(log, "w") as output:
            self.process = subprocess.Popen(list(map(str, command)), stdout=output, stderr=output,
                                            pass_fds=(theirs.fileno(), memory),
                                            env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"})
        theirs.close()
        self.invocation = 0

    def receive(self):
        packet = self.socket.recv(channel.MESSAGE.size + 1)
        return Message(packet) if packet else None

    def start(self, payload=b""):
        os.pwrite(self.memory, payload + b"\0", 0)
        self.invocation += 1
        self.socket.send(channel.MESSAGE.pack(channel.VERSION, channel.INVOKE, 0, 0, self.invocation, len(payload), 0,
                                              b""))

    def invoke(self, payload=b""):
        self.start(payload)
        return self.receive()

    def answer(self, payload=b""):
        message = self.invoke(payload)
        assert message.kind == channel.RETURNED, message.text
        return os.pread(self.memory, message.value, self.result_offset)

    def close(self):
        self.socket.close()
        os.close(self.memory)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE_S)


@pytest.fixture
def execute(tmp_path):
    """execute(source, ...): an executor of a file with this text."""
    executors = []

    def start(source, handler="handler", name="function.py", **options):
        path = tmp_path / name
        path.write_text(source)
        executors.append(Executor(tmp_path / "log", path, handler, **options))
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
