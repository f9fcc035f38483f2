// mignificient-executor: the process that runs a tenant's C++ function. Started by the orchestrator
// (executor/protocol.h).
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "executor/cpp/host.h"

namespace {

using mignificient::executor::HostOptions;

template <typename Integer>
bool ParseNumber(std::string_view text, Integer& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

bool Set(HostOptions& options, std::string_view name, const char* value) {
  if (name == "--channel-fd") return ParseNumber(value, options.channel);
  if (name == "--memory-fd") return ParseNumber(value, options.memory);
  if (name == "--payload-capacity") return ParseNumber(value, options.layout.payload_capacity);
  if (name == "--result-capacity") return ParseNumber(value, options.layout.result_capacity);
  if (name == "--function") return options.function = value, true;
  if (name == "--handler") return options.handler = value, true;
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  HostOptions options;
  bool valid = argc % 2 == 1;
  for (int i = 1; valid && i + 1 < argc; i += 2) valid = Set(options, argv[i], argv[i + 1]);
  if (!valid || options.channel < 0 || options.memory < 0) {
    std::fprintf(stderr, "mignificient-executor is started by `mignificient serve`, not by hand.\n");
    return 2;
  }
  const auto result = mignificient::executor::RunHost(options);
  if (!result) std::fprintf(stderr, "mignificient-executor: %s\n", result.error().message().c_str());
  std::fflush(nullptr);
  // Neither destructors of the function's library nor of the CUDA runtime have anything to save, and may hang.
  ::_exit(result ? 0 : 1);
}
