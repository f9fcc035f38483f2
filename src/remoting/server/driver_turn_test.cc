#include "remoting/server/driver_turn.h"

#include <gtest/gtest.h>

#include <optional>

namespace mignificient::server {
namespace {

TEST(DriverTurnTest, WhoIsAloneTakesNothing) {
  DriverTurn turn;
  DriverSeat seat(turn);
  const DriverSeat::Turn mine(seat);
  EXPECT_EQ(turn.state(), 0u);
  EXPECT_TRUE(seat.MayLook());
}

TEST(DriverTurnTest, IsGivenBackWhereItEnds) {
  DriverTurn turn;
  DriverSeat seat(turn), other(turn);
  {
    const DriverSeat::Turn mine(seat);
    EXPECT_FALSE(turn.TryTake());
  }
  EXPECT_TRUE(turn.TryTake());
}

TEST(DriverTurnTest, WhoWaitedTooLongGoesOnAndLeavesTheTurnAlone) {
  DriverTurn turn;
  DriverSeat seat(turn), other(turn);
  std::optional<DriverSeat::Turn> theirs(std::in_place, other);
  const uint32_t taken = turn.state();
  {
    const DriverSeat::Turn mine(seat);  // returns all the same
    EXPECT_EQ(turn.state(), taken);
  }
  EXPECT_EQ(turn.state(), taken);
  theirs.reset();
  const DriverSeat::Turn mine(seat);  // a later one is taken again
  EXPECT_FALSE(turn.TryTake());
}

TEST(DriverTurnTest, LookersLeaveTheOneThatIsInTheDriverAlone) {
  DriverTurn turn;
  DriverSeat seat(turn), other(turn);
  EXPECT_TRUE(seat.MayLook());
  std::optional<DriverSeat::Turn> theirs(std::in_place, other);
  EXPECT_FALSE(seat.MayLook());
  EXPECT_FALSE(seat.MayLook());
  theirs.reset();
  EXPECT_TRUE(seat.MayLook());
}

TEST(DriverTurnTest, LookersAreNotKeptOutByTurnAfterTurn) {
  DriverTurn turn;
  DriverSeat seat(turn), other(turn);
  std::optional<DriverSeat::Turn> theirs(std::in_place, other);
  EXPECT_FALSE(seat.MayLook());
  theirs.reset();
  theirs.emplace(other);
  EXPECT_TRUE(seat.MayLook());
}

TEST(DriverTurnTest, LookersAreNotKeptOutByOneLongTurn) {
  DriverTurn turn;
  DriverSeat seat(turn), other(turn);
  const DriverSeat::Turn theirs(other);
  bool looked = false;
  for (int i = 0; i < 10'000 && !looked; ++i) looked = seat.MayLook();
  EXPECT_TRUE(looked);
}

TEST(DriverTurnTest, WhoHasLeftIsNotWaitedFor) {
  DriverTurn turn;
  DriverSeat seat(turn);
  {
    DriverSeat other(turn);
  }
  const DriverSeat::Turn mine(seat);
  EXPECT_EQ(turn.state(), 0u);
}

}  // namespace
}  // namespace mignificient::server
