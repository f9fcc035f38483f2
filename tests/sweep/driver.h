// The library under test, brought to one of the states in which every symbol is called, and looked at after each call.
#pragma once

#include <cstdint>
#include <string>

#include "arguments.h"

namespace sweep {

enum class State {
  kBefore,       // cuInit was not called
  kInitialised,  // cuInit was called; no context is current
  kContext,      // the primary context is current
};

using Result = unsigned;  // CUresult

// How the driver is after a call.
struct After {
  Result deferred = 0;   // what the next cuCtxSynchronize answers: a result that came too late for the call itself
  Result stays = 0;      // what it answers after that, if the context does not work any more
  bool changes = false;  // the state is another one; nothing is wrong
};

// One per process: what the driver keeps is the process's.
class Driver {
 public:
  // Loads the library and brings it to the state; exits with a sentence where that fails.
  Driver(const char* library, State state, Values& values);

  void* Find(const char* symbol) const;  // null: the library has no such symbol
  After Look() const;
  std::string Name(Result result) const;  // as CUDA names it, without CUDA_ERROR_ and CUDA_

 private:
  template <typename... Arguments>
  Result Call(const char* symbol, Arguments... arguments) const;
  void MakeContext(Values& values);
  After LookAtContext() const;
  Result RoundTrip() const;

  void* library_;
  State state_;
  void* context_ = nullptr;
  uint64_t memory_ = 0;  // device memory of eight bytes
};

}  // namespace sweep
