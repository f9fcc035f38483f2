// The entry points that only carry their arguments to the server: generated from api/.

#include <cstring>

#include "remoting/client/answer_cache.h"
#include "remoting/client/call.h"

#include "gen/commands.h"

namespace mignificient::client {
namespace {

constexpr size_t kMaxStringBytes = 32 * 1024;  // names of kernels and variables; the longest mangled ones are some KiB
static_assert(kMaxStringBytes + 1024 <= wire::kMaxCommandBytes);

template <typename Handle>
uint64_t Name(Handle* handle) {
  return reinterpret_cast<uint64_t>(handle);
}

template <typename Body>
std::span<const std::byte> Bytes(const Body& body) {
  return std::as_bytes(std::span(&body, 1));
}

template <typename Reply>
std::span<std::byte> WritableBytes(Reply& reply) {
  return std::as_writable_bytes(std::span(&reply, 1));
}

}  // namespace

#include "gen/client_forward.inc"

}  // namespace mignificient::client
