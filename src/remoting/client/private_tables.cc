// cuGetExportTable: the private tables through which NVIDIA's libraries talk to their driver. Only the entries that
// CUDA 13.0 libraries were seen to call are here (FACTS); every other entry refuses, and says so once, and every other
// table is unknown. A table is an array of pointers whose first word is its size in bytes, except context-local
// storage.
//
// Libraries call from their exit handlers, so the tables are constants and what they use is never destroyed.

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "remoting/client/call.h"
#include "remoting/client/context.h"
#include "remoting/client/context_storage.h"
#include "remoting/client/integrity.h"
#include "remoting/client/versions.h"

extern "C" {
CUresult cuModuleEnumerateFunctions(CUfunction* functions, unsigned count, CUmodule module);
CUresult cuModuleGetFunctionCount(unsigned* count, CUmodule module);
CUresult cuModuleLoadData(CUmodule* module, const void* image);
CUresult cuStreamGetId(CUstream stream, unsigned long long* id);
}

namespace mignificient::client {
namespace {

using Entry = const void*;

uint64_t Zero() {
  return 0;
}

// One function per table and index, so that an entry nobody knew of can be named.
template <size_t kTable, size_t kIndex>
uint64_t RefuseEntry() {
  static constexpr const char* kNames[] = {"6bd5fb6c", "a094798c", "263e8860", "d4082055",
                                           "42d85a81", "21318c60", "1734dc26", "6e163fbe"};
  char name[64];
  std::snprintf(name, sizeof name, "entry %zu of private table %s", kIndex, kNames[kTable]);
  return Refused(name);
}

// A table of kCount words, all refusing; word 0 is the size.
template <size_t kTable, size_t kCount>
struct SizedTable {
  Entry entries[kCount];
  SizedTable(std::initializer_list<std::pair<size_t, Entry>> known) {
    Refuse(std::make_index_sequence<kCount>());
    entries[0] = reinterpret_cast<Entry>(sizeof entries);
    for (const auto& [index, entry] : known) entries[index] = entry;
  }

