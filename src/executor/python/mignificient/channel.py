"""The executor's end of executor/protocol.h, which describes it."""
import os
import socket
import struct

VERSION = 3

# MessageKind
READY, FAILED, INVOKE, YIELDED, RETURNED, THREW = range(1, 7)
# LoadFailure
LIBRARY, HANDLER = 1, 2
# GpuWork
UNKNOWN, NONE, CARRIED_OUT = range(3)

PAGE = 4096
TEXT_BYTES = 1024
MESSAGE = struct.Struct("=IIIIQQqII")  # the text follows
SMALLEST_VALUE = -(1 << 63)


class BrokenChannel(Exception):
    """What the orchestrator sent is not of this protocol."""


class Layout:
    """Where payload and result lie in the shared memory."""

    def __init__(self, payload_capacity, result_capacity):
        self.payload_capacity = payload_capacity
        self.result_capacity = result_capacity
        self.result_offset = _pages(payload_capacity + 1)
        self.total = _pages(self.result_offset + result_capacity)


def _pages(size):
    return (size + PAGE - 1) // PAGE * PAGE


def cut(text):
    """At most TEXT_BYTES of UTF-8, which ends with a whole character."""
    return text.encode("utf-8", "replace")[:TEXT_BYTES].decode("utf-8", "ignore").encode()


class Channel:
    def __init__(self, fd):
        self._socket = socket.socket(fileno=fd)
        os.set_inheritable(fd, False)  # not for programs that the function starts

    def send(self, kind, *, failure=0, invocation=0, value=0, gpu_work=UNKNOWN, text=""):
        text = cut(text)
        self._socket.send(MESSAGE.pack(VERSION, kind, failure, len(text), invocation, 0, value, gpu_work, 0) + text)

    def receive(self):
        """(invocation, size of its payload), or None when the orchestrator has closed its end."""
        packet = self._socket.recv(MESSAGE.size + 1)
        if not packet:
            return None
        if len(packet) != MESSAGE.size:
            raise BrokenChannel(f"A packet of {len(packet)} bytes is no message ({MESSAGE.size} bytes).")
        version, kind, _, _, invocation, payload_size, *_ = MESSAGE.unpack(packet)
        if (version, kind) != (VERSION, INVOKE):
            raise BrokenChannel(f"The orchestrator sent a message of kind {kind}, version {version}.")
        return invocation, payload_size
