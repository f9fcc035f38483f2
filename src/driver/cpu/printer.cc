#include "driver/cpu/printer.h"

#include <cstdio>
#include <utility>

namespace mignificient::cpu {

void Printer::Flush() {
  const std::lock_guard sink_lock(sink_mutex_);
  std::string text;
  {
    const std::lock_guard lock(mutex_);
    text = std::exchange(held_, {});
  }
  if (text.empty()) return;
  if (sink_) return sink_(text);
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace mignificient::cpu
