// The shape of every example: one function from a JSON payload to a JSON result, used twice: function_main.cc makes it
// a MIGnificient function, program_main.cc makes it a program that runs natively or under `mignificient run`.
#pragma once

#include <cstdarg>
#include <cstdio>
#include <string>
#include <string_view>

#include "payload.h"

namespace example {

// Runs the example on the GPU and compares the result with one computed on the CPU. `payload` is a JSON object; each
// example names its keys and their defaults. Returns 0 and fills `result` with a JSON object; or returns a negative
// number after a sentence on standard error.
int Run(std::string_view payload, std::string& result);

// Writes the sentence to standard error and returns -1: `return Fail("Element %d is wrong.", i);`
[[gnu::format(printf, 1, 2)]] inline int Fail(const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::fputc('\n', stderr);
  return -1;
}

// A reproducible sequence of values for inputs (xorshift), the same on every machine.
class Sequence {
 public:
  explicit Sequence(unsigned seed) : state_(seed * 2654435769u + 1u) {}
  unsigned Next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    state_ ^= state_ << 5;
    return state_;
  }
  float NextUnit() { return static_cast<float>(Next() >> 8) / 16777216.0f; }  // [0, 1)

 private:
  unsigned state_;
};

}  // namespace example
