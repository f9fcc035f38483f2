// Makes an example a MIGnificient function. The build defines EXAMPLE_HANDLER as the example's name.
#include <cstring>
#include <string>

#include <mignificient/function.hpp>

#include "example.h"

extern "C" int EXAMPLE_HANDLER(mignificient::Invocation invocation) {
  const std::string_view payload(reinterpret_cast<const char*>(invocation.payload.data), invocation.payload.size);
  std::string result;
  const int status = example::Run(payload, result);
  if (status < 0) return status;
  if (result.size() > invocation.result.capacity)
    return example::Fail("The result has %zu bytes (capacity %zu).", result.size(), invocation.result.capacity);
  std::memcpy(invocation.result.data, result.data(), result.size());
  return static_cast<int>(result.size());
}
