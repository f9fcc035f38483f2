// The options of the JIT compiler and the linker, as far as they mean something here: where errors are written.
#pragma once

#include <string_view>

namespace mignificient::cpu {

// Names the caller's arrays.
struct JitOptions {
  unsigned count = 0;
  int* options = nullptr;
  void** values = nullptr;

  bool Valid() const;
  // Null where the option was not given.
  void** Find(int option) const;
  // The log buffer's size comes in by value in place of a pointer, and goes out the same way as bytes written.
  void WriteErrorLog(std::string_view message) const;
};

}  // namespace mignificient::cpu
