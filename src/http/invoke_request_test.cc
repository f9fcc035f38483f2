#include "http/invoke_request.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace mignificient::http {
namespace {

namespace filesystem = std::filesystem;
namespace json = boost::json;

class InvokeRequestTest : public testing::Test {
 protected:
  InvokeRequestTest() {
    char pattern[] = "/tmp/mig-invoke-XXXXXX";
    root_ = ::mkdtemp(pattern);
    filesystem::create_directories(root_ / "allowed");
    std::ofstream(root_ / "allowed/f.so") << "x";
    std::ofstream(root_ / "secret.so") << "x";
    filesystem::create_symlink(root_ / "secret.so", root_ / "allowed/link.so");
    config_.functions.allowed_paths = {(root_ / "allowed").string()};
  }
  ~InvokeRequestTest() override { filesystem::remove_all(root_); }

  json::object Valid() const {
    return {{"function", "f"},
            {"user", "alice"},
            {"mig-instance", "3g"},
            {"gpu-memory", 100},
            {"function-path", (root_ / "allowed/f.so").string()},
            {"input-payload", "hello"}};
  }
  Result<ParsedInvoke> With(std::string_view field, json::value value) const {
    json::object body = Valid();
    body[field] = std::move(value);
    return ParseInvoke(json::serialize(body), config_, paths_);
  }
  std::string ErrorWith(std::string_view field, json::value value) const {
    const auto parsed = With(field, std::move(value));
    return parsed ? "parsed" : parsed.error().message();
  }

  filesystem::path root_;
  node::Config config_;
  const node::FunctionPaths paths_{config_.functions.allowed_paths};
};

TEST_F(InvokeRequestTest, PathIsJudgedAnewOnceItLeadsToAnotherFile) {
  json::object body = Valid();
  const filesystem::path link = root_ / "allowed/turning.so";
  body["function-path"] = link.string();
  filesystem::create_symlink(root_ / "allowed/f.so", link);
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(ParseInvoke(json::serialize(body), config_, paths_)->request.path, (root_ / "allowed/f.so").string());
  filesystem::remove(link);
  EXPECT_EQ(ParseInvoke(json::serialize(body), config_, paths_).error().code(), Code::kInvalidArgument);
  std::ofstream(root_ / "outside.so") << "x";
  filesystem::create_symlink(root_ / "outside.so", link);
  EXPECT_EQ(ParseInvoke(json::serialize(body), config_, paths_).error().code(), Code::kForbidden);
}

TEST_F(InvokeRequestTest, DefaultsFillWhatIsMissing) {
  const auto parsed = ParseInvoke(json::serialize(Valid()), config_, paths_);
  ASSERT_TRUE(parsed) << parsed.error().message();
  EXPECT_EQ(parsed->request.handler, "f");
  EXPECT_EQ(parsed->request.timeout, std::chrono::seconds(60));
  EXPECT_EQ(parsed->request.call_id.size(), 36u);
  EXPECT_EQ(parsed->request.payload, "hello");
  EXPECT_TRUE(parsed->warnings.empty());
}

TEST_F(InvokeRequestTest, RequiredFieldsAreNamed) {
  for (const char* field : {"function", "user", "mig-instance", "gpu-memory", "function-path"})
    EXPECT_NE(ErrorWith(field, nullptr).find(fmt::format("Field [{}]: is missing", field)), std::string::npos) << field;
}

TEST_F(InvokeRequestTest, MistypedFieldsSayWhatWasGivenAndWhatIsAllowed) {
  EXPECT_EQ(ErrorWith("gpu-memory", "much"),
            "Field [gpu-memory]: \"much\" is given; a whole number of MiB from 1 to 1000000000 is allowed.");
  EXPECT_EQ(ErrorWith("user", 3), "Field [user]: 3 is given; a string is allowed.");
  EXPECT_EQ(ErrorWith("timeout", -1),
            "Field [timeout]: -1 is given; a number of seconds above 0 up to limits.timeout-max (3600) is allowed.");
  EXPECT_EQ(ErrorWith("mig-instance", "9g"),
            "Field [mig-instance]: \"9g\" is given; allowed is any, 1g to 7g, or a profile such as 3g.40gb.");
  EXPECT_EQ(ErrorWith("modules", "torch"), "Field [modules]: \"torch\" is given; a list of strings is allowed.");
  EXPECT_EQ(ErrorWith("function-language", "cobol"),
            "Field [function-language]: \"cobol\" is given; allowed is cpp, python.");
  EXPECT_NE(ErrorWith("user", "a\nb").find("control characters"), std::string::npos);
  EXPECT_NE(ErrorWith("input-payload", 7).find("Field [input-payload]"), std::string::npos);
}

TEST_F(InvokeRequestTest, FractionalTimeoutsAndProfilesAreAllowed) {
  EXPECT_EQ(With("timeout", 0.25)->request.timeout, std::chrono::milliseconds(250));
  EXPECT_TRUE(With("mig-instance", "3g.40gb"));
  EXPECT_TRUE(With("mig-instance", "1g.10gb+me"));
}

TEST_F(InvokeRequestTest, TheLanguageFollowsFromTheEndingUnlessItIsNamed) {
  std::ofstream(root_ / "allowed/f.py") << "x";
  const json::string python((root_ / "allowed/f.py").string());
  EXPECT_EQ(With("user", "bob")->request.language, node::Language::kCpp);
  EXPECT_EQ(With("function-path", python)->request.language, node::Language::kPython);
  EXPECT_EQ(With("function-language", "python")->request.language, node::Language::kPython);
  json::object body = Valid();
  body["function-path"] = python;
  body["function-language"] = "cpp";
  EXPECT_EQ(ParseInvoke(json::serialize(body), config_, paths_)->request.language, node::Language::kCpp);
}

TEST_F(InvokeRequestTest, ModulesAreNamesAsInAnImportStatement) {
  const auto parsed = With("modules", {"torch", "torchvision.models", "_x1", "größe"});
  ASSERT_TRUE(parsed) << parsed.error().message();
  EXPECT_EQ(parsed->request.modules, (std::vector<std::string>{"torch", "torchvision.models", "_x1", "größe"}));
  for (const char* name : {"", ".", "a.", ".a", "a..b", "1a", "a.1", "a b", "a-b", "--handler", "a\n", "a/b"})
    EXPECT_NE(ErrorWith("modules", json::array{name}).find("is in the list; names of modules"), std::string::npos)
        << name;
  EXPECT_NE(ErrorWith("modules", json::array{std::string(257, 'a')}).find("is in the list"), std::string::npos);
  EXPECT_EQ(ErrorWith("modules", json::array(65, "a")),
            "Field [modules]: 65 modules are given; at most 64 are allowed.");
}

TEST_F(InvokeRequestTest, MalformedJsonIsABadRequest) {
  const std::string text = json::serialize(Valid());
  for (size_t size = 0; size < text.size(); ++size) {
    const auto parsed = ParseInvoke(std::string_view(text).substr(0, size), config_, paths_);
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().code(), Code::kInvalidArgument);
  }
  EXPECT_NE(ParseInvoke("[1]", config_, paths_).error().message().find("a JSON object is allowed"), std::string::npos);
}

