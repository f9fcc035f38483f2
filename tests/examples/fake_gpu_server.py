#!/usr/bin/python3
"""Speaks the control protocol of a GPU server without a device, so that `mignificient run` meets each of its endings.

FAKE_GPU_SERVER says what to do: a list of words out of ready, failed, opened, await-program, out-of-memory, misuse,
device-error, client-gone, close, await-hang-up, crash. The layout is that of src/remoting/wire/control.h.
"""
import array
import os
import signal
import socket
import struct
import sys

LAYOUT = struct.Struct("<4I8Q3I256s4x")
READY, FAILED, OPEN, OPENED, ATTACHED, DRAIN, DRAINED, CLOSE, ENDED = range(1, 10)
CLOSED, CLIENT_GONE, MISUSE, OUT_OF_MEMORY, DEVICE_ERROR = range(5)
MIB = 1 << 20

control = socket.socket(fileno=int(sys.argv[sys.argv.index("--control-fd") + 1]))


def send(kind, session=0, end=0, total=0, free=0, text=b""):
    control.send(LAYOUT.pack(kind, session, end, 0, 0, 0, total, free, 0, 0, 0, 0, 0, 0, 0, text))


def receive():
    data, ancillary, _, _ = control.recvmsg(LAYOUT.size, 256)
    descriptors = array.array("i")
    for _, _, block in ancillary:
        descriptors.frombytes(block)
    return (LAYOUT.unpack(data) if data else None), descriptors


door = None
session = 0
for word in os.environ["FAKE_GPU_SERVER"].split():
    if word == "ready":
        send(READY, total=1024 * MIB, free=1000 * MIB, text=b"Fake device")
    elif word == "failed":
        send(FAILED, text=b"The device is on fire.")
        sys.exit(1)
    elif word == "opened":
        message, descriptors = receive()
        assert message[0] == OPEN and len(descriptors) == 2
        print(f"budget {message[4] // MIB}", file=sys.stderr)
        door, session = socket.socket(fileno=descriptors[0]), message[1]
        send(OPENED, session)
    elif word == "await-program":
        program = door.accept()[0]
        program.recv(64)
        program.send(b"x")
    elif word == "out-of-memory":
        send(ENDED, session, OUT_OF_MEMORY, text=b"The budget is used up.")
    elif word == "misuse":
        send(ENDED, session, MISUSE, text=b"Opcode 999 is unknown.")
    elif word == "device-error":
        send(ENDED, session, DEVICE_ERROR, text=b"An illegal address was read.")
    elif word == "client-gone":
        send(ENDED, session, CLIENT_GONE)
    elif word == "close":
        while (message := receive()[0]) is not None and message[0] != CLOSE:
            pass
        send(ENDED, session, CLOSED)
        receive()
    elif word == "await-hang-up":  # without being ready
        receive()
    elif word == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
