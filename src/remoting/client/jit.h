// What loading and linking share: images on their way to the server, and the compiler's options and logs.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "os/unique_fd.h"
#include "remoting/wire/commands.h"

namespace mignificient::client {

// The pieces, one behind the other, in a memfd that nobody can write to any more.
Result<os::UniqueFd> Seal(std::span<const std::span<const std::byte>> pieces);

// A whole file, and a zero byte after it, which PTX files have not.
Result<std::vector<std::byte>> ReadFile(const char* path);

// The JIT options of one load or link: numbers for the server, and where the program wants its logs. The program's
// arrays must outlive it.
struct JitRequest {
  std::vector<wire::JitOption> options;
  char* logs[2] = {};  // info, error
  uint32_t log_bytes[2] = {};
  void** log_size_values[2] = {};  // where CUDA reports how much was written
  bool complete = true;            // false: arrays are missing, or more options than there are
  unsigned asked = 0;              // options, of whatever kind

  JitRequest(unsigned count, const int* names, void** values);
  bool IsEmpty() const { return asked == 0; }
  void Deliver(const wire::LoadReply& reply);
};

}  // namespace mignificient::client
