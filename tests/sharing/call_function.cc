// Calls a function natively, without MIGnificient, so that it can be compared: for C++ what
// bench/call_python_function.py is for Python.
//
//   call_function FILE HANDLER PAYLOAD
//
// The first line of its output is the first answer. After that, for each number that it reads from a line, it calls for
// so many seconds and answers with a line: the milliseconds of the calls as a JSON list.
#include <dlfcn.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include <mignificient/function.hpp>

namespace {

using Handler = int (*)(mignificient::Invocation);
using Clock = std::chrono::steady_clock;

std::string Call(Handler handler, const std::string& payload) {
  static std::vector<uint8_t> result(1 << 20);
  const mignificient::Invocation invocation({reinterpret_cast<const uint8_t*>(payload.data()), payload.size()},
                                            {result.data(), 0, result.size()}, nullptr, nullptr);
  const int size = handler(invocation);
  if (size < 0) {
    std::fprintf(stderr, "The function returned %d.\n", size);
    std::exit(1);
  }
  return {reinterpret_cast<const char*>(result.data()), static_cast<size_t>(size)};
}

void CallFor(double seconds, Handler handler, const std::string& payload) {
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  std::string times, separator;
  for (auto begin = Clock::now(); begin < end;) {
    Call(handler, payload);
    const auto now = Clock::now();
    times += separator + std::to_string(std::chrono::duration<double, std::milli>(now - begin).count());
    separator = ", ";
    begin = now;
  }
  std::printf("[%s]\n", times.c_str());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 4) {
    std::fprintf(stderr, "Usage: call_function FILE HANDLER PAYLOAD\n");
    return 2;
  }
  void* library = ::dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  void* symbol = library != nullptr ? ::dlsym(library, argv[2]) : nullptr;
  if (symbol == nullptr) {
    std::fprintf(stderr, "%s\n", ::dlerror());
    return 2;
  }
  const auto handler = reinterpret_cast<Handler>(symbol);
  std::printf("%s\n", Call(handler, argv[3]).c_str());
  std::fflush(stdout);
  char line[64];
  while (std::fgets(line, sizeof line, stdin) != nullptr) CallFor(std::atof(line), handler, argv[3]);
  std::_Exit(0);
} catch (const std::exception& exception) {
  std::fprintf(stderr, "The function threw an exception: %s\n", exception.what());
  return 1;
}
