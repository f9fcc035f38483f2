// Contexts of the program's own: the stack of current ones, ids, versions, and what belongs to which.
#include <thread>

#include "check.h"

int main() {
  NEED(cuInit(0));
  CUcontext a, b, current;
  SHOW(cuCtxCreate(&a, nullptr, CU_CTX_SCHED_AUTO, 0));
  SHOW(cuCtxCreate(&b, nullptr, CU_CTX_MAP_HOST, 0));
  NEED(cuCtxGetCurrent(&current));
  Print("b is current", current == b);
  SHOW(cuCtxPopCurrent(&current));
  Print("popped b", current == b);
  NEED(cuCtxGetCurrent(&current));
  Print("a is current", current == a);
  unsigned long long id_a, id_b;
  SHOW(cuCtxGetId(a, &id_a));
  SHOW(cuCtxGetId(b, &id_b));
  Print("ids differ", id_a != id_b);
  unsigned version = 0;
  SHOW(cuCtxGetApiVersion(a, &version));
  Print("version", version > 3000);
  SHOW(cuCtxPushCurrent(b));
  SHOW(cuCtxPushCurrent(nullptr));
  CUdeviceptr in_b;
  SHOW(cuMemAlloc(&in_b, 64));
  SHOW(cuMemsetD8(in_b, 3, 64));
  SHOW(cuCtxSetCurrent(a));
  unsigned char byte = 0;
  SHOW(cuMemcpyDtoH(&byte, in_b + 5, 1));  // one address space
  Print("byte", byte);
  std::thread([&] {
    CUcontext mine;
    SHOW(cuCtxGetCurrent(&mine));
    Print("a new thread has none", mine == nullptr);
    SHOW(cuCtxSynchronize());
    SHOW(cuCtxSetCurrent(b));
    SHOW(cuCtxSynchronize());
  }).join();
  unsigned flags = 0;
  SHOW(cuCtxGetFlags(&flags));
  SHOW(cuCtxDestroy(b));
  SHOW(cuCtxDestroy(a));
  SHOW(cuCtxGetCurrent(&current));
  SHOW(cuCtxPopCurrent(&current));
  SHOW(cuCtxPopCurrent(&current));
  SHOW(cuCtxCreate(&a, nullptr, 0xffff, 0));
  SHOW(cuCtxCreate(&a, nullptr, 0, 999));
}
