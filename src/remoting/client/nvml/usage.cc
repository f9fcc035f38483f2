#include "remoting/client/nvml/usage.h"

namespace mignificient::nvml {
namespace {

// NVML's manner of filling an array: `count` brings its length and takes the number of elements, which is returned
// with kInsufficientSize when it is larger.
template <typename Element, typename Make>
Return Fill(const std::vector<Process2>& processes, unsigned* count, Element* out, Make make) {
  const auto found = static_cast<unsigned>(processes.size());
  if (*count < found) {
    *count = found;
    return kInsufficientSize;
  }
  if (found > 0 && out == nullptr) return kInvalidArgument;
  *count = found;
  for (unsigned i = 0; i < found; ++i) out[i] = make(processes[i]);
  return kSuccess;
}

Return ComputeProcesses1(Device device, unsigned* count, Process1* out) {
  wire::View view;
  if (const Return result = Look(device, view); result != kSuccess) return result;
  if (count == nullptr) return kInvalidArgument;
  return Fill(ProcessesOf(view), count, out, [](const Process2& p) { return Process1{p.pid, p.used_bytes}; });
}

Return ComputeProcesses2(Device device, unsigned* count, Process2* out) {
  wire::View view;
  if (const Return result = Look(device, view); result != kSuccess) return result;
  if (count == nullptr) return kInvalidArgument;
  return Fill(ProcessesOf(view), count, out, [](const Process2& p) { return p; });
}

// Nothing draws, and nothing goes through MPS.
Return NoProcesses(Device device, unsigned* count) {
  if (const Return result = Check(device); result != kSuccess) return result;
  if (count == nullptr) return kInvalidArgument;
  *count = 0;
  return kSuccess;
}

}  // namespace

std::vector<Process2> ProcessesOf(const wire::View& view) {
  std::vector<Process2> processes;
  for (uint32_t i = 0; i < view.channels; ++i)
    processes.push_back({view.pids[i], view.channels == 1 ? view.used_bytes : kNotAvailable, kNoInstance, kNoInstance});
  return processes;
}

MIG_EXPORT int nvmlDeviceGetMemoryInfo(Device device, Memory* memory) {
  wire::View view;
  if (const Return result = Look(device, view); result != kSuccess) return result;
  if (memory == nullptr) return kInvalidArgument;
  *memory = {view.budget_bytes, view.budget_bytes - view.used_bytes, view.used_bytes};
  return kSuccess;
}
MIG_EXPORT int nvmlDeviceGetMemoryInfo_v2(Device device, Memory2* memory) {
  wire::View view;
  if (const Return result = Look(device, view); result != kSuccess) return result;
  if (memory == nullptr) return kInvalidArgument;
  if (memory->version != StructVersion<Memory2>(2)) return kArgumentVersionMismatch;
  *memory = {memory->version, view.budget_bytes, 0, view.budget_bytes - view.used_bytes, view.used_bytes};
  return kSuccess;
}

MIG_EXPORT int nvmlDeviceGetComputeRunningProcesses(Device device, unsigned* count, Process1* processes) {
  return ComputeProcesses1(device, count, processes);
}
MIG_EXPORT int nvmlDeviceGetComputeRunningProcesses_v2(Device device, unsigned* count, Process2* processes) {
  return ComputeProcesses2(device, count, processes);
}
MIG_EXPORT int nvmlDeviceGetComputeRunningProcesses_v3(Device device, unsigned* count, Process2* processes) {
  return ComputeProcesses2(device, count, processes);
}
MIG_EXPORT int nvmlDeviceGetGraphicsRunningProcesses(Device device, unsigned* count, void*) {
  return NoProcesses(device, count);
}
MIG_EXPORT int nvmlDeviceGetGraphicsRunningProcesses_v2(Device device, unsigned* count, void*) {
  return NoProcesses(device, count);
}
MIG_EXPORT int nvmlDeviceGetGraphicsRunningProcesses_v3(Device device, unsigned* count, void*) {
  return NoProcesses(device, count);
}
MIG_EXPORT int nvmlDeviceGetMPSComputeRunningProcesses(Device device, unsigned* count, void*) {
  return NoProcesses(device, count);
}
MIG_EXPORT int nvmlDeviceGetMPSComputeRunningProcesses_v2(Device device, unsigned* count, void*) {
  return NoProcesses(device, count);
}
MIG_EXPORT int nvmlDeviceGetMPSComputeRunningProcesses_v3(Device device, unsigned* count, void*) {
  return NoProcesses(device, count);
}

// Each field says for itself that it is not there.
MIG_EXPORT int nvmlDeviceGetFieldValues(Device device, int count, FieldValue* values) {
  if (const Return result = Check(device); result != kSuccess) return result;
  if (count <= 0 || values == nullptr) return kInvalidArgument;
  for (int i = 0; i < count; ++i) values[i].result = kNotSupported;
  return kSuccess;
}

}  // namespace mignificient::nvml
