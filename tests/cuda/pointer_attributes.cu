// What pointers say of themselves: device, pinned, pageable and managed memory, and addresses that are none.
#include "check.h"

void Attributes(const char* what, const void* pointer) {
  cudaPointerAttributes attributes = {};
  const cudaError_t error = cudaPointerGetAttributes(&attributes, pointer);
  std::printf("%s: %s, type %d, device %d", what, Name(error), attributes.type, attributes.device);
  std::printf(", device pointer %s, host pointer %s\n",
              attributes.devicePointer == pointer   ? "is it"
              : attributes.devicePointer == nullptr ? "null"
                                                    : "other",
              attributes.hostPointer == pointer   ? "is it"
              : attributes.hostPointer == nullptr ? "null"
                                                  : "other");
}

int main() {
  char *device = Device<char>(1000), *pinned;
  NEED(cudaMallocHost(&pinned, 1000));
  char pageable[16];
  Attributes("device", device);
  Attributes("inside", device + 500);
  Attributes("pinned", pinned);
  Attributes("pageable", pageable);

  const auto address = reinterpret_cast<CUdeviceptr>(device) + 10;
  CUmemorytype type = {};
  SHOW(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address));
  Print("type", type);
  CUdeviceptr base;
  size_t bytes;
  SHOW(cuMemGetAddressRange(&base, &bytes, address));
  Print("offset", address - base);
  Print("bytes", bytes);
  SHOW(cuPointerGetAttribute(&base, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, address));
  Print("offset", address - base);
  SHOW(cuPointerGetAttribute(&bytes, CU_POINTER_ATTRIBUTE_RANGE_SIZE, address));
  Print("bytes", bytes);
  unsigned managed = 9, ordinal = 9;
  SHOW(cuPointerGetAttribute(&managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, address));
  Print("managed", managed);
  SHOW(cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, address));
  Print("ordinal", ordinal);
  unsigned long long first, second;
  SHOW(cuPointerGetAttribute(&first, CU_POINTER_ATTRIBUTE_BUFFER_ID, address));
  SHOW(cuPointerGetAttribute(&second, CU_POINTER_ATTRIBUTE_BUFFER_ID, reinterpret_cast<CUdeviceptr>(Device<int>(4))));
  Print("ids differ", first != second);
  CUcontext context, current;
  SHOW(cuPointerGetAttribute(&context, CU_POINTER_ATTRIBUTE_CONTEXT, address));
  NEED(cuCtxGetCurrent(&current));
  Print("context is current", context == current);
  SHOW(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, reinterpret_cast<CUdeviceptr>(pageable)));
  SHOW(cuMemGetAddressRange(&base, &bytes, reinterpret_cast<CUdeviceptr>(pageable)));

  CUpointer_attribute wanted[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_RANGE_SIZE};
  void* values[] = {&type, &bytes};
  bytes = 1;
  SHOW(cuPointerGetAttributes(2, wanted, values, reinterpret_cast<CUdeviceptr>(pinned)));
  Print("type", type);
  SHOW(cuPointerGetAttributes(2, wanted, values, reinterpret_cast<CUdeviceptr>(pageable)));
  Print("type", type);
  SHOW(cuPointerGetAttribute(&type, static_cast<CUpointer_attribute>(1000), address));
  NEED(cudaFree(device));
  Attributes("freed", device);
}
