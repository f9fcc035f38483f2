"""An orchestrator's part of executor/protocol.h, for tests of executors."""
import os
import socket
import subprocess

from mignificient import channel

DEADLINE_S = 60
CAPACITY = 1 << 16


class Message:
    def __init__(self, packet):
        fields = channel.MESSAGE.unpack(packet[:channel.MESSAGE.size])
        _, self.kind, self.failure, text_size, self.invocation, _, self.value, self.gpu_work, _ = fields
        self.text = packet[channel.MESSAGE.size:].decode()
        assert len(packet) == channel.MESSAGE.size + text_size


class Executor:
    """The process, and the orchestrator's end of its channel and memory."""

    def __init__(self, program, log, path, handler, modules=(), capacity=CAPACITY):
        self.log = log
        layout = channel.Layout(capacity, capacity)
        memory = os.memfd_create("test")
        os.ftruncate(memory, layout.total)
        self.result_offset = layout.result_offset
        self.memory = memory
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(DEADLINE_S)
        command = [*program, "--channel-fd", theirs.fileno(), "--memory-fd", memory, "--payload-capacity", capacity,
                   "--result-capacity", capacity, "--function", path, "--handler", handler]
        for module in modules:
            command += ["--module", module]
        with open(log, "w") as output:
            self.process = subprocess.Popen(list(map(str, command)), stdout=output, stderr=output,
                                            pass_fds=(theirs.fileno(), memory),
                                            env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"})
        theirs.close()
        self.invocation = 0

    def receive(self):
        packet = self.socket.recv(channel.MESSAGE.size + channel.TEXT_BYTES + 1)
        return Message(packet) if packet else None

    def start(self, payload=b""):
        os.pwrite(self.memory, payload + b"\0", 0)
        self.invocation += 1
        self.socket.send(channel.MESSAGE.pack(channel.VERSION, channel.INVOKE, 0, 0, self.invocation, len(payload), 0,
                                              0, 0))

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
