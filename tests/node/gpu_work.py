"""A Python function with the phases that a timeline shows: CPU, copies, kernels, yields, as its payload says.

    {"steps": ["cpu", "in", "kernel", "kernels", "out", "sync", "yield", "wait", ...], "elements": 4096, "file": what to wait for}

Answers with a checksum that says that all of its kernels ran: each adds 1 to every element.
"""
import ctypes
import json
import os
import time

PTX = b"""
.version 6.0
.target sm_50
.address_size 64
.visible .entry add_one(.param .u64 data, .param .u32 n)
{
  .reg .pred %p;
  .reg .b32 %r<6>;
  .reg .b64 %d<3>;
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, %ntid.x;
  mov.u32 %r3, %tid.x;
  mad.lo.s32 %r4, %r1, %r2, %r3;
  ld.param.u32 %r5, [n];
  setp.ge.u32 %p, %r4, %r5;
  @%p bra DONE;
  ld.param.u64 %d1, [data];
  cvta.to.global.u64 %d1, %d1;
  mul.wide.u32 %d2, %r4, 4;
  add.s64 %d1, %d1, %d2;
  ld.global.u32 %r1, [%d1];
  add.u32 %r1, %r1, 1;
  st.global.u32 [%d1], %r1;
DONE:
  ret;
}
"""
THREADS = 128
MANY = 40  # more than one measurement holds


class Gpu:
    def __init__(self):
        self.cuda = ctypes.CDLL("libcuda.so.1")
        self.context, self.module, self.kernel = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
        self.call("cuInit", 0)
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(self.context), 0)
        self.call("cuCtxSetCurrent", self.context)
        self.call("cuModuleLoadData", ctypes.byref(self.module), PTX)
        self.call("cuModuleGetFunction", ctypes.byref(self.kernel), self.module, b"add_one")

    def call(self, name, *arguments):
        if code := getattr(self.cuda, name)(*arguments):
            raise RuntimeError(f"{name} answers {code}")

    def launch(self, address, elements):
        count = ctypes.c_uint32(elements)
        parameters = (ctypes.c_void_p * 2)(ctypes.addressof(address), ctypes.addressof(count))
        self.call("cuLaunchKernel", self.kernel, (elements + THREADS - 1) // THREADS, 1, 1, THREADS, 1, 1, 0, None,
                  parameters, None)


gpu = None


def work(invocation):
    global gpu
    asked = json.loads(bytes(invocation.payload.view_readable()))
    gpu = gpu or Gpu()
    elements = asked.get("elements", 4096)
    host, expected, device = (ctypes.c_uint32 * elements)(), 0, ctypes.c_uint64()
    size = ctypes.c_size_t(4 * elements)
    gpu.call("cuMemAlloc_v2", ctypes.byref(device), size)
    steps = ["in", *asked["steps"]]
    # What follows a yield may wait for the device until the invocations that got it are over.
    steps.insert(steps.index("yield") if "yield" in steps else len(steps), "out")
    for step in steps:
        if step == "cpu":
            sum(range(200_000))
        elif step == "in":
            ctypes.memset(host, 0, size.value)
            gpu.call("cuMemcpyHtoD_v2", device, host, size)
            expected = 0
        elif step in ("kernel", "kernels"):
            for _ in range(MANY if step == "kernels" else 1):
                gpu.launch(device, elements)
                expected += 1
        elif step == "out":
            gpu.call("cuMemcpyDtoH_v2", host, device, size)
        elif step == "sync":
            gpu.call("cuCtxSynchronize")
        elif step == "yield":
            invocation.gpu_yield()
        elif step == "wait":
            while not os.path.exists(asked["file"]):
                time.sleep(0.005)
    gpu.call("cuMemFree_v2", device)
    return {"right": set(host) == {expected}, "kernels": expected}
