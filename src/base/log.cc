#include "base/log.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

#include "base/utf8.h"

namespace mignificient::log {
namespace {

// The threshold of the process. It is configuration, set once by main; reads are relaxed.
constinit std::atomic<Level> threshold{Level::kInfo};

constexpr std::string_view kLevelNames[] = {"debug", "info", "warning", "error"};

bool NeedsQuotes(std::string_view value) {
  if (value.empty()) return true;
  for (const char c : value)
    if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f) return true;
  return false;
}

bool IsAscii(std::string_view value) {
  return std::ranges::all_of(value, [](unsigned char c) { return c < 0x80; });
}

// A value may be what a tenant wrote; a log is one text all the same.
void AppendValue(std::string& out, std::string_view raw) {
  if (IsAscii(raw) && !NeedsQuotes(raw)) {
    out += raw;
    return;
  }
  const std::string value = ValidUtf8(raw);
  if (!NeedsQuotes(value)) {
    out += value;
    return;
  }
  out += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  out += '"';
}

std::string Timestamp() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  const std::chrono::sys_days day(std::chrono::floor<std::chrono::days>(std::chrono::milliseconds(ms)));
  const std::chrono::year_month_day date(day);
  const auto of_day = static_cast<uint32_t>(ms - day.time_since_epoch() / std::chrono::milliseconds(1));
  std::string text = "0000-00-00T00:00:00.000Z";
  const auto put = [&text](size_t at, size_t digits, uint32_t number) {
    for (size_t i = at + digits; i-- > at; number /= 10) text[i] = static_cast<char>('0' + number % 10);
  };
  put(0, 4, static_cast<uint32_t>(static_cast<int>(date.year())));
  put(5, 2, static_cast<unsigned>(date.month()));
  put(8, 2, static_cast<unsigned>(date.day()));
  put(11, 2, of_day / 3'600'000);
  put(14, 2, of_day / 60'000 % 60);
  put(17, 2, of_day / 1000 % 60);
  put(20, 3, of_day % 1000);
  return text;
}

}  // namespace

void SetLevel(Level level) {
  threshold.store(level, std::memory_order_relaxed);
}

bool Enabled(Level level) {
  return level >= threshold.load(std::memory_order_relaxed);
}

std::string Format(Level level, std::string_view event, std::initializer_list<Field> fields) {
  std::string line;
  line.reserve(256);
  line += Timestamp();
  line += ' ';
  line += kLevelNames[static_cast<int>(level)];
  line += ' ';
  line += event;
  for (const Field& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    AppendValue(line, field.value);
  }
  return line;
}

void Write(Level level, std::string_view event, std::initializer_list<Field> fields) {
  if (!Enabled(level)) return;
  std::string line = Format(level, event, fields);
  line += '\n';
  // A log that cannot be written has nobody left to be told.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace mignificient::log
