// One line per event on standard error: `2026-01-02T03:04:05.678Z info container_started id=c-3 pid=77`.
// Written by whoever decides, once. Library code returns errors instead of logging them.
// Safe from any thread; a line is never torn. It is written at once, unless its thread gathers (Gather).
#pragma once

#include <fmt/format.h>

#include <charconv>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace mignificient::log {

enum class Level { kDebug, kInfo, kWarning, kError };

// Lines below `level` are dropped. The default is kInfo. Applies to the whole process.
void SetLevel(Level level);
bool Enabled(Level level);

// A key and its value; values with spaces, quotes or control characters are quoted and escaped.
class Field {
 public:
  // Texts are referred to, not copied: a field is only ever an argument of a line.
  template <typename T>
  Field(std::string_view field_key, const T& field_value) : key(field_key) {
    if constexpr (std::is_convertible_v<const T&, std::string_view>) {
      value = field_value;
    } else {
      if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool> && !std::is_same_v<T, char>) {
        char digits[24];
        owned_.assign(digits, std::to_chars(digits, digits + sizeof digits, field_value).ptr);
      } else {
        owned_ = fmt::format("{}", field_value);
      }
      value = owned_;
    }
  }
  Field(const Field&) = delete;
  Field& operator=(const Field&) = delete;

  std::string_view key, value;

 private:
  std::string owned_;
};

void Write(Level level, std::string_view event, std::initializer_list<Field> fields = {});

inline void Debug(std::string_view event, std::initializer_list<Field> fields = {}) {
  if (Enabled(Level::kDebug)) Write(Level::kDebug, event, fields);
}
inline void Info(std::string_view event, std::initializer_list<Field> fields = {}) {
  if (Enabled(Level::kInfo)) Write(Level::kInfo, event, fields);
}
inline void Warning(std::string_view event, std::initializer_list<Field> fields = {}) {
  Write(Level::kWarning, event, fields);
}
inline void Error(std::string_view event, std::initializer_list<Field> fields = {}) {
  Write(Level::kError, event, fields);
}

// While it lives, lines of its thread are kept and written together, with one write(2); warnings and errors, and many
// lines, take all before them along at once. One at a time on a thread. Whoever ends the process other than by
// returning from what made it writes first.
class Gather {
 public:
  // `first_kept` is called when a line is kept and none was: Write must be called soon.
  explicit Gather(std::function<void()> first_kept);
  ~Gather();
  Gather(const Gather&) = delete;
  Gather& operator=(const Gather&) = delete;

  void Write();

 private:
  friend void Write(Level level, std::string_view event, std::initializer_list<Field> fields);

  std::function<void()> first_kept_;
  std::string kept_;
};

// The line without its newline; exposed for tests.
std::string Format(Level level, std::string_view event, std::initializer_list<Field> fields);

}  // namespace mignificient::log
