"""libcuda.so.1 is loaded late by most programs, and its thread-local variables must fit into what the loader keeps free for
such libraries: glibc has 1664 bytes for all of them, of which others take their part (src/remoting/client/thread_owned.h)."""
import os
import pathlib
import struct
import subprocess
import sys

LIBRARY = pathlib.Path(os.environ["MIGNIFICIENT_BUILD"]) / "lib/libcuda.so.1"
PT_TLS = 7
ROOM = 128


def thread_local_bytes(path):
    image = path.read_bytes()
    offset, = struct.unpack_from("<Q", image, 32)
    entry_bytes, entries = struct.unpack_from("<HH", image, 54)
    headers = [struct.unpack_from("<II6Q", image, offset + i * entry_bytes) for i in range(entries)]
    return sum(memory_bytes for kind, _, _, _, _, _, memory_bytes, _ in headers if kind == PT_TLS)


def test_thread_local_variables_take_little_room():
    assert 0 < thread_local_bytes(LIBRARY) <= ROOM


def test_library_can_be_loaded_late_and_stays_loaded():
    program = ("import ctypes, _ctypes, sys, threading\n"
               "library = ctypes.CDLL(sys.argv[1])\n"
               "threads = [threading.Thread(target=library.cuCtxPopCurrent_v2, args=(None,)) for _ in range(8)]\n"
               "[thread.start() for thread in threads]\n"
               "_ctypes.dlclose(library._handle)\n"
               "[thread.join() for thread in threads]\n"
               "print('libcuda.so.1' in open('/proc/self/maps').read())\n")
    done = subprocess.run([sys.executable, "-c", program, str(LIBRARY)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
