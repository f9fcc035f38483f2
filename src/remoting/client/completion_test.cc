#include "remoting/client/completion.h"

#include <gtest/gtest.h>

namespace mignificient::client {
namespace {

using By = EventState::By;

TEST(EventStateTest, NothingIsKnownUntilTheServerHasAnswered) {
  EventState event;
  EXPECT_FALSE(event.Known(By::kQuery));
  event.Complete(event.Asked(), By::kWait);
  EXPECT_TRUE(event.Known(By::kQuery));
  EXPECT_TRUE(event.Known(By::kWait));
}

TEST(EventStateTest, AQueryIsNoWait) {
  EventState event;
  event.Complete(event.Asked(), By::kQuery);
  EXPECT_TRUE(event.Known(By::kQuery));
  EXPECT_FALSE(event.Known(By::kWait));
}

TEST(EventStateTest, ARecordMakesItUnknownAndOutdatesAnAnswerThatIsOnItsWay) {
  EventState event;
  event.Complete(event.Asked(), By::kWait);
  const uint64_t asked = event.Asked();
  event.Recorded(false);
  EXPECT_FALSE(event.Known(By::kQuery));
  event.Complete(asked, By::kWait);
  EXPECT_FALSE(event.Known(By::kQuery));
  event.Complete(event.Asked(), By::kWait);
  EXPECT_TRUE(event.Known(By::kWait));
}

TEST(EventStateTest, ARecordOfWhatWasCompleteIsCompleteAtOnce) {
  EventState event;
  event.Recorded(true);
  EXPECT_TRUE(event.Known(By::kWait));
  event.Recorded(false);
  EXPECT_FALSE(event.Known(By::kQuery));
}

TEST(EventStateTest, OfWhatAGraphMayRecordNothingIsEverKnown) {
  EventState event;
  event.Complete(event.Asked(), By::kWait);
  const uint64_t asked = event.Asked();
  event.RecordedElsewhere();
  EXPECT_FALSE(event.Known(By::kQuery));
  event.Complete(asked, By::kWait);
  event.Complete(event.Asked(), By::kWait);
  event.Recorded(true);
  EXPECT_FALSE(event.Known(By::kQuery));
  EXPECT_FALSE(event.Known(By::kWait));
}

TEST(StreamStateTest, HoldsUntilTheNextCommandWhoeverWroteIt) {
  Idleness idleness;
  StreamState stream;
  EXPECT_FALSE(stream.Idle(idleness.written()));
  stream.FoundIdle(idleness.written());
  EXPECT_TRUE(stream.Idle(idleness.written()));
  EXPECT_FALSE(stream.Settled(idleness.written()));
  stream.FoundSettled(idleness.written());
  EXPECT_TRUE(stream.Settled(idleness.written()));
  idleness.Write();
  EXPECT_FALSE(stream.Idle(idleness.written()));
  EXPECT_FALSE(stream.Settled(idleness.written()));
}

TEST(LastRecordTest, IsThatOfTheLastCommandAlone) {
  Idleness idleness;
  LastRecord record;
  uint64_t stream = 0;
  EXPECT_FALSE(record.Was(0, 5, stream));
  uint64_t before = idleness.written();
  idleness.Write();
  record.Wrote(idleness, before, 5, 9);
  EXPECT_TRUE(record.Was(idleness.written(), 5, stream));
  EXPECT_EQ(stream, 9u);
  EXPECT_FALSE(record.Was(idleness.written(), 6, stream));
  idleness.Write();  // something behind it
  EXPECT_FALSE(record.Was(idleness.written(), 5, stream));
  before = idleness.written();
  idleness.Write();
  idleness.Write();  // another thread's, before or behind the record, who knows
  record.Wrote(idleness, before, 6, 9);
  EXPECT_FALSE(record.Was(idleness.written(), 6, stream));
}

}  // namespace
}  // namespace mignificient::client
