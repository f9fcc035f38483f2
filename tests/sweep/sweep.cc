// Calls every exported symbol of libcuda.so.1 once in every state and case, and prints a line for each call:
//
//     STATE CASE SYMBOL RESULT [then RESULT] [stays RESULT] [changes]
//
// `then`: what the next cuCtxSynchronize answered. `stays`: the context does not work any more. `changes`: the call
// left another state behind, as it may. In place of all that: `crashes SIGNAL`, `exits STATUS` (also after the call,
// when the process ends), `hangs`, or `missing`.
//
// The calls are made in child processes. A child goes on after a call that left everything as it was; with --isolate,
// as the real driver needs it, which remembers what it was given, each child makes one call only.
//
//     sweep [--library libcuda.so.1] [--isolate] [--jobs N] [--verbose]
//
// Several jobs are for the real driver: clients of one GPU server share a context, and so the captures of its streams.
// Ends with 3 where a child could not get to its state.

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "arguments.h"
#include "driver.h"

namespace sweep {
namespace {

constexpr std::array kStates = {"before", "initialised", "context"};
constexpr std::array kCases = {"nulls", "huge", "bogus", "kinds"};
constexpr int kCouldNotStart = 3;
constexpr int kPatienceMs = 60'000;

struct Options {
  std::string library = "libcuda.so.1";
  bool isolate = false;
  bool verbose = false;
  unsigned jobs = 1;
};

// --- The child: reports `+` before each call and a line after it, on its standard output -----------------------------

void Say(const std::string& text) {
  if (::write(STDOUT_FILENO, text.data(), text.size()) != static_cast<ssize_t>(text.size())) std::_Exit(kCouldNotStart);
}

std::string Describe(const Driver& driver, Result result, const After& after) {
  std::string text = driver.Name(result);
  if (after.deferred != 0) text += " then " + driver.Name(after.deferred);
  if (after.stays != 0) text += " stays " + driver.Name(after.stays);
  return after.changes ? text + " changes" : text;
}

int Child(const char* library, size_t state, size_t which, size_t first, bool isolate) {
  Values values{.which = static_cast<Case>(which), .scratch = {}};
  const Driver driver(library, static_cast<State>(state), values);
  for (size_t i = first; i < std::size(kSymbols); ++i) {
    void* function = driver.Find(kSymbols[i].name);
    Say("+");
    if (function == nullptr) {
      Say("missing\n");
      continue;
    }
    if (!kSymbols[i].known && values.which != Case::kNulls) {
      Say("\n");
      continue;
    }
    const Result result = kSymbols[i].call(function, values);
    const After after = driver.Look();
    Say(Describe(driver, result, after) + "\n");
    values.scratch.Reset();
    if (isolate || after.changes || after.stays != 0) return 0;
  }
  return 0;
}

// --- The parent ------------------------------------------------------------------------------------------------------

struct Ended {
  std::string said;
  std::string how;  // empty: as it should
  bool started = true;
};

// Runs a child to its end.
Ended RunChild(const Options& options, size_t state, size_t which, size_t first) {
  const std::array<std::string, 7> words = {"sweep",
                                            "--child",
                                            options.library,
                                            std::to_string(state),
                                            std::to_string(which),
                                            std::to_string(first),
                                            options.isolate ? "1" : "0"};
  std::array<char*, 8> arguments{};
  std::transform(words.begin(), words.end(), arguments.begin(),
                 [](const std::string& word) { return const_cast<char*>(word.c_str()); });
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {{}, {}, false};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  if (!options.verbose) ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid = 0;
  const int spawned = ::posix_spawn(&pid, "/proc/self/exe", &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  Ended ended;
  bool hangs = false;
  char buffer[4096];
  for (ssize_t got = 1; spawned == 0 && got > 0 && !hangs;) {
    pollfd readable{ends[0], POLLIN, 0};
    hangs = ::poll(&readable, 1, kPatienceMs) == 0;
    got = hangs ? 0 : ::read(ends[0], buffer, sizeof buffer);
    if (got > 0) ended.said.append(buffer, static_cast<size_t>(got));
  }
  ::close(ends[0]);
  if (spawned != 0) return {{}, {}, false};
  if (hangs) ::kill(pid, SIGKILL);
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (hangs)
    ended.how = "hangs";
  else if (WIFSIGNALED(status))
    ended.how = std::string("crashes SIG") + ::sigabbrev_np(WTERMSIG(status));
  else if (WEXITSTATUS(status) != 0)
    ended.how = "exits " + std::to_string(WEXITSTATUS(status));
  ended.started = !ended.said.empty();
  return ended;
}

// All symbols in one state and case. False where no child could be brought to the state.
bool Sweep(const Options& options, size_t state, size_t which, std::string& lines) {
  size_t next = 0;
  const auto report = [&](size_t symbol, std::string_view text) {
    lines += std::string(kStates[state]) + ' ' + kCases[which] + ' ' + kSymbols[symbol].name + ' ';
    lines += std::string(text) + '\n';
  };
  while (next < std::size(kSymbols)) {
    const Ended ended = RunChild(options, state, which, next);
    if (!ended.started) return false;
    // What it said is `+RESULT\n` for every call, and `+` alone for one that did not return.
    std::string_view said = ended.said;
    bool returned = false;
    for (; !said.empty(); ++next) {
      const size_t end = said.find('\n');
      returned = end != said.npos;
      const std::string_view text = said.substr(1, returned ? end - 1 : said.npos);
      if (returned && !text.empty()) report(next, text);
      if (!returned) report(next, ended.how);
      said.remove_prefix(returned ? end + 1 : said.size());
    }
    if (returned && !ended.how.empty()) report(next - 1, ended.how);
  }
  return true;
}

int Parent(const Options& options) {
  constexpr size_t kRuns = kStates.size() * kCases.size();
  std::array<std::string, kRuns> lines;
  std::atomic<size_t> next_run{0};
  std::atomic<bool> good{true};
  const auto work = [&] {
    for (size_t run = next_run++; run < kRuns; run = next_run++)
      if (!Sweep(options, run / kCases.size(), run % kCases.size(), lines[run])) good = false;
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < options.jobs; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  for (const std::string& text : lines) std::fputs(text.c_str(), stdout);
  if (!good) std::fprintf(stderr, "sweep: A child could not get to its state; --verbose shows what it says.\n");
  return good ? 0 : kCouldNotStart;
}

int Main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() == 6 && words[0] == "--child")
    return Child(words[1].c_str(), std::stoul(words[2]), std::stoul(words[3]), std::stoul(words[4]), words[5] == "1");
  Options options;
  for (size_t i = 0; i < words.size(); ++i) {
    const bool has_value = i + 1 < words.size();
    if (words[i] == "--isolate") {
      options.isolate = true;
    } else if (words[i] == "--verbose") {
      options.verbose = true;
    } else if (words[i] == "--library" && has_value) {
      options.library = words[++i];
    } else if (words[i] == "--jobs" && has_value) {
      options.jobs = static_cast<unsigned>(std::max(1, std::atoi(words[++i].c_str())));
    } else {
      std::fprintf(stderr, "usage: sweep [--library libcuda.so.1] [--isolate] [--jobs N] [--verbose]\n");
      return 2;
    }
  }
  return Parent(options);
}

}  // namespace
}  // namespace sweep

int main(int argc, char** argv) {
  return sweep::Main(argc, argv);
}
