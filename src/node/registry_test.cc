#include "node/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace mignificient::node {
namespace {

namespace asio = boost::asio;
namespace filesystem = std::filesystem;
namespace json = boost::json;
using testing::ElementsAre;
using testing::HasSubstr;

std::string Complaint(json::object fields, std::string_view name = "f") {
  json::object body{{"path", "/f.py"}, {"gpu-memory", 100}};
  for (auto& [key, value] : fields) body[key] = value;
  const auto spec = ParseFunctionSpec("alice", name, body);
  return spec ? "parsed" : spec.error().message();
}

TEST(FunctionSpecTest, OnlyPathAndMemoryAreRequired) {
  const auto spec = ParseFunctionSpec("alice", "f", {{"path", "/f.py"}, {"gpu-memory", 100}});
  ASSERT_TRUE(spec) << spec.error().message();
  EXPECT_EQ(spec->language, Language::kPython);
  EXPECT_EQ(spec->handler, "f");
  EXPECT_EQ(spec->mig_instance, "any");
  EXPECT_EQ(spec->timeout_s, std::nullopt);
  EXPECT_EQ(spec->scaling.remove_after, std::nullopt);
  EXPECT_THAT(Complaint({{"path", nullptr}}), HasSubstr("Field [path]: is missing"));
  EXPECT_THAT(Complaint({{"gpu-memory", nullptr}}), HasSubstr("Field [gpu-memory]: is missing"));
}

TEST(FunctionSpecTest, EveryBadFieldIsNamedWithWhatWasGivenAndWhatIsAllowed) {
  EXPECT_EQ(Complaint({{"timeout", 0}}),
            "Field [timeout]: 0 is given; a number of seconds above 0 up to 31622400 is allowed.");
  EXPECT_EQ(Complaint({{"concurrency", -1}}),
            "Field [concurrency]: -1 is given; a whole number from 0 to 10000 is allowed.");
  EXPECT_EQ(Complaint({{"min-containers", 2}, {"max-containers", 1}}),
            "Field [min-containers]: 2 is given; at most max-containers (1) is allowed.");
  EXPECT_EQ(Complaint({{"language", "cobol"}}), "Field [language]: \"cobol\" is given; allowed is cpp, python.");
  EXPECT_EQ(Complaint({{"mig-instance", "9g"}}),
            "Field [mig-instance]: \"9g\" is given; allowed is any, 1g to 7g, or a profile such as 3g.40gb.");
  EXPECT_EQ(Complaint({{"preload", "torch"}}), "Field [preload]: \"torch\" is given; a list of strings is allowed.");
  EXPECT_EQ(Complaint({{"content-type", "text"}}),
            "Field [content-type]: \"text\" is given; a type such as application/json is allowed.");
  EXPECT_EQ(Complaint({{"content-type", "text/plain\r\nX: 1"}}).find("parsed"), std::string::npos);
  EXPECT_EQ(Complaint({{"handler", 3}}), "Field [handler]: 3 is given; a string is allowed.");
  EXPECT_EQ(Complaint({{"user", "bob"}}), "Field [user]: \"bob\" is given; the request is for \"alice\".");
  EXPECT_EQ(Complaint({{"name", "g"}}), "Field [name]: \"g\" is given; the request is for \"f\".");
  EXPECT_EQ(Complaint({{"swap-of-after", 1}}), "Field [swap-of-after] is not known. Did you mean `swap-off-after`?");
  EXPECT_EQ(Complaint({{"swap-off-after", "1"}}).find("Field [swap-off-after]"), 0u);
  EXPECT_EQ(Complaint({{"remove-after", -1}}).find("Field [remove-after]"), 0u);
}

TEST(FunctionSpecTest, NamesGoIntoPathsAndLogs) {
  for (const char* name : {"f", "resnet-50_v1.2", "7"}) EXPECT_EQ(Complaint({}, name), "parsed") << name;
  for (const std::string& name : std::vector<std::string>{"", ".", "-f", "a/b", "a b", "größe", std::string(129, 'a')})
    EXPECT_THAT(Complaint({}, name), HasSubstr("Field [name]")) << name;
}

TEST(FunctionSpecTest, WhatItSaysParsesBackToTheSame) {
  const json::object body = json::parse(R"({"path": "/f.py", "gpu-memory": 100, "timeout": 0.25, "concurrency": 3,
    "min-containers": 1, "max-containers": 2, "swap-off-after": 1.5, "remove-after": 10, "preload": ["torch"],
    "content-type": "text/plain", "handler": "h", "language": "python", "mig-instance": "3g.40gb"})")
                                .as_object();
  const auto spec = ParseFunctionSpec("alice", "f", body);
  ASSERT_TRUE(spec) << spec.error().message();
  const json::object text = FunctionJson(*spec);
  for (const auto& [key, value] : body) EXPECT_EQ(text.at(key), value) << std::string(key);
  EXPECT_EQ(FunctionJson(*ParseFunctionSpec("alice", "f", text)), text);
  const auto defaults = ParseFunctionSpec("alice", "f", {{"path", "/f.so"}, {"gpu-memory", 1}});
  EXPECT_EQ(FunctionJson(*ParseFunctionSpec("alice", "f", FunctionJson(*defaults))), FunctionJson(*defaults));
}

