// The driver's linker: inputs are added one by one, and the result is read back in pieces.

#include <cstring>

#include "remoting/server/connection.h"
#include "remoting/server/jit.h"

namespace mignificient::server {

struct Connection::LinkState {
  CUlinkState state = nullptr;
  JitOptions jit;  // the driver writes into its logs until the state is destroyed
  const std::byte* cubin = nullptr;
  size_t cubin_bytes = 0;
};

void Connection::DestroyLinks() {
  links_.RemoveIf([this](const std::shared_ptr<LinkState>& link) { return driver().cuLinkDestroy(link->state), true; });
}

bool Connection::Link(wire::Command command, uint16_t slot, std::span<const std::byte> body) {
  using enum wire::Command;
  if (command == kLinkRead) {
    const auto* read = Body<wire::LinkReadBody>(body);
    return read != nullptr ? ReadLink(slot, *read) : Misuse("Link command is too short.");
  }
  if (command == kLinkDestroy) {
    const auto* handle = Body<wire::HandleBody>(body);
    if (handle == nullptr) return Misuse("Link command is too short.");
    const auto link = links_.Remove(handle->handle);
    Answer(slot, link ? driver().cuLinkDestroy((*link)->state) : CUDA_ERROR_INVALID_HANDLE);
    return true;
  }
  const auto* request = Body<wire::LinkBody>(body);
  if (request == nullptr || request->load.option_count > wire::kMaxJitOptions ||
      body.size() < request->load.option_count * sizeof(wire::JitOption) ||
      request->load.info_log_bytes > wire::kMaxJitLog || request->load.error_log_bytes > wire::kMaxJitLog ||
      request->name_bytes > body.size() - request->load.option_count * sizeof(wire::JitOption))
    return Misuse("Link command is malformed.");
  const auto reply = std::make_unique<wire::LoadReply>();
  const auto* options = reinterpret_cast<const wire::JitOption*>(body.data());
  std::shared_ptr<LinkState> link;
  if (command == kLinkCreate) {
    link = std::make_shared<LinkState>();
    link->jit.Read(options, request->load);
    reply->result = links_.full()
                        ? CUDA_ERROR_OUT_OF_MEMORY
                        : driver().cuLinkCreate_v2(static_cast<unsigned>(link->jit.names.size()),
                                                   link->jit.names.data(), link->jit.values.data(), &link->state);
    if (reply->result == CUDA_SUCCESS) reply->handle = *links_.Add(link);
  } else if (!Resolve(links_, request->link, link)) {
    reply->result = CUDA_ERROR_INVALID_HANDLE;
  } else if (command == kLinkComplete) {
    void* cubin = nullptr;
    reply->result = driver().cuLinkComplete(link->state, &cubin, &link->cubin_bytes);
    link->cubin = reply->result == CUDA_SUCCESS ? static_cast<const std::byte*>(cubin) : nullptr;
    if (link->cubin == nullptr) link->cubin_bytes = 0;
    reply->handle = link->cubin_bytes;
  } else {
    const os::UniqueFd fd = TakeDescriptor(request->load.tag);
    if (!fd) return Misuse("Link command names a descriptor that was not sent.");
    const auto mapping = ImageMapping::Create(fd.get(), request->load.bytes);
    if (!mapping) return Misuse(mapping.error().message());
    JitOptions jit;
    jit.Read(options, {.option_count = request->load.option_count});
    const std::string name(reinterpret_cast<const char*>(options + request->load.option_count), request->name_bytes);
    reply->result =
        driver().cuLinkAddData_v2(link->state, request->type, const_cast<std::byte*>(mapping->bytes().data()),
                                  request->load.bytes, name.empty() ? nullptr : name.c_str(),
                                  static_cast<unsigned>(jit.names.size()), jit.names.data(), jit.values.data());
  }
  if (link != nullptr) link->jit.WriteLogs(*reply);
  Answer(slot, CUDA_SUCCESS, std::as_bytes(std::span(reply.get(), 1)));
  return true;
}

bool Connection::ReadLink(uint16_t slot, const wire::LinkReadBody& body) {
  std::shared_ptr<LinkState> link;
  if (!Resolve(links_, body.link, link) || body.offset > link->cubin_bytes) {
    Answer(slot, CUDA_ERROR_INVALID_VALUE);
    return true;
  }
  const size_t bytes = std::min<size_t>(link->cubin_bytes - body.offset, wire::kReplyBytes);
  Answer(slot, CUDA_SUCCESS, {link->cubin + body.offset, bytes});
  return true;
}

}  // namespace mignificient::server
