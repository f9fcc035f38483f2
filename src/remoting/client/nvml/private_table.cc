// The private table through which nvidia-smi asks for what NVML's documented functions do not give. Which entries it
// calls and how is known from public reports on nvidia-smi of driver 580; all others say that they are not supported.
// With MIGNIFICIENT_TRACE_NVML set, each of those is named on standard error.

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "remoting/client/nvml/usage.h"

extern "C" int nvmlSystemGetProcessName(unsigned pid, char* text, unsigned bytes);

namespace mignificient::nvml {
namespace {

// 6c3efec4-8fc9-4e6c-a327-ee696e12f7c4, as it lies in memory.
constexpr std::array<unsigned char, 16> kTable = {0xc4, 0xfe, 0x3e, 0x6c, 0xc9, 0x8f, 0x6c, 0x4e,
                                                  0xa3, 0x27, 0xee, 0x69, 0x6e, 0x12, 0xf7, 0xc4};
constexpr size_t kEntries = 512;  // the first of which is the table's size in bytes
constexpr size_t kHandleByIndex = 81;
constexpr size_t kFirstProcessList = 213, kLastProcessList = 215;

struct NamedProcess {
  unsigned pid;
  unsigned long long used_bytes;
  unsigned gpu_instance, compute_instance;
  unsigned long long protected_bytes;
  char name[4096];
};
static_assert(offsetof(NamedProcess, name) == 32 && sizeof(NamedProcess) == 4128);

int HandleByIndex(unsigned index, Device* device) {
  if (const Return result = Initialized(); result != kSuccess) return result;
  if (index != 0 || device == nullptr) return kInvalidArgument;
  *device = TheDevice();
  return kSuccess;
}

int ProcessList(Device device, unsigned* count, NamedProcess* out) {
  wire::View view;
  if (const Return result = Look(device, view); result != kSuccess) return result;
  if (count == nullptr) return kInvalidArgument;
  const unsigned capacity = out == nullptr ? 0 : *count;
  *count = 0;
  for (const Process2& process : ProcessesOf(view)) {
    if (*count == capacity) return out == nullptr ? kSuccess : kInsufficientSize;
    NamedProcess& named = out[(*count)++];
    named = {process.pid, process.used_bytes, process.gpu_instance, process.compute_instance, 0, {}};
    nvmlSystemGetProcessName(process.pid, named.name, sizeof named.name);  // left empty where it has just ended
  }
  return kSuccess;
}

template <size_t kEntry>
int Unsupported() {
  if (std::getenv("MIGNIFICIENT_TRACE_NVML") != nullptr)
    std::fprintf(stderr, "mignificient: private entry %zu of NVML is not supported.\n", kEntry);
  return kNotSupported;
}

union Entry {
  size_t bytes;
  int (*unsupported)();
  decltype(&HandleByIndex) handle_by_index;
  decltype(&ProcessList) process_list;
};

template <size_t... kIndices>
constexpr std::array<Entry, sizeof...(kIndices)> MakeTable(std::index_sequence<kIndices...>) {
  std::array<Entry, sizeof...(kIndices)> table{Entry{.unsupported = &Unsupported<kIndices>}...};
  table[0] = {.bytes = sizeof table};
  table[kHandleByIndex] = {.handle_by_index = &HandleByIndex};
  for (size_t i = kFirstProcessList; i <= kLastProcessList; ++i) table[i] = {.process_list = &ProcessList};
  return table;
}

constinit const std::array<Entry, kEntries> private_table = MakeTable(std::make_index_sequence<kEntries>());

}  // namespace

MIG_EXPORT int nvmlInternalGetExportTable(const void** table, const void* id) {
  if (table == nullptr || id == nullptr) return kInvalidArgument;
  *table = nullptr;
  if (std::memcmp(id, kTable.data(), kTable.size()) != 0) return kNotFound;
  *table = private_table.data();
  return kSuccess;
}

}  // namespace mignificient::nvml
