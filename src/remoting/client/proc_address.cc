// cuGetProcAddress: from a name, a CUDA version and the kind of default stream to an entry point. Agrees with driver
// 580 for every name, version and flag of the table (measured): an unknown name is a success with a null pointer, and
// only a caller that cannot be told why (no status) gets CUDA_ERROR_NOT_FOUND.

#include <algorithm>
#include <cstring>
#include <span>

#include "remoting/client/call.h"
#include "remoting/client/proc_table.h"
#include "remoting/client/versions.h"

namespace mignificient::client {
namespace {

constexpr uint64_t kLegacyStream = 1;
constexpr uint64_t kPerThreadStream = 2;

enum Status : int { kFound = 0, kSymbolNotFound = 1, kVersionNotSufficient = 2 };

std::span<const MigProc> Named(const char* name) {
  const auto less = [](const MigProc& proc, const char* wanted) { return std::strcmp(proc.name, wanted) < 0; };
  const MigProc* end = mig_procs + mig_proc_count;
  const MigProc* first = std::lower_bound(mig_procs, end, name, less);
  const MigProc* last = first;
  while (last != end && std::strcmp(last->name, name) == 0) ++last;
  return {first, last};
}

// The newest symbol that `version` knows among those of one kind of default stream.
const MigProc* Newest(std::span<const MigProc> procs, int version) {
  const MigProc* best = nullptr;
  for (const MigProc& proc : procs)
    if (proc.version <= version) best = &proc;
  return best;
}

Status Find(const char* name, int version, bool per_thread, void** address) {
  const std::span<const MigProc> procs = Named(name);
  if (procs.empty()) return kSymbolNotFound;
  const auto first_per_thread = std::ranges::find(procs, 1, &MigProc::per_thread) - procs.begin();
  const auto legacy = procs.first(first_per_thread);
  const auto variants = procs.subspan(first_per_thread);
  const MigProc* found = Newest(per_thread && !variants.empty() ? variants : legacy, version);
  if (found == nullptr) return kVersionNotSufficient;
  *address = reinterpret_cast<void*>(found->address);
  return kFound;
}

CUresult GetProcAddress(const char* symbol, void** function, int version, uint64_t flags, int* status) {
  if (symbol == nullptr || function == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *function = nullptr;
  if (version > DriverVersion() || (flags & ~(kLegacyStream | kPerThreadStream)) != 0) return CUDA_ERROR_INVALID_VALUE;
  // Version 0 finds what the newest would (seen for cuInit).
  const Status found =
      Find(symbol, version == 0 ? DriverVersion() : version, (flags & kPerThreadStream) != 0, function);
  if (status != nullptr) *status = found;
  return found == kFound || status != nullptr ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

}  // namespace

MIG_EXPORT CUresult cuGetProcAddress(const char* symbol, void** function, int version, uint64_t flags) {
  return GetProcAddress(symbol, function, version, flags, nullptr);
}

MIG_EXPORT CUresult cuGetProcAddress_v2(const char* symbol, void** function, int version, uint64_t flags, int* status) {
  return GetProcAddress(symbol, function, version, flags, status);
}

}  // namespace mignificient::client
