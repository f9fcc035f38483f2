#include "node/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "node/store_thread.h"

namespace mignificient::node {
namespace {

namespace filesystem = std::filesystem;
using testing::HasSubstr;

constexpr Keep kAll{1000, 1 << 20};

class StoreTest : public testing::Test {
 protected:
  StoreTest() {
    char pattern[] = "/tmp/mig-store-XXXXXX";
    root_ = ::mkdtemp(pattern);
  }
  ~StoreTest() override { filesystem::remove_all(root_); }

  std::unique_ptr<Store> Open() const {
    auto store = Store::Open(folder());
    EXPECT_TRUE(store) << store.error().message();
    return std::move(*store);
  }
  std::string folder() const { return (root_ / "state").string(); }
  std::string file() const { return folder() + "/mignificient.db"; }

  static StoredCall Add(Store& store, const std::string& id, const std::string& user = "alice") {
    StoredCall call;
    call.id = id;
    call.user = user;
    call.function = "f";
    call.accepted = 1;
    call.payload_bytes = 2;
    EXPECT_TRUE(store.AddCall(call, "p\0"));
    return call;
  }
  static void Finish(Store& store, StoredCall call, std::string_view result, const Keep& keep = kAll) {
    call.status = CallStatus::kDone;
    call.finished = WallNow();
    const auto finished = store.FinishCall(call, result, keep);
    EXPECT_TRUE(finished) << finished.error().message();
  }
  static std::vector<std::string> Ids(const std::vector<StoredCall>& calls) {
    std::vector<std::string> ids;
    for (const StoredCall& call : calls) ids.push_back(call.id);
    return ids;
  }

  filesystem::path root_;
};

TEST_F(StoreTest, FunctionsAreThereAgainAfterItIsClosed) {
  EXPECT_TRUE(Open()->PutFunction({"alice", "f", "{1}", 7}));
  auto store = Open();
  EXPECT_TRUE(store->PutFunction({"alice", "f", "{2}", 8}));
  EXPECT_TRUE(store->PutFunction({"bob", "f", "{3}", 9}));
  EXPECT_TRUE(store->DeleteFunction("bob", "f"));
  store.reset();
  const auto functions = Open()->Functions();
  ASSERT_EQ(functions->size(), 1u);
  EXPECT_EQ(functions->front().spec, "{2}");
  EXPECT_EQ(functions->front().revision, 8u);
}

TEST_F(StoreTest, ACallGoesFromQueuedOverRunningToDone) {
  auto store = Open();
  const StoredCall call = Add(*store, "1");
  EXPECT_EQ(store->CallPayload("1")->size(), 1u);
  EXPECT_EQ(Ids(*store->QueuedCalls()), std::vector<std::string>{"1"});
  EXPECT_TRUE(store->MarkRunning("1", 2));
  EXPECT_EQ(store->MarkRunning("1", 3).error().code(), Code::kNotFound);
  EXPECT_EQ(store->Call("1")->status, CallStatus::kRunning);
  Finish(*store, call, std::string_view("a\0b", 3));
  EXPECT_EQ(store->Call("1")->status, CallStatus::kDone);
  EXPECT_EQ(*store->CallResult("1"), std::string("a\0b", 3));
  EXPECT_EQ(store->CallPayload("1").error().code(), Code::kNotFound);
  EXPECT_EQ(store->Call("2").error().code(), Code::kNotFound);
}

TEST_F(StoreTest, WhatWasRunningIsLostAndWhatWasQueuedStays) {
  auto store = Open();
  Add(*store, "runs");
  Add(*store, "waits");
  EXPECT_TRUE(store->MarkRunning("runs", 2));
  store.reset();
  store = Open();
  EXPECT_EQ(*store->LoseRunningCalls("The node died."), 1);
  EXPECT_EQ(*store->LoseRunningCalls("The node died."), 0);
  EXPECT_EQ(store->Call("runs")->status, CallStatus::kLost);
  EXPECT_EQ(store->Call("runs")->error, "The node died.");
  EXPECT_EQ(Ids(*store->QueuedCalls()), std::vector<std::string>{"waits"});
}

TEST_F(StoreTest, OldCallsOfAUserAreForgottenByNumberAndByBytes) {
  auto store = Open();
  Finish(*store, Add(*store, "bob's", "bob"), "x");
  for (const char* id : {"1", "2", "3"}) Finish(*store, Add(*store, id), "xxxx", {2, 1000});
  EXPECT_EQ(Ids(*store->Calls({.user = "alice"})), (std::vector<std::string>{"3", "2"}));
  Finish(*store, Add(*store, "4"), "xxxx", {10, 8});
  EXPECT_EQ(Ids(*store->Calls({.user = "alice"})), (std::vector<std::string>{"4", "3"}));
  Finish(*store, Add(*store, "5"), "a result beyond the limit", {10, 8});
  EXPECT_EQ(Ids(*store->Calls({})), (std::vector<std::string>{"5", "bob's"}));
  EXPECT_EQ(store->CallResult("4").error().code(), Code::kNotFound);
}

TEST_F(StoreTest, CallsAreListedByUserFunctionAndStatus) {
  auto store = Open();
  Add(*store, "1");
  Finish(*store, Add(*store, "2"), "");
  Add(*store, "3", "bob");
  EXPECT_EQ(Ids(*store->Calls({})), (std::vector<std::string>{"3", "2", "1"}));
  EXPECT_EQ(Ids(*store->Calls({.limit = 1})), (std::vector<std::string>{"3"}));
  EXPECT_EQ(Ids(*store->Calls({.user = "alice", .status = CallStatus::kQueued})), (std::vector<std::string>{"1"}));
  EXPECT_TRUE(store->Calls({.function = "g"})->empty());
  EXPECT_TRUE(store->ForgetCalls(WallNow() + 1));
  EXPECT_EQ(Ids(*store->Calls({})), (std::vector<std::string>{"3", "1"}));
}

TEST_F(StoreTest, ADamagedFileIsRefusedAndLeftAlone) {
  filesystem::create_directories(folder());
  std::ofstream(file()) << std::string(8192, 'x');
  const auto store = Store::Open(folder());
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code(), Code::kInternal);
  EXPECT_THAT(store.error().message(), HasSubstr("[" + file() + "]"));
  EXPECT_THAT(store.error().message(), HasSubstr("Move it away"));
  EXPECT_EQ(filesystem::file_size(file()), 8192u);
}

TEST_F(StoreTest, ADatabaseOfANewerVersionIsRefusedAndLeftAlone) {
  Open();
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(file().c_str(), &database), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(database, "PRAGMA user_version = 99", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(database);
  const auto store = Store::Open(folder());
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code(), Code::kUnsupported);
  EXPECT_THAT(store.error().message(), HasSubstr("schema 99; this version knows 1"));
}

TEST_F(StoreTest, AFolderThatCannotBeWrittenIsNamed) {
  std::ofstream(root_ / "state") << "a file";  // as root, permissions would not do
  const auto store = Store::Open(folder());
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code(), Code::kOs);
  EXPECT_THAT(store.error().message(), HasSubstr("paths.state"));
  if (::geteuid() == 0) return;
  filesystem::create_directories(root_ / "read-only");
  ::chmod((root_ / "read-only").c_str(), 0500);
  EXPECT_EQ(Store::Open((root_ / "read-only").string()).error().code(), Code::kOs);
}

