// A link in progress (link_entries.cc).
#pragma once

#include <mutex>
#include <string>

#include "driver/cpu/jit_options.h"

namespace mignificient::cpu {

struct Link {
  std::mutex mutex;
  JitOptions jit;  // the caller's, who keeps them until the link is destroyed
  std::string text;
  bool complete = false;
};

}  // namespace mignificient::cpu