 private:
  template <size_t... kIndex>
  void Refuse(std::index_sequence<kIndex...>) {
    ((entries[kIndex] = reinterpret_cast<Entry>(&RefuseEntry<kTable, kIndex>)), ...);
  }
};

template <typename Function>
Entry Address(Function* function) {
  return reinterpret_cast<Entry>(function);
}

// --- 6bd5fb6c: the runtime's own entries. 1, 6 and 8 are how runtimes before 12 load modules
// --------------------------

CUresult PrimaryContext(CUcontext* context, CUdevice device) {
  return RetainPrimary(context, device);
}
CUresult LoadWrapper(CUmodule* module, const void* wrapper) {
  return cuModuleLoadData(module, wrapper);
}
CUresult LoadHeader(const void* header, CUmodule* module) {
  return cuModuleLoadData(module, header);
}

const Entry* RuntimeTable() {
  static const auto& table = *new SizedTable<0, 13>({{1, Address(LoadWrapper)},
                                                     {2, Address(PrimaryContext)},
                                                     {6, Address(LoadWrapper)},
                                                     {7, Address(Zero)},
                                                     {8, Address(LoadHeader)},
                                                     {12, Address(Zero)}});
  return table.entries;
}

// --- a094798c: two buffers that tools would write to
// ------------------------------------------------------------------

void ToolsBuffer(void** buffer, size_t* bytes) {
  static char storage[0x400];
  *buffer = storage;
  *bytes = sizeof storage;
}
void SmallToolsBuffer(void** buffer, size_t* bytes) {
  static char storage[16];
  *buffer = storage;
  *bytes = 14;
}

const Entry* ToolsTable() {
  static const auto& table = *new SizedTable<1, 7>({{1, Address(Zero)},
                                                    {2, Address(ToolsBuffer)},
                                                    {3, Address(Zero)},
                                                    {4, Address(Zero)},
                                                    {5, Address(Zero)},
                                                    {6, Address(SmallToolsBuffer)}});
  return table.entries;
}

// --- c693336e: context-local storage; three pointers, no size
// ---------------------------------------------------------

CUresult StoragePut(CUcontext context, void* key, void* value, StorageDestructor destructor) {
  if (context == nullptr) context = CurrentContext();
  return context == nullptr ? CUDA_ERROR_INVALID_CONTEXT : PutStorage(context, key, value, destructor);
}
CUresult StorageDelete(CUcontext context, void* key) {
  if (context == nullptr) context = CurrentContext();
  return context == nullptr ? CUDA_ERROR_INVALID_CONTEXT : DeleteStorage(context, key);
}
CUresult StorageGet(void** value, CUcontext context, void* key) {
  if (context == nullptr) context = CurrentContext();
  return context == nullptr ? CUDA_ERROR_INVALID_CONTEXT : GetStorage(value, context, key);
}

const Entry* StorageTable() {
  static const Entry table[] = {Address(StoragePut), Address(StorageDelete), Address(StorageGet), nullptr};
  return table;
}

// --- 263e8860: is the context fit for use?
// ----------------------------------------------------------------------------

CUresult ContextCheck(CUcontext, uint32_t* state, void**) {
  if (state != nullptr) *state = 0;
  return CUDA_SUCCESS;
}

const Entry* ContextCheckTable() {
  static const auto& table = *new SizedTable<2, 15>({{2, Address(ContextCheck)}, {3, Address(Zero)}});
  return table.entries;
}

// --- d4082055: the integrity check
// ------------------------------------------------------------------------------------

const Entry* IntegrityTable();

CUresult IntegrityCheck(uint32_t version, uint64_t unix_seconds, uint64_t* result) {
  std::vector<IntegrityDevice> devices;
  if (Initialized() == CUDA_SUCCESS) {
    const wire::DeviceInfo& device = Device();
    devices.push_back({device.uuid, device.attributes[CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID],
                       device.attributes[CU_DEVICE_ATTRIBUTE_PCI_BUS_ID],
                       device.attributes[CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID]});
  }
  const IntegrityFacts facts{
      .driver_version = static_cast<uint32_t>(DriverVersion()),
      .version = version,
      .process = static_cast<uint32_t>(::getpid()),
      .thread = static_cast<uint32_t>(::pthread_self()),
      .runtime_table = reinterpret_cast<uint64_t>(RuntimeTable()),
      .integrity_table = reinterpret_cast<uint64_t>(IntegrityTable()),
      .check = reinterpret_cast<uint64_t>(&IntegrityCheck),
      .unix_seconds = unix_seconds,
  };
  const auto answer = IntegrityAnswer(facts, devices);
  std::memcpy(result, answer.data(), sizeof answer);
  return CUDA_SUCCESS;
}

const Entry* IntegrityTable() {
  static const auto& table = *new SizedTable<3, 3>({{1, Address(IntegrityCheck)}, {2, nullptr}});
  return table.entries;
}

// --- 42d85a81: the current context, for cuBLAS
// ------------------------------------------------------------------------

CUresult TheCurrentContext(CUcontext* context) {
  *context = CurrentContext();
  return CUDA_SUCCESS;
}

const Entry* CurrentContextTable() {
  static const auto& table = *new SizedTable<4, 3>({{2, Address(TheCurrentContext)}});
  return table.entries;
}

// --- 21318c60: identities of contexts and streams, for cuBLAS and cuFFT; once per GEMM
// --------------------------------

CUresult ContextIdentity(CUcontext context, uint64_t* id) {
  if (const CUresult result = ResolveContext(context); result != CUDA_SUCCESS) return result;
  return ContextId(context, *id);
}
CUresult StreamObject(CUcontext, CUstream stream, void** object) {
  *object = stream == nullptr ? CuStreamLegacy() : stream;
  return CUDA_SUCCESS;
}
CUresult StreamIdentity(CUcontext, void* object, uint32_t* id) {
  unsigned long long whole = 0;
  const CUresult result = cuStreamGetId(static_cast<CUstream>(object), &whole);
  *id = static_cast<uint32_t>(whole);
  return result;
}

const Entry* IdentityTable() {
  static const auto& table = *new SizedTable<5, 93>(
      {{4, Address(ContextIdentity)}, {39, Address(StreamIdentity)}, {51, Address(StreamObject)}});
  return table.entries;
}

// --- 1734dc26: scratch for cuBLASLt, which crashes without
// ------------------------------------------------------------

uint64_t ScratchBuffers(void** first, void** second) {
  static char storage[2][4096];
  if (first != nullptr) *first = storage[0];
  if (second != nullptr) *second = storage[1];
  return 0;
}

const Entry* ScratchTable() {
  static const auto& table = *new SizedTable<6, 17>({{4, Address(ScratchBuffers)}, {13, Address(Zero)}});
  return table.entries;
}

// --- 6e163fbe: the functions of a module, for cuFFT
// -------------------------------------------------------------------

uint64_t ForEachFunction(CUcontext, CUmodule module, void (*callback)(void* user, CUfunction function), void* user) {
  unsigned count = 0;
  if (cuModuleGetFunctionCount(&count, module) != CUDA_SUCCESS) return 0;
  std::vector<CUfunction> functions(count);
  if (cuModuleEnumerateFunctions(functions.data(), count, module) != CUDA_SUCCESS) return 0;
  for (const CUfunction function : functions) callback(user, function);
  return count;
}

const Entry* ModuleTable() {
  static const auto& table = *new SizedTable<7, 99>({{7, Address(ForEachFunction)}});
  return table.entries;
}

struct KnownTable {
  unsigned char uuid[16];
  const Entry* (*table)();
};

constexpr KnownTable kTables[] = {
    {{0x6b, 0xd5, 0xfb, 0x6c, 0x5b, 0xf4, 0xe7, 0x4a, 0x89, 0x87, 0xd9, 0x39, 0x12, 0xfd, 0x9d, 0xf9}, RuntimeTable},
    {{0xa0, 0x94, 0x79, 0x8c, 0x2e, 0x74, 0x2e, 0x74, 0x93, 0xf2, 0x08, 0x00, 0x20, 0x0c, 0x0a, 0x66}, ToolsTable},
    {{0xc6, 0x93, 0x33, 0x6e, 0x11, 0x21, 0xdf, 0x11, 0xa8, 0xc3, 0x68, 0xf3, 0x55, 0xd8, 0x95, 0x93}, StorageTable},
    {{0x26, 0x3e, 0x88, 0x60, 0x7c, 0xd2, 0x61, 0x43, 0x92, 0xf6, 0xbb, 0xd5, 0x00, 0x6d, 0xfa, 0x7e},
     ContextCheckTable},
    {{0xd4, 0x08, 0x20, 0x55, 0xbd, 0xe6, 0x70, 0x4b, 0x8d, 0x34, 0xba, 0x12, 0x3c, 0x66, 0xe1, 0xf2}, IntegrityTable},
    {{0x42, 0xd8, 0x5a, 0x81, 0x23, 0xf6, 0xcb, 0x47, 0x82, 0x98, 0xf6, 0xe7, 0x8a, 0x3a, 0xec, 0xdc},
     CurrentContextTable},
    {{0x21, 0x31, 0x8c, 0x60, 0x97, 0x14, 0x32, 0x48, 0x8c, 0xa6, 0x41, 0xff, 0x73, 0x24, 0xc8, 0xf2}, IdentityTable},
    {{0x17, 0x34, 0xdc, 0x26, 0x80, 0x0d, 0x47, 0x45, 0x87, 0x26, 0xc0, 0xf1, 0xe7, 0xdd, 0x8b, 0xca}, ScratchTable},
    {{0x6e, 0x16, 0x3f, 0xbe, 0xb9, 0x58, 0x44, 0x4d, 0x83, 0x5c, 0xe1, 0x82, 0xaf, 0xf1, 0x99, 0x1e}, ModuleTable},
};

}  // namespace

MIG_EXPORT CUresult cuGetExportTable(const void** table, const CUuuid* uuid) {
  if (table == nullptr || uuid == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const auto* known = std::ranges::find_if(
      kTables, [&](const KnownTable& each) { return std::memcmp(each.uuid, uuid->bytes, sizeof each.uuid) == 0; });
  *table = known == std::end(kTables) ? nullptr : known->table();
  return *table == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

}  // namespace mignificient::client