TEST_F(StoreTest, ASecondNodeIsRefused) {
  const auto first = Open();
  const auto second = Store::Open(folder());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Code::kUnavailable);
  EXPECT_THAT(second.error().message(), HasSubstr("Another node uses it"));
}

TEST_F(StoreTest, ItsFilesAreItsOwnersAlone) {
  const auto store = Open();
  Add(*store, "1");
  for (const auto& entry : filesystem::directory_iterator(folder())) {
    const auto others = filesystem::perms::group_all | filesystem::perms::others_all;
    EXPECT_EQ(entry.status().permissions() & others, filesystem::perms::none) << entry.path();
  }
}

TEST_F(StoreTest, InMemoryNothingIsLeft) {
  auto store = Store::Open("");
  ASSERT_TRUE(store);
  EXPECT_TRUE((*store)->PutFunction({"alice", "f", "{}", 1}));
  EXPECT_EQ((*store)->Functions()->size(), 1u);
}

TEST_F(StoreTest, AJobOfTheThreadThatFailsIsUndoneAloneAndInOrder) {
  boost::asio::io_context loop;
  StoreThread thread(loop.get_executor(), Open());
  const auto ask = [&](auto job) {
    return boost::asio::co_spawn(loop, thread.Do(std::move(job)), boost::asio::use_future);
  };
  auto good = ask([](Store& store) { return store.PutFunction({"alice", "good", "{}", 1}); });
  auto bad = ask([](Store& store) -> Result<> {
    MIG_TRY(store.PutFunction({"alice", "bad", "{}", 1}));
    return Fail(Code::kNotFound, "No.");
  });
  auto seen = ask([](Store& store) { return store.Functions(); });
  loop.run();
  EXPECT_TRUE(good.get());
  EXPECT_EQ(bad.get().error().message(), "No.");
  const auto functions = seen.get();
  ASSERT_EQ(functions->size(), 1u);
  EXPECT_EQ(functions->front().name, "good");
}

TEST(CallStatusTest, EachHasAName) {
  for (const CallStatus status : {CallStatus::kQueued, CallStatus::kRunning, CallStatus::kDone, CallStatus::kFailed,
                                  CallStatus::kCancelled, CallStatus::kLost})
    EXPECT_EQ(CallStatusOf(CallStatusName(status)), status);
  EXPECT_EQ(CallStatusOf("finished"), std::nullopt);
}

}  // namespace
}  // namespace mignificient::node
