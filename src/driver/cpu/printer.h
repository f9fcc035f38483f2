// What kernels print, held back until a synchronisation point as CUDA does.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <string_view>

namespace mignificient::cpu {

// Thread-safe. The sink is called by one thread at a time, in the order of Append.
class Printer {
 public:
  using Sink = std::function<void(std::string_view)>;

  void SetSink(Sink sink) {
    const std::lock_guard lock(sink_mutex_);
    sink_ = std::move(sink);
  }

  void Append(std::string_view text) {
    bool full = false;
    {
      const std::lock_guard lock(mutex_);
      held_.append(text);
      full = held_.size() >= kFlushBytes;
    }
    if (full) Flush();
  }

  void Flush();

 private:
  static constexpr size_t kFlushBytes = 1 << 20;  // CUDA's default printf buffer; where it would overwrite, we flush

  std::mutex sink_mutex_;  // taken before mutex_
  Sink sink_;
  std::mutex mutex_;
  std::string held_;
};

}  // namespace mignificient::cpu
