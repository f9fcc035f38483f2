// C = A + B through the driver API, with the kernel written as PTX text: built by a C++ compiler alone, without CUDA.
//
// Payload: "vec-elements" (default 65536), "seed" (default 1).
#include <dlfcn.h>

#include <cstdint>
#include <string>
#include <vector>

#include "example.h"

namespace {

constexpr long long kMaxElements = 1LL << 28;
constexpr unsigned kThreads = 256;

constexpr const char* kKernel = R"(
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
)";

// The part of the driver API that this example calls. Kept for the life of the process, as CUDA programs do.
struct Driver {
  using Status = int;
  using Pointer = uint64_t;  // CUdeviceptr

  Status (*Init)(unsigned flags);
  Status (*DeviceGet)(int* device, int ordinal);
  Status (*DeviceGetName)(char* name, int length, int device);
  Status (*PrimaryRetain)(void** context, int device);
  Status (*SetCurrent)(void* context);
  Status (*ModuleLoadData)(void** module, const void* image);
  Status (*ModuleGetFunction)(void** function, void* module, const char* name);
  Status (*ModuleUnload)(void* module);
  Status (*MemAlloc)(Pointer* pointer, size_t bytes);
  Status (*MemFree)(Pointer pointer);
  Status (*CopyToDevice)(Pointer to, const void* from, size_t bytes);
  Status (*CopyToHost)(void* to, Pointer from, size_t bytes);
  Status (*Launch)(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                   unsigned block_y, unsigned block_z, unsigned shared_bytes, void* stream, void** parameters,
                   void** extra);
  Status (*Synchronize)();
  Status (*GetErrorName)(Status status, const char** name);

  // False, after a sentence, when the library or one of the functions is not there.
  bool Load() {
    void* library = dlopen("libcuda.so.1", RTLD_NOW);
    if (library == nullptr) {
      example::Fail("No CUDA driver: %s.", dlerror());
      return false;
    }
    return Find(library, "cuInit", Init) && Find(library, "cuDeviceGet", DeviceGet) &&
           Find(library, "cuDeviceGetName", DeviceGetName) &&
           Find(library, "cuDevicePrimaryCtxRetain", PrimaryRetain) && Find(library, "cuCtxSetCurrent", SetCurrent) &&
           Find(library, "cuModuleLoadData", ModuleLoadData) &&
           Find(library, "cuModuleGetFunction", ModuleGetFunction) && Find(library, "cuModuleUnload", ModuleUnload) &&
           Find(library, "cuMemAlloc_v2", MemAlloc) && Find(library, "cuMemFree_v2", MemFree) &&
           Find(library, "cuMemcpyHtoD_v2", CopyToDevice) && Find(library, "cuMemcpyDtoH_v2", CopyToHost) &&
           Find(library, "cuLaunchKernel", Launch) && Find(library, "cuCtxSynchronize", Synchronize) &&
           Find(library, "cuGetErrorName", GetErrorName);
  }

  template <typename Function>
  static bool Find(void* library, const char* name, Function& function) {
    function = reinterpret_cast<Function>(dlsym(library, name));
    if (function == nullptr) example::Fail("The CUDA driver does not have %s.", name);
    return function != nullptr;
  }

  int Failed(const char* call, Status status) const {
    const char* name = nullptr;
    GetErrorName(status, &name);
    return example::Fail("%s fails with %s (%d).", call, name != nullptr ? name : "an unknown error", status);
  }
};

// Returns from the function with a sentence when a driver call fails: `DRIVER(driver, Synchronize());`
#define DRIVER(driver, call)                                                                                       \
  do {                                                                                                             \
    if (const int driver_status = (driver).call; driver_status != 0) return (driver).Failed(#call, driver_status); \
  } while (0)

struct Vectors {
  std::vector<float> a, b, c;
};

// Device memory of one vector; freed with its owner.
struct DeviceVector {
  explicit DeviceVector(const Driver& owner) : driver(owner) {}
  ~DeviceVector() {
    if (pointer != 0) driver.MemFree(pointer);
  }
  DeviceVector(const DeviceVector&) = delete;
  DeviceVector& operator=(const DeviceVector&) = delete;
  const Driver& driver;
  Driver::Pointer pointer = 0;
};

int Add(const Driver& driver, void* kernel, Vectors& host) {
  unsigned count = static_cast<unsigned>(host.a.size());
  const size_t bytes = size_t{count} * sizeof(float);
  DeviceVector a(driver), b(driver), c(driver);
  DRIVER(driver, MemAlloc(&a.pointer, bytes));
  DRIVER(driver, MemAlloc(&b.pointer, bytes));
  DRIVER(driver, MemAlloc(&c.pointer, bytes));
  DRIVER(driver, CopyToDevice(a.pointer, host.a.data(), bytes));
  DRIVER(driver, CopyToDevice(b.pointer, host.b.data(), bytes));
  void* parameters[] = {&a.pointer, &b.pointer, &c.pointer, &count};
  const unsigned blocks = (count + kThreads - 1) / kThreads;
  DRIVER(driver, Launch(kernel, blocks, 1, 1, kThreads, 1, 1, 0, nullptr, parameters, nullptr));
  DRIVER(driver, Synchronize());
  DRIVER(driver, CopyToHost(host.c.data(), c.pointer, bytes));
  return 0;
}

}  // namespace

namespace example {

int Run(std::string_view text, std::string& result) {
  const auto payload = Payload::Parse(text);
  if (!payload) return Fail("The payload is not a JSON object of numbers.");
  const long long elements = payload->Number("vec-elements", 65536);
  if (elements < 1 || elements > kMaxElements)
    return Fail("vec-elements is %lld (allowed: 1 to %lld).", elements, kMaxElements);

  Vectors host{std::vector<float>(elements), std::vector<float>(elements), std::vector<float>(elements)};
  Sequence values(static_cast<unsigned>(payload->Number("seed", 1)));
  for (float& value : host.a) value = values.NextUnit();
  for (float& value : host.b) value = values.NextUnit();

  Driver driver{};
  if (!driver.Load()) return -1;
  int device = 0;
  void* context = nullptr;
  void* module = nullptr;
  void* kernel = nullptr;
  char name[128] = {};
  DRIVER(driver, Init(0));
  DRIVER(driver, DeviceGet(&device, 0));
  DRIVER(driver, DeviceGetName(name, sizeof name - 1, device));
  DRIVER(driver, PrimaryRetain(&context, device));
  DRIVER(driver, SetCurrent(context));
  DRIVER(driver, ModuleLoadData(&module, kKernel));
  DRIVER(driver, ModuleGetFunction(&kernel, module, "vector_add"));
  const int status = Add(driver, kernel, host);
  driver.ModuleUnload(module);
  if (status != 0) return status;

  double sum = 0;
  for (long long i = 0; i < elements; ++i) {
    if (host.c[i] != host.a[i] + host.b[i])
      return Fail("Element %lld is %.9g (expected %.9g).", i, host.c[i], host.a[i] + host.b[i]);
    sum += host.c[i];
  }
  result = "{\"result\":\"ok\",\"elements\":" + std::to_string(elements) + ",\"sum\":" + std::to_string(sum) +
           ",\"device\":\"" + name + "\"}";
  return 0;
}

}  // namespace example
