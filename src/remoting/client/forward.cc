// The entry points that only carry their arguments to the server: generated from api/.

#include <cstring>
#include <type_traits>

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

uint64_t Name(CUstream stream) {
  return StreamName(stream);
}
constexpr uint64_t Name(unsigned long long handle) {
  return handle;
}

// The program's handle for what the server has named.
template <typename Handle>
Handle As(uint64_t name) {
  if constexpr (std::is_pointer_v<Handle>)
    return reinterpret_cast<Handle>(name);
  else
    return name;
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
