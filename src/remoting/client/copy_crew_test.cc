#include "remoting/client/copy_crew.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace mignificient::client {
namespace {

// Never destroyed: its threads go on.
CopyCrew& Crew(int most) {
  static std::vector<CopyCrew*>& crews = *new std::vector<CopyCrew*>;
  return *crews.emplace_back(new CopyCrew(most));
}

// Takes numbers below `count` until there are none.
struct Numbers {
  explicit Numbers(int count) : taken(count) {}
  void Take() {
    for (size_t i; (i = next.fetch_add(1)) < taken.size();) taken[i].fetch_add(1);
  }
  bool EachOnce() const {
    for (const auto& times : taken)
      if (times.load() != 1) return false;
    return true;
  }
  std::atomic<size_t> next{0};
  std::vector<std::atomic<int>> taken;
};

TEST(CopyCrewTest, WithoutThreadsTheCallerWorksAlone) {
  CopyCrew& crew = Crew(0);
  const std::thread::id caller = std::this_thread::get_id();
  int calls = 0;
  crew.Run(3, [&] {
    ++calls;
    EXPECT_EQ(std::this_thread::get_id(), caller);
  });
  EXPECT_EQ(calls, 1);
}

TEST(CopyCrewTest, NobodyHelpsWhoAsksForNobody) {
  CopyCrew& crew = Crew(4);
  int calls = 0;
  crew.Run(0, [&] { ++calls; });
  crew.Run(-1, [&] { ++calls; });
  EXPECT_EQ(calls, 2);
}

TEST(CopyCrewTest, AsManyWorkAtOnceAsWereAskedFor) {
  CopyCrew& crew = Crew(3);
  std::atomic<int> inside{0};
  crew.Run(3, [&] {
    inside.fetch_add(1);
    while (inside.load() < 4) std::this_thread::yield();  // ends only when all are there
  });
  EXPECT_EQ(inside.load(), 4);
}

TEST(CopyCrewTest, NoMoreHelpThanWereAskedFor) {
  CopyCrew& crew = Crew(4);
  for (int round = 0; round < 200; ++round) {
    std::atomic<int> calls{0};
    crew.Run(1 + round % 2, [&] { calls.fetch_add(1); });
    EXPECT_GE(calls.load(), 1);
    EXPECT_LE(calls.load(), 2 + round % 2);
  }
}

TEST(CopyCrewTest, EverythingIsDoneOnceWhenRunReturns) {
  CopyCrew& crew = Crew(3);
  for (int round = 0; round < 2000; ++round) {
    Numbers numbers(17);
    crew.Run(3, [&] { numbers.Take(); });
    ASSERT_TRUE(numbers.EachOnce()) << "round " << round;
  }
}

TEST(CopyCrewTest, CallersDoNotWaitForEachOther) {
  CopyCrew& crew = Crew(2);
  std::atomic<bool> inner_done{false};
  // While the crew works for this thread, another one's work is done all the same.
  crew.Run(2, [&] {
    if (inner_done.load()) return;
    std::thread other([&] {
      Numbers numbers(5);
      crew.Run(2, [&] { numbers.Take(); });
      EXPECT_TRUE(numbers.EachOnce());
      inner_done.store(true);
    });
    other.join();
  });
  EXPECT_TRUE(inner_done.load());
}

TEST(CopyCrewTest, ManyCallersAtOnce) {
  CopyCrew& crew = Crew(3);
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&] {
      for (int round = 0; round < 500; ++round) {
        Numbers numbers(9);
        crew.Run(3, [&] { numbers.Take(); });
        if (!numbers.EachOnce()) wrong.fetch_add(1);
      }
    });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong.load(), 0);
}

}  // namespace
}  // namespace mignificient::client