class RegistryTest : public testing::Test {
 protected:
  RegistryTest() {
    char pattern[] = "/tmp/mig-registry-XXXXXX";
    root_ = ::mkdtemp(pattern);
    std::ofstream(root_ / "f.so") << "x";
    config_.functions.allowed_paths = {root_.string()};
  }
  ~RegistryTest() override { filesystem::remove_all(root_); }

  // `starts` is what the node does when it is told what to keep.
  void Start(std::function<void()> starts = [] {}) {
    registry_.reset();
    store_.reset();
    auto store = Store::Open((root_ / "state").string());
    ASSERT_TRUE(store) << store.error().message();
    const auto stored = (*store)->Functions();
    store_ = std::make_unique<StoreThread>(loop_.get_executor(), std::move(*store));
    Registry::Hooks hooks;
    hooks.containers = [this] { return containers_; };
    hooks.kill = [this](const std::string&, const std::string& container) {
      killed_.push_back(container);
      if (containers_.back().id == "new") ++replaced_;
    };
    hooks.maintain = [this, starts](std::vector<Request> templates) {
      templates_ = std::move(templates);
      starts();
    };
    registry_ = std::make_unique<Registry>(config_, *store_, std::move(hooks), *stored);
  }

  template <typename T>
  T Run(asio::awaitable<T> coroutine) {
    auto future = asio::co_spawn(loop_, std::move(coroutine), asio::use_future);
    loop_.restart();
    loop_.run();
    return future.get();
  }

  FunctionSpec Spec(const std::string& name = "f", json::object fields = {}) const {
    json::object body{{"path", (root_ / "f.so").string()}, {"gpu-memory", 100}};
    for (auto& [key, value] : fields) body[key] = value;
    auto spec = ParseFunctionSpec("alice", name, body);
    EXPECT_TRUE(spec) << spec.error().message();
    return *spec;
  }
  static ContainerInfo Container(const std::string& id, const std::string& status, const std::string& function = "f") {
    ContainerInfo info;
    info.id = id;
    info.user = "alice";
    info.function = function;
    info.status = status;
    return info;
  }

  filesystem::path root_;
  Config config_;
  asio::io_context loop_;
  std::unique_ptr<StoreThread> store_;
  std::unique_ptr<Registry> registry_;
  std::vector<ContainerInfo> containers_;
  std::vector<std::string> killed_;
  std::vector<Request> templates_;
  size_t replaced_ = 0;  // containers that ended after their successor was there
};

TEST_F(RegistryTest, FunctionsAndTheirRevisionsSurviveARestart) {
  Start();
  EXPECT_TRUE(*Run(registry_->Put(Spec("f", {{"timeout", 7}}))));
  EXPECT_FALSE(*Run(registry_->Put(Spec("f", {{"timeout", 8}}))));
  const uint64_t revision = registry_->RequestFor("alice", "f")->revision;
  Start();
  EXPECT_EQ(registry_->Find("alice", "f")->timeout_s, 8.0);
  EXPECT_EQ(registry_->RequestFor("alice", "f")->revision, revision);
  EXPECT_FALSE(*Run(registry_->Put(Spec("f"))));
  EXPECT_GT(registry_->RequestFor("alice", "f")->revision, revision);
  EXPECT_TRUE(Run(registry_->Delete("alice", "f")));
  Start();
  EXPECT_EQ(registry_->Find("alice", "f").error().code(), Code::kNotFound);
  EXPECT_EQ(Run(registry_->Delete("alice", "f")).error().code(), Code::kNotFound);
}

