#include "remoting/client/idleness.h"

#include <gtest/gtest.h>

namespace mignificient::client {
namespace {

TEST(IdlenessTest, NothingWrittenIsNothingToWaitFor) {
  EXPECT_TRUE(Idleness().Known());
}

TEST(IdlenessTest, AWaitForAllWorkMakesItKnownUntilTheNextCommand) {
  Idleness idleness;
  idleness.Write();
  EXPECT_FALSE(idleness.Known());
  const uint64_t before = idleness.written();
  idleness.Write();  // the wait itself
  EXPECT_FALSE(idleness.Known());
  idleness.Complete(before);
  EXPECT_TRUE(idleness.Known());
  idleness.Write();
  EXPECT_FALSE(idleness.Known());
}

TEST(IdlenessTest, AWaitDuringWhichAnotherThreadWroteSaysNothing) {
  Idleness idleness;
  const uint64_t before = idleness.written();
  idleness.Write();
  idleness.Write();  // of another thread: before or behind the wait, who knows
  idleness.Complete(before);
  EXPECT_FALSE(idleness.Known());
}

TEST(IdlenessTest, AWaitWhoseEndIsToldLateSaysNothingOfLaterWork) {
  Idleness idleness;
  const uint64_t early = idleness.written();
  idleness.Write();
  const uint64_t late = idleness.written();
  idleness.Write();
  idleness.Complete(late);
  EXPECT_TRUE(idleness.Known());
  idleness.Write();
  idleness.Complete(early);
  EXPECT_FALSE(idleness.Known());
}

}  // namespace
}  // namespace mignificient::client
