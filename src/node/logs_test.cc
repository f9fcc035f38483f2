#include "node/logs.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

namespace mignificient::node {
namespace {

class LogsTest : public ::testing::Test {
 protected:
  LogsTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "logs-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~LogsTest() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& id) const { return folder_ + "/" + id + ".log"; }
  void Add(const std::string& id, std::string_view older, std::string_view text, uint64_t forgotten = 0) {
    if (!older.empty()) std::ofstream(Path(id) + ".1") << older;
    std::ofstream(Path(id)) << text;
    logs_.Add(id, "alice", Path(id));
    logs_.Grown(id, {.total = forgotten + older.size() + text.size(), .in_file = text.size()});
  }
  std::string ReadAll(const std::string& id, uint64_t from, size_t limit) {
    std::string text;
    while (from < logs_.Total(id)) {
      const auto part = logs_.Read(id, from, limit);
      EXPECT_TRUE(part);
      EXPECT_GT(part->next, from);
      text += part->bytes;
      from = part->next;
    }
    return text;
  }

  boost::asio::io_context loop_;
  Logs logs_{loop_.get_executor(), 2};

 private:
  std::string folder_;
};

TEST_F(LogsTest, PartsOfBothFilesFollowEachOther) {
  Add("c-1", "0123456789", "abcdef");
  for (const size_t limit : {1, 3, 100}) {
    EXPECT_EQ(ReadAll("c-1", 0, limit), "0123456789abcdef");
    EXPECT_EQ(ReadAll("c-1", 8, limit), "89abcdef");
    EXPECT_EQ(ReadAll("c-1", 12, limit), "cdef");
  }
  EXPECT_EQ(ReadAll("c-1", 16, 10), "");
}

TEST_F(LogsTest, WhatRotationThrewAwayIsSkipped) {
  Add("c-1", "56789", "abc", 100);
  EXPECT_EQ(ReadAll("c-1", 0, 4), "56789abc");
  EXPECT_EQ(ReadAll("c-1", 103, 100), "89abc");
}

TEST_F(LogsTest, RemovedFilesAreSkippedWithoutAnEnd) {
  Add("c-1", "56789", "abc");
  std::filesystem::remove(Path("c-1") + ".1");
  EXPECT_EQ(ReadAll("c-1", 0, 100), "abc");
  std::filesystem::remove(Path("c-1"));
  EXPECT_EQ(ReadAll("c-1", 0, 100), "");
}

TEST_F(LogsTest, TheLogsOfTheNewestEndedContainersAreKept) {
  for (const char* id : {"c-1", "c-2", "c-3", "c-4"}) Add(id, "old", id);
  for (const char* id : {"c-2", "c-1", "c-3"}) logs_.End(id);
  EXPECT_FALSE(logs_.User("c-2"));
  EXPECT_FALSE(std::filesystem::exists(Path("c-2")) || std::filesystem::exists(Path("c-2") + ".1"));
  for (const char* id : {"c-1", "c-3", "c-4"}) EXPECT_EQ(*logs_.User(id), "alice");
  EXPECT_TRUE(logs_.Ended("c-1"));
  EXPECT_FALSE(logs_.Ended("c-4"));
  EXPECT_EQ(logs_.Read("c-2", 0, 1).error().code(), Code::kNotFound);
}

TEST_F(LogsTest, WhoWaitsHearsOfMoreOfTheEndAndOfTheDeadline) {
  using Time = std::chrono::steady_clock::time_point;
  Add("c-1", "", "abc");
  int woken = 0;
  const auto wait = [&](uint64_t size, Time deadline) {
    boost::asio::co_spawn(
        loop_,
        [this, &woken, size, deadline]() -> boost::asio::awaitable<void> {
          co_await logs_.AwaitMore("c-1", size, deadline);
          ++woken;
        },
        boost::asio::detached);
    loop_.restart();
    loop_.poll();
  };
  wait(2, Time::max());
  EXPECT_EQ(woken, 1);  // it has more already
  wait(3, Time::max());
  wait(4, Time::max());
  EXPECT_EQ(woken, 1);
  logs_.Grown("c-1", {.total = 4, .in_file = 4});
  loop_.restart();
  loop_.poll();
  EXPECT_EQ(woken, 2);
  wait(4, Time::min());
  EXPECT_EQ(woken, 3);
  logs_.End("c-1");
  loop_.restart();
  loop_.poll();
  EXPECT_EQ(woken, 4);
}

}  // namespace
}  // namespace mignificient::node