TEST_F(InvokeRequestTest, APathOutsideTheAllowedFoldersIsForbiddenWhetherItExistsOrNot) {
  for (const std::string& path : std::vector<std::string>{
           (root_ / "secret.so").string(), (root_ / "nothing.so").string(), (root_ / "allowed/../secret.so").string(),
           (root_ / "allowed/link.so").string(), (root_ / "allowed").string() + "-not/f.so"}) {
    const auto parsed = With("function-path", json::string(path));
    ASSERT_FALSE(parsed) << path;
    EXPECT_EQ(parsed.error().code(), Code::kForbidden) << path;
  }
}

TEST_F(InvokeRequestTest, AMissingFileBelowAnAllowedFolderIsABadRequest) {
  EXPECT_NE(ErrorWith("function-path", json::string((root_ / "allowed/no.so").string())).find("does not exist"),
            std::string::npos);
  EXPECT_NE(ErrorWith("function-path", json::string((root_ / "allowed").string())).find("not a regular file"),
            std::string::npos);
  EXPECT_NE(ErrorWith("function-path", "f.so").find("absolute"), std::string::npos);
}

TEST_F(InvokeRequestTest, NothingIsAllowedByDefault) {
  config_.functions.allowed_paths.clear();
  EXPECT_EQ(ParseInvoke(json::serialize(Valid()), config_, paths_).error().code(), Code::kForbidden);
}

TEST_F(InvokeRequestTest, TheOriginalsFieldsAndUnknownOnesWarn) {
  json::object body = Valid();
  body["cuda-binary"] = "x";
  body["gpu-memroy"] = 1;
  const auto parsed = ParseInvoke(json::serialize(body), config_, paths_);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->warnings,
            (std::vector<std::string>{"Field [cuda-binary] has no effect.", "Field [gpu-memroy] is not known."}));
}

TEST_F(InvokeRequestTest, PreloadIsRefusedUnlessAllowed) {
  EXPECT_TRUE(With("ld-preload", ""));
  EXPECT_EQ(With("ld-preload", "/x.so").error().code(), Code::kForbidden);
  config_.functions.allow_ld_preload = true;
  EXPECT_EQ(With("ld-preload", "/x.so")->request.ld_preload, "/x.so");
}

TEST_F(InvokeRequestTest, APayloadAboveTheLimitIsRefusedByName) {
  config_.limits.payload_bytes = 4;
  const auto parsed = ParseInvoke(json::serialize(Valid()), config_, paths_);
  EXPECT_EQ(parsed.error().code(), Code::kExhausted);
  EXPECT_NE(parsed.error().message().find("limits.payload is 4"), std::string::npos);
}

}  // namespace
}  // namespace mignificient::http
