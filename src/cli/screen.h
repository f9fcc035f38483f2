// A terminal that is drawn on again and again, and is afterwards as it was.
#pragma once

#include <termios.h>

#include <chrono>
#include <string>

#include "base/result.h"
#include "os/unique_fd.h"

namespace mignificient::cli {

// Takes the terminal of standard output and, where it is one, of standard input. Until its end SIGINT, SIGTERM, SIGHUP
// and SIGWINCH are this object's to receive. At most one, on the main thread.
class Screen {
 public:
  static Result<Screen> Open();
  Screen(Screen&& other) noexcept;
  Screen& operator=(Screen&&) = delete;
  ~Screen();

  // Lines that do not fit are left out, long ones cut.
  void Draw(const std::string& text);

  // False when the user wants to leave: `q`, or a signal. True after `period`, or at once when the window has changed.
  bool Wait(std::chrono::milliseconds period);

 private:
  Screen() = default;

  bool active_ = false, has_keys_ = false;
  bool keys_ended_ = false;
  termios before_{};
  os::UniqueFd signals_;
};

}  // namespace mignificient::cli