TEST_F(RegistryTest, ARequestIsFilledFromTheSpecification) {
  Start();
  ASSERT_TRUE(Run(registry_->Put(Spec("f", {{"concurrency", 2}, {"remove-after", 1.5}}))));
  const auto request = registry_->RequestFor("alice", "f");
  ASSERT_TRUE(request) << request.error().message();
  EXPECT_EQ(request->path, filesystem::canonical(root_ / "f.so"));
  EXPECT_EQ(request->timeout, std::chrono::seconds(60));
  EXPECT_EQ(request->scaling.concurrency, 2u);
  EXPECT_EQ(request->scaling.remove_after, std::chrono::milliseconds(1500));
  EXPECT_EQ(registry_->RequestFor("bob", "f").error().code(), Code::kNotFound);
}

TEST_F(RegistryTest, APathIsAuthorizedWhenItIsRegisteredAndAtEachCall) {
  Start();
  ASSERT_TRUE(Run(registry_->Put(Spec())));
  EXPECT_TRUE(registry_->RequestFor("alice", "f"));
  // From now on it leads out of the allowed folder.
  filesystem::remove(root_ / "f.so");
  filesystem::create_symlink("/proc/self/exe", root_ / "f.so");
  EXPECT_EQ(registry_->RequestFor("alice", "f").error().code(), Code::kForbidden);
  EXPECT_EQ(Run(registry_->Put(Spec("g"))).error().code(), Code::kForbidden);
  filesystem::remove(root_ / "f.so");
  EXPECT_THAT(registry_->RequestFor("alice", "f").error().message(), HasSubstr("does not exist"));
}

TEST_F(RegistryTest, ContainersOfAChangedFunctionEndAsSoonAsTheyAreIdle) {
  Start();
  ASSERT_TRUE(Run(registry_->Put(Spec())));
  containers_ = {Container("idle", "idle"), Container("busy", "running"), Container("other", "idle", "g")};
  ASSERT_TRUE(Run(registry_->Put(Spec())));
  EXPECT_THAT(killed_, ElementsAre("idle"));
  registry_->Settle("busy");
  registry_->Settle("other");
  EXPECT_THAT(killed_, ElementsAre("idle"));
  containers_[1].status = "idle";
  registry_->Settle("busy");
  registry_->Settle("busy");
  EXPECT_THAT(killed_, ElementsAre("idle", "busy"));
}

TEST_F(RegistryTest, FunctionsThatWantContainersAheadAreToldAfterEachChange) {
  Start();
  ASSERT_TRUE(Run(registry_->Put(Spec("f", {{"min-containers", 2}}))));
  ASSERT_TRUE(Run(registry_->Put(Spec("g"))));
  ASSERT_EQ(templates_.size(), 1u);
  EXPECT_EQ(templates_[0].function, "f");
  EXPECT_EQ(templates_[0].scaling.min_containers, 2u);
  templates_.clear();
  Start();
  EXPECT_EQ(templates_.size(), 1u);
  ASSERT_TRUE(Run(registry_->Delete("alice", "f")));
  EXPECT_TRUE(templates_.empty());
}

TEST_F(RegistryTest, WhatIsKeptIsToldBeforeOldContainersEndAndNewOnesStay) {
  Start([this] { containers_.push_back(Container("new", "idle")); });
  containers_.clear();
  ASSERT_TRUE(Run(registry_->Put(Spec("f", {{"min-containers", 1}}))));
  containers_ = {Container("old", "idle")};
  ASSERT_TRUE(Run(registry_->Put(Spec("f", {{"min-containers", 1}, {"timeout", 5}}))));
  EXPECT_THAT(killed_, ElementsAre("old"));
  ASSERT_EQ(replaced_, 1u);
}

TEST_F(RegistryTest, AUserHasAsManyFunctionsAsTheLimitSays) {
  config_.functions.per_user = 1;
  Start();
  ASSERT_TRUE(Run(registry_->Put(Spec())));
  EXPECT_THAT(Run(registry_->Put(Spec("g"))).error().message(), HasSubstr("functions.per-user is 1"));
  EXPECT_TRUE(Run(registry_->Put(Spec())));
}

TEST_F(RegistryTest, WhatCannotBeReadAnyMoreIsLeftInTheDatabase) {
  {
    auto store = Store::Open((root_ / "state").string());
    ASSERT_TRUE((*store)->PutFunction({"alice", "f", "{\"later\": 1}", 5}));
  }
  Start();
  EXPECT_TRUE(registry_->List("").empty());
  registry_.reset();
  store_.reset();
  EXPECT_EQ((*Store::Open((root_ / "state").string()))->Functions()->size(), 1u);
}

}  // namespace
}  // namespace mignificient::node
