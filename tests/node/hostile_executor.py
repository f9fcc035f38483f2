"""Takes the place of the interpreter of Python functions and breaks executor/protocol.h: --function names a file with
one word, how. The process lives on until it is killed."""
import json
import os
import socket
import struct
import sys
import threading

options = dict(zip(sys.argv[2::2], sys.argv[3::2]))
channel = socket.socket(fileno=int(options["--channel-fd"]))
READY, FAILED, INVOKE, YIELDED, RETURNED, THREW = range(1, 7)
MESSAGE = struct.Struct("=IIIIQQqII")
TEXT_BYTES = 1024


def send(kind, invocation=0, value=0, version=3, gpu_work=0, failure=0, text=b"", text_size=None):
    size = len(text) if text_size is None else text_size
    channel.send(MESSAGE.pack(version, kind, failure, size, invocation, 0, value, gpu_work, 0) + text)


def invoked():
    """Says that it is ready, and waits for an invocation; its number."""
    send(READY)
    return MESSAGE.unpack(channel.recv(2000))[4]


def told(byte):
    """Has the GPU server do what the byte says; only then returns."""
    name = os.environ["MIGNIFICIENT_GPU_DOOR"].rsplit(":", 1)[0]
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
        door.connect(b"\0" + name.encode())
        door.send(byte)
        return byte == b"h" or door.recv(1)


def forever(*arguments, **fields):
    while True:
        send(*arguments, **fields)


HOW = {
    # before it is ready
    "one byte": lambda: channel.send(b"x"),
    "too long": lambda: channel.send(bytes(MESSAGE.size + TEXT_BYTES + 1)),
    "another version": lambda: send(READY, version=1),
    "an unknown kind": lambda: send(77),
    "an invocation": lambda: send(INVOKE),
    "an answer to nothing": lambda: send(RETURNED),
    "garbage without end": lambda: [channel.send(b"x") for _ in iter(int, 1)],
    "ready without end": lambda: forever(READY),
    "failed with every byte": lambda: send(FAILED, failure=77, text=bytes(range(1, 256)) * 4),
    "a text that is longer than its packet": lambda: send(FAILED, text=b"x", text_size=0xffffffff),
    "a text that is shorter than its packet": lambda: send(FAILED, text=b"xy", text_size=1),
    "failed without end": lambda: forever(FAILED, text=b"x"),
    "descriptors": lambda: [socket.send_fds(channel, [b"x"], [0] * 16) for _ in range(1000)],
    # when it is invoked
    "ready again": lambda: (invoked(), send(READY)),
    "another invocation": lambda: send(RETURNED, invoked() + 1),
    "yields without end": lambda: forever(YIELDED, invoked()),
    "answers without end": lambda: forever(RETURNED, invoked()),
    "throws every byte": lambda: send(THREW, invoked(), text=bytes(range(1, 256)) * 4),
    "a huge result": lambda: send(RETURNED, invoked(), value=(1 << 63) - 1),
    "a result beyond the area": lambda: send(RETURNED, invoked(), value=(64 << 20) + 1),
    "the smallest number": lambda: send(RETURNED, invoked(), value=-(1 << 63)),
    "fails after its answer": lambda: (i := invoked(), send(RETURNED, i), send(FAILED, i, text=b"x")),
    "sends garbage after its answer": lambda: (send(RETURNED, invoked()), channel.send(b"x")),
    "dies after its answer": lambda: (send(RETURNED, invoked()), os.abort()),
    "says finished while the GPU is busy": lambda: (i := invoked(), told(b"b"), told(b"h"), send(RETURNED, i, gpu_work=2)),
    "says that it has no channel": lambda: (i := invoked(), told(b"i"), told(b"h"), send(RETURNED, i, gpu_work=1)),
    "an unknown end of GPU work": lambda: (i := invoked(), told(b"q"), told(b"h"), send(RETURNED, i, gpu_work=77)),
    "says finished truly": lambda: (i := invoked(), told(b"i"), told(b"h"), send(RETURNED, i, gpu_work=2)),
    "closes": lambda: (invoked(), channel.close()),
    "an empty packet": lambda: (invoked(), channel.send(b"")),
    "prints without end": lambda: (invoked(), [os.write(1, b"x" * 65536) for _ in iter(int, 1)]),
}

if __name__ == "__main__":
    with open(options["--function"]) as file:
        how = json.load(file)
    try:
        HOW[how]()
    except OSError:
        pass  # the orchestrator has heard enough
    threading.Event().wait()
