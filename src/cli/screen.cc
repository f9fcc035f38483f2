#include "cli/screen.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

namespace mignificient::cli {
namespace {

constexpr std::string_view kEnter = "\033[?1049h\033[?25l";  // the other screen, no cursor
constexpr std::string_view kLeave = "\033[?25h\033[?1049l";

sigset_t Signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGWINCH}) ::sigaddset(&set, signal);
  return set;
}

void WriteOut(std::string_view text) {
  while (!text.empty()) {
    const ssize_t done = ::write(STDOUT_FILENO, text.data(), text.size());
    if (done < 0 && errno != EINTR) return;  // the terminal is gone: SIGHUP follows
    if (done > 0) text.remove_prefix(static_cast<size_t>(done));
  }
}

winsize Size() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) return {.ws_row = 24, .ws_col = 80};
  return size;
}

}  // namespace

Result<Screen> Screen::Open() {
  if (::isatty(STDOUT_FILENO) == 0)
    return Fail(Code::kInvalidArgument, "Standard output is no terminal: --once prints one picture.");
  Screen screen;
  const sigset_t set = Signals();
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  screen.signals_ = os::UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC));
  if (!screen.signals_) return FailErrno("signalfd", errno);
  screen.has_keys_ = ::isatty(STDIN_FILENO) != 0 && ::tcgetattr(STDIN_FILENO, &screen.before_) == 0;
  if (screen.has_keys_) {
    termios keys = screen.before_;
    keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &keys);
  }
  WriteOut(kEnter);
  screen.active_ = true;
  return screen;
}

Screen::Screen(Screen&& other) noexcept
    : active_(std::exchange(other.active_, false)),
      has_keys_(other.has_keys_),
      before_(other.before_),
      signals_(std::move(other.signals_)) {}

Screen::~Screen() {
  if (!active_) return;
  WriteOut(kLeave);
  if (has_keys_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  const sigset_t set = Signals();
  signals_ = {};
  ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
}

void Screen::Draw(const std::string& text) {
  const winsize size = Size();
  std::string picture = "\033[H";
  std::string_view rest = text;
  for (int row = 0; row < size.ws_row; ++row) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    picture += fmt::format("{}{}\033[K", row == 0 ? "" : "\r\n", line.substr(0, size.ws_col));
  }
  WriteOut(picture);
}

bool Screen::Wait(std::chrono::milliseconds period) {
  const auto end = std::chrono::steady_clock::now() + period;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0) return true;
    pollfd waits[2] = {{.fd = signals_.get(), .events = POLLIN},
                       {.fd = has_keys_ && !keys_ended_ ? STDIN_FILENO : -1, .events = POLLIN}};
    if (::poll(waits, 2, static_cast<int>(left.count())) <= 0) continue;
    if (waits[0].revents != 0) {
      signalfd_siginfo info{};
      if (::read(signals_.get(), &info, sizeof info) != sizeof info) continue;
      return info.ssi_signo == SIGWINCH;
    }
    char key = 0;
    if (::read(STDIN_FILENO, &key, 1) <= 0)
      keys_ended_ = true;
    else if (key == 'q' || key == 'Q')
      return false;
  }
}

}  // namespace mignificient::cli
