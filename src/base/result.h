// Errors are values. A function that can fail returns Result<T>; an Error carries a machine-readable
// code and a sentence for a person, and gains context on its way up:
//
//   Container [c-3] is busy (limit 1).
//    - While placing invocation [i-17]
#pragma once

#include <fmt/format.h>

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace mignificient {

enum class Code {
  kInvalidArgument,  // the caller gave something that is not allowed
  kNotFound,
  kExists,
  kForbidden,
  kExhausted,    // a limit or a resource is used up
  kUnavailable,  // the other side is not there (any more)
  kPeer,         // a peer broke the protocol; its session ends
  kUnsupported,
  kTimeout,
  kOs,        // a system call failed; the sentence names it and its errno
  kInternal,  // our own invariant is broken
};

class [[nodiscard]] Error {
 public:
  Error(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  Code code() const { return code_; }
  const std::string& message() const { return message_; }

  // Adds one line of context: what was being done when this happened.
  Error While(std::string_view doing) && {
    message_ += fmt::format("\n - While {}", doing);
    return std::move(*this);
  }
  Error While(std::string_view doing) const& { return Error(*this).While(doing); }

 private:
  Code code_;
  std::string message_;
};

template <typename T = void>
using Result = std::expected<T, Error>;

// `return Fail(Code::kPeer, "Length ({}) exceeds the limit ({}).", length, limit);`
template <typename... Args>
std::unexpected<Error> Fail(Code code, fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected(Error(code, fmt::format(format, std::forward<Args>(args)...)));
}

// kOs with the system call's name and the text of `errno_value`.
std::unexpected<Error> FailErrno(std::string_view call, int errno_value);

}  // namespace mignificient

// Passes an error up: `MIG_TRY(channel.Send(message));`
#define MIG_TRY(expression)                                      \
  do {                                                           \
    if (auto mig_try_result = (expression); !mig_try_result)     \
      return std::unexpected(std::move(mig_try_result).error()); \
  } while (0)

// Declares a variable or passes the error up: `MIG_ASSIGN(auto fd, OpenRing(path));`
#define MIG_ASSIGN_CONCAT_(a, b) a##b
#define MIG_ASSIGN_NAME_(line) MIG_ASSIGN_CONCAT_(mig_assign_, line)
#define MIG_ASSIGN(declaration, expression)                                                               \
  auto MIG_ASSIGN_NAME_(__LINE__) = (expression);                                                         \
  if (!MIG_ASSIGN_NAME_(__LINE__)) return std::unexpected(std::move(MIG_ASSIGN_NAME_(__LINE__)).error()); \
  declaration = std::move(*MIG_ASSIGN_NAME_(__LINE__))
