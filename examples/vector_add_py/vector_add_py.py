"""C = A + B from Python through the driver API, with the kernel as PTX text: needs neither a compiler nor a module.

Payload: "vec-elements" (default 65536), "seed" (default 1). As a program: python3 vector_add_py.py '{"seed": 2}'.
"""
import array
import ctypes
import json
import math
import operator
import sys

MAX_ELEMENTS = 1 << 24
THREADS = 256

KERNEL = b"""
.version 6.0
.target sm_50
.address_size 64
.visible .entry vector_add(.param .u64 a, .param .u64 b, .param .u64 c, .param .u32 n)
{
  .reg .pred %p;
  .reg .b32 %r<6>;
  .reg .b64 %d<8>;
  .reg .f32 %f<4>;
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, %ntid.x;
  mov.u32 %r3, %tid.x;
  mad.lo.s32 %r4, %r1, %r2, %r3;
  ld.param.u32 %r5, [n];
  setp.ge.u32 %p, %r4, %r5;
  @%p bra DONE;
  ld.param.u64 %d1, [a];
  ld.param.u64 %d2, [b];
  ld.param.u64 %d3, [c];
  cvta.to.global.u64 %d1, %d1;
  cvta.to.global.u64 %d2, %d2;
  cvta.to.global.u64 %d3, %d3;
  mul.wide.u32 %d4, %r4, 4;
  add.s64 %d5, %d1, %d4;
  add.s64 %d6, %d2, %d4;
  add.s64 %d7, %d3, %d4;
  ld.global.f32 %f1, [%d5];
  ld.global.f32 %f2, [%d6];
  add.f32 %f3, %f1, %f2;
  st.global.f32 [%d7], %f3;
DONE:
  ret;
}
"""


class Driver:
    """The CUDA driver: `Driver().cuInit(0)` raises an exception that names call and error where a call fails."""

    def __init__(self):
        self._library = ctypes.CDLL("libcuda.so.1")

    def __getattr__(self, name):
        function = getattr(self._library, name)

        def call(*arguments):
            status = function(*arguments)
            if status != 0:
                text = ctypes.c_char_p()
                self._library.cuGetErrorName(status, ctypes.byref(text))
                raise RuntimeError(f"{name} fails with {(text.value or b'an unknown error').decode()} ({status}).")

        return call


class VectorAdd:
    """The kernel on the current device; made once and kept."""

    def __init__(self):
        self.driver = Driver()
        device, context, module, self.kernel = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
        name = ctypes.create_string_buffer(128)
        self.driver.cuInit(0)
        self.driver.cuDeviceGet(ctypes.byref(device), 0)
        self.driver.cuDeviceGetName(name, len(name), device)
        self.driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device)
        self.driver.cuCtxSetCurrent(context)
        self.driver.cuModuleLoadData(ctypes.byref(module), ctypes.c_char_p(KERNEL))
        self.driver.cuModuleGetFunction(ctypes.byref(self.kernel), module, b"vector_add")
        self.device = name.value.decode()

    def __call__(self, a, b):
        """The sum of two arrays of floats, as a new one."""
        c = array.array("f", bytes(4 * len(a)))
        size = ctypes.c_size_t(4 * len(a))
        vectors = [ctypes.c_uint64() for _ in "abc"]
        try:
            for vector in vectors:
                self.driver.cuMemAlloc_v2(ctypes.byref(vector), size)
            for vector, host in zip(vectors, (a, b)):
                self.driver.cuMemcpyHtoD_v2(vector, ctypes.c_void_p(host.buffer_info()[0]), size)
            arguments = [*vectors, ctypes.c_uint32(len(a))]
            pointers = (ctypes.c_void_p * len(arguments))(*map(ctypes.addressof, arguments))
            blocks = (len(a) + THREADS - 1) // THREADS
            self.driver.cuLaunchKernel(self.kernel, blocks, 1, 1, THREADS, 1, 1, 0, None, pointers, None)
            self.driver.cuMemcpyDtoH_v2(ctypes.c_void_p(c.buffer_info()[0]), vectors[2], size)
        finally:
            for vector in vectors:
                if vector.value:
                    self.driver.cuMemFree_v2(vector)
        return c


def sequence(seed):
    """The reproducible values that all examples use (xorshift, as in common/example.h), from 0 to 1."""
    state = (seed * 2654435769 + 1) & 0xFFFFFFFF
    while True:
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        yield (state >> 8) / 16777216


def run(payload, add):
    elements = payload.get("vec-elements", 65536)
    if not isinstance(elements, int) or not 1 <= elements <= MAX_ELEMENTS:
        raise ValueError(f"vec-elements is {elements} (allowed: 1 to {MAX_ELEMENTS}).")
    values = sequence(payload.get("seed", 1))
    a, b = (array.array("f", (next(values) for _ in range(elements))) for _ in "ab")
    c = add(a, b)
    if c != array.array("f", map(operator.add, a, b)):
        raise ValueError("The sum is wrong.")
    return {"result": "ok", "elements": elements, "sum": math.fsum(c), "device": add.device}


vector_add = VectorAdd()  # stays for all invocations of the container


def vector_add_py(invocation):
    payload = bytes(invocation.payload.view_readable()) or b"{}"
    return run(json.loads(payload), vector_add)


if __name__ == "__main__":
    print(json.dumps(run(json.loads(sys.argv[1] if len(sys.argv) > 1 else "{}"), vector_add)))
