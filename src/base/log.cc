#include "base/log.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>

#include "base/utf8.h"

namespace mignificient::log {
namespace {

// The threshold of the process. It is configuration, set once by main; reads are relaxed.
constinit std::atomic<Level> threshold{Level::kInfo};

constexpr std::string_view kLevelNames[] = {"debug", "info", "warning", "error"};

// Printable ASCII that nothing has to be added to.
constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> plain{};
  for (int c = ' ' + 1; c < 0x7f; ++c) plain[static_cast<size_t>(c)] = c != '"' && c != '=' && c != '\\';
  return plain;
}();

bool IsPlain(std::string_view value) {
  return !value.empty() && std::ranges::all_of(value, [](unsigned char c) { return kPlain[c]; });
}

// A value may be what a tenant wrote; a log is one text all the same.
void AppendValue(std::string& out, std::string_view raw) {
  if (IsPlain(raw)) {
    out += raw;
    return;
  }
  const std::string value = ValidUtf8(raw);
  if (IsPlain(value)) {
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

void AppendTimestamp(std::string& line) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  const std::chrono::sys_days day(std::chrono::floor<std::chrono::days>(std::chrono::milliseconds(ms)));
  const std::chrono::year_month_day date(day);
  const auto of_day = static_cast<uint32_t>(ms - day.time_since_epoch() / std::chrono::milliseconds(1));
  char text[] = "0000-00-00T00:00:00.000Z";
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
  line += text;
}

}  // namespace

void SetLevel(Level level) {
  threshold.store(level, std::memory_order_relaxed);
}

bool Enabled(Level level) {
  return level >= threshold.load(std::memory_order_relaxed);
}

namespace {

// Of this thread; null: its lines are written at once.
constinit thread_local Gather* gather = nullptr;

constexpr size_t kMostKept = 64 << 10;

// A log that cannot be written has nobody left to be told.
void WriteOut(std::string_view lines) {
  while (!lines.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, lines.data(), lines.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    lines.remove_prefix(static_cast<size_t>(written));
  }
}

void AppendLine(std::string& line, Level level, std::string_view event, std::initializer_list<Field> fields) {
  AppendTimestamp(line);
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
}

}  // namespace

Gather::Gather(std::function<void()> first_kept) : first_kept_(std::move(first_kept)) {
  gather = this;
}

Gather::~Gather() {
  gather = nullptr;
  Write();
}

void Gather::Write() {
  WriteOut(kept_);
  kept_.clear();
}

std::string Format(Level level, std::string_view event, std::initializer_list<Field> fields) {
  std::string line;
  AppendLine(line, level, event, fields);
  return line;
}

void Write(Level level, std::string_view event, std::initializer_list<Field> fields) {
  if (!Enabled(level)) return;
  std::string alone;
  std::string& lines = gather != nullptr ? gather->kept_ : alone;
  const bool first = lines.empty();
  AppendLine(lines, level, event, fields);
  lines += '\n';
  if (gather == nullptr) return WriteOut(lines);
  if (level >= Level::kWarning || lines.size() >= kMostKept) return gather->Write();
  if (first) gather->first_kept_();
}

}  // namespace mignificient::log
