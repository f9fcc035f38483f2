// What a GPU function sees of MIGnificient. C++11, no dependencies: nvcc, g++ and clang++ compile it.
//
//   extern "C" int my_function(mignificient::Invocation invocation) {
//     // read invocation.payload.data[0 .. size), which is followed by a zero byte that `size` does not count;
//     // write at most invocation.result.capacity bytes to invocation.result.data
//     return bytes_written;  // negative: the invocation failed
//   }
//
// Build it as a shared library (`nvcc -shared -Xcompiler -fPIC`, or g++ for driver API code). A thrown exception fails
// the invocation with its what(). Globals live as long as the container, which later invocations of the same user and
// function reuse. Leave GPU work out of static constructors: the container has no turn on the GPU before its first
// invocation, so such a library does not load.
#ifndef MIGNIFICIENT_FUNCTION_HPP
#define MIGNIFICIENT_FUNCTION_HPP

#include <cstddef>
#include <cstdint>

namespace mignificient {

struct InvocationData {
  const uint8_t* data;
  size_t size;
};

struct InvocationResultData {
  uint8_t* data;
  size_t size;      // for the function's own use; the handler's return value counts
  size_t capacity;  // bytes that fit
};

// Passed by value; valid until the handler returns.
class Invocation {
 public:
  InvocationData payload;
  InvocationResultData result;

  // Gives the GPU to the next invocation, once the GPU work that was issued before is done; returns at once, and the
  // function goes on. GPU work that it issues later waits until the GPU is its own again, in turn. May be called any
  // number of times, from one thread at a time.
  void gpu_yield() {
    if (yield_ != nullptr) yield_(context_);
  }

  // Made by the executor only.
  Invocation(InvocationData payload_data, InvocationResultData result_data, void (*yield)(void*), void* context)
      : payload(payload_data), result(result_data), yield_(yield), context_(context) {}

 private:
  void (*yield_)(void*);
  void* context_;
};

}  // namespace mignificient

#endif
