#include "cli/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

namespace mignificient::cli {
namespace {

int StatusOf(ProcessOptions options) {
  auto process = Process::Start(options);
  EXPECT_TRUE(process) << process.error().message();
  return process->Wait();
}

TEST(ProcessTest, ReportsTheExitStatus) {
  EXPECT_EQ(StatusOf({.program = "/bin/sh", .arguments = {"-c", "exit 9"}}), 9);
}

TEST(ProcessTest, ReportsTheSignal) {
  auto process = Process::Start({.program = "sh", .arguments = {"-c", "kill -SEGV $$"}});
  ASSERT_TRUE(process);
  EXPECT_EQ(process->Wait(), 128 + SIGSEGV);
  EXPECT_EQ(process->Wait(), 128 + SIGSEGV);
}

TEST(ProcessTest, AProgramThatIsNotThereIsKnownAtOnce) {
  const auto process = Process::Start({.program = "/no/such/program"});
  ASSERT_FALSE(process);
  EXPECT_EQ(process.error().code(), Code::kNotFound);
}

TEST(ProcessTest, AFileThatIsNoProgramIsForbidden) {
  const auto process = Process::Start({.program = "/etc/passwd"});
  ASSERT_FALSE(process);
  EXPECT_EQ(process.error().code(), Code::kForbidden);
}

TEST(ProcessTest, PassesTheEnvironmentAndTheNamedDescriptorsOnly) {
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  const std::string number = std::to_string(pipe[1]);
  EXPECT_EQ(StatusOf({.program = "/bin/sh",
                      .arguments = {"-c", "printf %s \"$WORD\" >&$FD && ! [ -e /proc/self/fd/$OTHER ]"},
                      .environment = {{"WORD", "hello"}, {"FD", number}, {"OTHER", std::to_string(pipe[0])}},
                      .inherited_fds = {pipe[1]}}),
            0);
  char word[6] = {};
  EXPECT_EQ(::read(pipe[0], word, 5), 5);
  EXPECT_STREQ(word, "hello");
  ::close(pipe[0]);
  ::close(pipe[1]);
}

TEST(ProcessTest, DestroyingItEndsTheChild) {
  int watched = -1;
  {
    auto process = Process::Start({.program = "/bin/sleep", .arguments = {"3600"}});
    ASSERT_TRUE(process);
    watched = ::dup(process->pidfd());
  }
  pollfd event{watched, POLLIN, 0};
  EXPECT_EQ(::poll(&event, 1, 0), 1);  // already ended and reaped
  ::close(watched);
}

}  // namespace
}  // namespace mignificient::cli
