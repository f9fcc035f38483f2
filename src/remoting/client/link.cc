// The driver's linker: PTX, cubins, objects and libraries become one cubin. It works at the server; the result is
// fetched.

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>

#include "remoting/client/call.h"
#include "remoting/client/channel.h"
#include "remoting/client/jit.h"
#include "remoting/wire/commands.h"

namespace mignificient::client {
namespace {

using wire::Command;

struct Link {
  uint64_t handle;
  JitRequest jit;
  std::vector<std::byte> cubin;  // lent to the program until the link is destroyed
};

struct Links {
  std::mutex lock;
  std::set<Link*> alive;
};

Links& All() {
  static Links& links = *new Links;
  return links;
}

Link* Find(CUlinkState state) {
  const std::lock_guard lock(All().lock);
  Link* link = reinterpret_cast<Link*>(state);
  return All().alive.contains(link) ? link : nullptr;
}

CUresult Ask(Command command, wire::LinkBody body, const std::vector<wire::JitOption>& options, std::string_view name,
             JitRequest& logs, uint64_t& answer) {
  if (options.size() > wire::kMaxJitOptions || name.size() > wire::kMaxNameBytes) return CUDA_ERROR_INVALID_VALUE;
  body.load.option_count = static_cast<uint32_t>(options.size());
  body.load.info_log_bytes = logs.log_bytes[0];
  body.load.error_log_bytes = logs.log_bytes[1];
  body.name_bytes = static_cast<uint32_t>(name.size());
  std::vector<std::byte> tail(options.size() * sizeof(wire::JitOption) + name.size());
  if (!options.empty()) std::memcpy(tail.data(), options.data(), options.size() * sizeof(wire::JitOption));
  if (!name.empty()) std::memcpy(tail.data() + tail.size() - name.size(), name.data(), name.size());
  const auto reply = std::make_unique<wire::LoadReply>();
  const CUresult called = Call(static_cast<uint16_t>(command), std::as_bytes(std::span(&body, 1)),
                               std::as_writable_bytes(std::span(reply.get(), 1)), tail);
  if (called != CUDA_SUCCESS) return called;
  logs.Deliver(*reply);
  answer = reply->handle;
  return static_cast<CUresult>(reply->result);
}

CUresult Create(unsigned count, int* options, void** values, CUlinkState* state) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  if (state == nullptr) return CUDA_ERROR_INVALID_VALUE;
  auto link = std::make_unique<Link>(Link{0, JitRequest(count, options, values), {}});
  if (!link->jit.complete) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = Ask(Command::kLinkCreate, {}, link->jit.options, {}, link->jit, link->handle);
  if (result != CUDA_SUCCESS) return result;
  const std::lock_guard lock(All().lock);
  *state = reinterpret_cast<CUlinkState>(link.get());
  All().alive.insert(link.release());
  return CUDA_SUCCESS;
}

CUresult Add(CUlinkState state, int type, std::span<const std::byte> data, const char* name, unsigned count,
             int* options, void** values) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  Link* link = Find(state);
  if (link == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  const JitRequest jit(count, options, values);
  if (data.empty() || !jit.complete) return CUDA_ERROR_INVALID_VALUE;
  const auto fd = Seal(std::span(&data, 1));
  if (!fd) return CUDA_ERROR_OUT_OF_MEMORY;
  const auto tag = TheChannel()->SendDescriptor(fd->get(), data.size());
  if (!tag) return CUDA_ERROR_DEVICE_UNAVAILABLE;
  wire::LinkBody body{};
  body.load.tag = *tag;
  body.load.bytes = data.size();
  body.link = link->handle;
  body.type = type;
  uint64_t unused = 0;
  return Ask(Command::kLinkAdd, body, jit.options, name == nullptr ? "" : name, link->jit, unused);
}

CUresult AddFile(CUlinkState state, int type, const char* path, unsigned count, int* options, void** values) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  if (Find(state) == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (path == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const auto bytes = ReadFile(path);
  if (!bytes) return CUDA_ERROR_FILE_NOT_FOUND;
  constexpr int kPtx = 1;
  const size_t length = type == kPtx ? bytes->size() : bytes->size() - 1;
  return Add(state, type, std::span(*bytes).first(length), path, count, options, values);
}

}  // namespace

MIG_EXPORT CUresult cuLinkCreate_v2(unsigned count, int* options, void** values, CUlinkState* state) {
  return Create(count, options, values, state);
}
MIG_EXPORT CUresult cuLinkCreate(unsigned count, int* options, void** values, CUlinkState* state) {
  return Create(count, options, values, state);
}

MIG_EXPORT CUresult cuLinkAddData_v2(CUlinkState state, int type, void* data, size_t bytes, const char* name,
                                     unsigned count, int* options, void** values) {
  if (data == nullptr) bytes = 0;  // refused as no data
  return Add(state, type, {static_cast<const std::byte*>(data), bytes}, name, count, options, values);
}
MIG_EXPORT CUresult cuLinkAddData(CUlinkState state, int type, void* data, size_t bytes, const char* name,
                                  unsigned count, int* options, void** values) {
  return cuLinkAddData_v2(state, type, data, bytes, name, count, options, values);
}
MIG_EXPORT CUresult cuLinkAddFile_v2(CUlinkState state, int type, const char* path, unsigned count, int* options,
                                     void** values) {
  return AddFile(state, type, path, count, options, values);
}
MIG_EXPORT CUresult cuLinkAddFile(CUlinkState state, int type, const char* path, unsigned count, int* options,
                                  void** values) {
  return AddFile(state, type, path, count, options, values);
}

MIG_EXPORT CUresult cuLinkComplete(CUlinkState state, void** cubin, size_t* bytes) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  Link* link = Find(state);
  if (link == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (cubin == nullptr) return CUDA_ERROR_INVALID_VALUE;
  wire::LinkBody body{};
  body.link = link->handle;
  uint64_t length = 0;
  if (const CUresult result = Ask(Command::kLinkComplete, body, {}, {}, link->jit, length); result != CUDA_SUCCESS)
    return result;
  link->cubin.resize(length);
  for (uint64_t at = 0; at < length;) {
    const wire::LinkReadBody read{link->handle, at};
    const auto part = std::span(link->cubin).subspan(at, std::min<uint64_t>(length - at, wire::kReplyBytes));
    const CUresult result = Call(static_cast<uint16_t>(Command::kLinkRead), std::as_bytes(std::span(&read, 1)), part);
    if (result != CUDA_SUCCESS) return result;
    at += part.size();
  }
  *cubin = link->cubin.data();
  if (bytes != nullptr) *bytes = length;
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuLinkDestroy(CUlinkState state) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  std::unique_ptr<Link> link(Find(state));
  if (link == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  {
    const std::lock_guard lock(All().lock);
    All().alive.erase(link.get());
  }
  const wire::HandleBody body{link->handle};
  return Call(static_cast<uint16_t>(Command::kLinkDestroy), std::as_bytes(std::span(&body, 1)), {});
}

}  // namespace mignificient::client
