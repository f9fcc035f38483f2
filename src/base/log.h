// One line per event on standard error: `2026-01-02T03:04:05.678Z info container_started id=c-3 pid=77`.
// Written by whoever decides, once. Library code returns errors instead of logging them.
// Safe from any thread; a line is one write(2) and is never torn.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace mignificient::log {

enum class Level { kDebug, kInfo, kWarning, kError };

// Lines below `level` are dropped. The default is kInfo. Applies to the whole process.
void SetLevel(Level level);
bool Enabled(Level level);

// A key and its value; values with spaces, quotes or control characters are quoted and escaped.
struct Field {
  template <typename T>
  Field(std::string_view field_key, const T& field_value) : key(field_key), value(fmt::format("{}", field_value)) {}
  std::string_view key;
  std::string value;
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

// The line without its newline; exposed for tests.
std::string Format(Level level, std::string_view event, std::initializer_list<Field> fields);

}  // namespace mignificient::log
