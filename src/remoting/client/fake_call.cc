#include "remoting/client/fake_call.h"

#include "remoting/client/context_table.h"

// The entry points of other files.
#define MIG_HAND(symbol)             \
  extern "C" unsigned symbol() {     \
    return CUDA_ERROR_NOT_SUPPORTED; \
  }
#include "gen/hand_symbols.inc"
#undef MIG_HAND

namespace mignificient::client {

namespace fake {

State& Get() {
  static State state;
  return state;
}

void Reset() {
  Get() = State{};
  attached = Attached::kYes;
  wire::DeviceInfo& device = Get().device;
  device.driver_version = 13000;
  device.context_api_version = 3020;
  std::strcpy(device.name, "Fake H100");
  std::memset(device.uuid.bytes, 7, sizeof device.uuid.bytes);
  device.total_bytes = uint64_t{8} << 30;
  device.attributes[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR] = 9;
  device.attributes[CU_DEVICE_ATTRIBUTE_WARP_SIZE] = 32;
  device.attributes[CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT] = 132;
  device.attributes[CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK] = 1024;
  device.attributes[CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR] = 2048;
  device.attributes[CU_DEVICE_ATTRIBUTE_MULTICAST_SUPPORTED] = 1;
  device.attributes[CU_DEVICE_ATTRIBUTE_PCI_BUS_ID] = 0x1b;
  device.attributes[CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID] = 6;
  device.greatest_priority = -5;
  for (ContextRecord& record : Contexts().records) {
    record.End();
    record.references = 0;
    record.flags = 0;
  }
  current_stack = {};
}

}  // namespace fake

namespace {

fake::Command& Record(uint16_t opcode, bool waits, std::span<const std::byte> body, std::span<const std::byte> tail) {
  return fake::Get().commands.emplace_back(fake::Command{
      opcode, waits, {body.begin(), body.end()}, std::string(reinterpret_cast<const char*>(tail.data()), tail.size())});
}

}  // namespace

CUresult Attach() {
  if (fake::Get().attach == CUDA_SUCCESS) attached = Attached::kYes;
  return fake::Get().attach;
}
constinit std::atomic<Attached> attached{Attached::kNo};
constinit const std::atomic<uint32_t> no_channel{1};
constinit std::atomic<const std::atomic<uint32_t>*> trouble{&no_channel};

CUresult WhyNotReady() {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  if (CurrentContextLives()) return fake::Get().ready;
  return CurrentContext() == nullptr ? CUDA_ERROR_INVALID_CONTEXT : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}
const wire::DeviceInfo& Device() {
  return fake::Get().device;
}

CUresult Post(uint16_t opcode, std::span<const std::byte> body, std::span<const std::byte> tail) {
  Record(opcode, false, body, tail);
  return CUDA_SUCCESS;
}
CUresult Issue(uint16_t opcode, std::span<const std::byte> body, std::span<const std::byte> tail) {
  return Post(opcode, body, tail);
}
CUresult Call(uint16_t opcode, std::span<const std::byte> body, std::span<std::byte> reply,
              std::span<const std::byte> tail) {
  const fake::Command& command = Record(opcode, true, body, tail);
  return fake::Get().answer ? fake::Get().answer(command, reply) : CUDA_SUCCESS;
}
uint64_t ThreadStreamName() {
  return 2;
}

CUresult CheckAddress(CUdeviceptr) {
  return CUDA_SUCCESS;
}
CUresult CheckRange(CUdeviceptr address, uint64_t bytes, CUstream) {
  return bytes <= fake::Get().allocation_bytes || address == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
CUresult Refused(const char* name) {
  fake::Get().refused.push_back(name);
  return CUDA_ERROR_NOT_SUPPORTED;
}

}  // namespace mignificient::client
