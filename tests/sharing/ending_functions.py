"""A Python function that returns while its GPU work goes on, for ending_test.py. It uses the driver through ctypes."""
import ctypes
import json
import pathlib
import subprocess
import sys

PTX = pathlib.Path(__file__).with_name("kernels.ptx").read_bytes()
NOT_READY = 600
started = {}


class Device:
    """The kernel, and memory for the times of one run."""

    def __init__(self):
        self.cuda = ctypes.CDLL("libcuda.so.1")
        context, module = ctypes.c_void_p(), ctypes.c_void_p()
        self.kernel, self.times = ctypes.c_void_p(), ctypes.c_uint64()
        self.call("cuInit", 0)
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), 0)
        self.call("cuCtxSetCurrent", context)
        self.call("cuModuleLoadData", ctypes.byref(module), PTX)
        self.call("cuModuleGetFunction", ctypes.byref(self.kernel), module, b"timed")
        self.call("cuMemAlloc_v2", ctypes.byref(self.times), ctypes.c_size_t(16))

    def call(self, name, *arguments):
        if code := getattr(self.cuda, name)(*arguments):
            raise RuntimeError(f"{name} answers {code}")

    def launch(self, rounds, address=None):
        values = ctypes.c_uint64(self.times.value if address is None else address), ctypes.c_uint32(rounds)
        parameters = (ctypes.c_void_p * 2)(*(ctypes.cast(ctypes.byref(value), ctypes.c_void_p) for value in values))
        self.call("cuLaunchKernel", self.kernel, 1, 1, 1, 1, 1, 1, 0, None, parameters, None)

    def report(self):
        """When the last launch began and ended, by the device's clock. Waits for it."""
        back = (ctypes.c_uint64 * 2)()
        self.call("cuMemcpyDtoH_v2", back, self.times, ctypes.c_size_t(16))
        return list(back)


def device():
    if "device" not in started:
        started["device"] = Device()
    return started["device"]


def carry_out(word, rounds="0"):
    if word == "launch":  # and return at once
        device().launch(int(rounds))
        return device().cuda.cuStreamQuery(None) == NOT_READY
    if word == "launch_wrongly":  # the kernel writes where nothing is
        return device().launch(0, address=8)
    if word == "run":  # a kernel that is waited for as usual
        device().launch(int(rounds))
    return device().report()


def ask_child(line):
    """The same by a child process, which lives on."""
    if "child" not in started:
        started["child"] = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            text=True)
    started["child"].stdin.write(line + "\n")
    started["child"].stdin.flush()
    return started["child"].stdout.readline()


def handler(invocation):
    """The payload: [child] launch ROUNDS | run ROUNDS | launch_wrongly | report"""
    word, _, rest = bytes(invocation.payload.view_readable()).decode().partition(" ")
    return ask_child(rest) if word == "child" else json.dumps(carry_out(word, *rest.split()))


if __name__ == "__main__":
    for request in sys.stdin:
        print(json.dumps(carry_out(*request.split())), flush=True)
