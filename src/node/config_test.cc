#include "node/config.h"

#include <gtest/gtest.h>

namespace mignificient::node {
namespace {

std::string MessageOf(std::string_view text) {
  const auto loaded = ParseConfig(text);
  return loaded ? "loaded" : loaded.error().message();
}

TEST(ConfigTest, AnEmptyObjectIsValid) {
  const auto loaded = ParseConfig("{}");
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->config.http.port, 10000);
  EXPECT_TRUE(loaded->config.functions.allowed_paths.empty());
}

TEST(ConfigTest, TheOriginalsFileLoadsAndSaysWhatHasNoEffect) {
  const auto loaded = ParseConfig(
      R"({"name": "mignificient-orchestrator", "sharing-model": "sequential", "timeout-check-interval-ms": 100,
    "ipc": {"backend": "iceoryx2", "buffer-config": {"orchestrator-executor": {"invocation-size": 1048576}},
            "polling": {"mode": "wait", "poll-interval-us": 100}},
    "http": {"port": 10001, "threads": 1},
    "executor": {"type": "bare-metal", "use-vmm": true, "bare-metal-executor": {"cpp": "/x", "python": ["a"]}}})");
  ASSERT_TRUE(loaded) << loaded.error().message();
  EXPECT_EQ(loaded->config.http.port, 10001);
  EXPECT_EQ(loaded->warnings.size(), 7u);
}

TEST(ConfigTest, CommentsAndTrailingCommasAreAllowed) {
  EXPECT_TRUE(ParseConfig("{ // the port\n \"http\": {\"port\": 1,}, /* end */ }"));
}

TEST(ConfigTest, ErrorsNameTheKeyWhatWasGivenAndWhatIsAllowed) {
  EXPECT_EQ(MessageOf(R"({"http": {"prot": 1}})"), "Key [http.prot] is not known. Did you mean `http.port`?");
  EXPECT_EQ(MessageOf(R"({"http": {"port": "x"}})"),
            "Key [http.port]: \"x\" is given; a whole number from 0 to 65535 is allowed.");
  EXPECT_EQ(MessageOf(R"({"http": 3})"), "Key [http]: 3 is given; an object is allowed.");
  EXPECT_EQ(MessageOf(R"({"sharing-model": "overlap"})"),
            "Key [sharing-model]: \"overlap\" is given; allowed is sequential, overlap_cpu, overlap_cpu_memcpy, "
            "full_overlap.");
  EXPECT_EQ(MessageOf(R"({"sharing-models": {"3g": 3}})"), "Key [sharing-models]: 3 is given; a string is allowed.");
  EXPECT_EQ(MessageOf(R"({"weights": {"alice": 0}})"),
            "Key [weights]: 0 is given; a number from 0.001 to 1000 is allowed.");
  EXPECT_EQ(MessageOf(R"({"gpu-server": {"share": "all"}})"),
            "Key [gpu-server.share]: \"all\" is given; allowed is none, user.");
  EXPECT_EQ(MessageOf(R"({"log-level": "loud"})"),
            "Key [log-level]: \"loud\" is given; allowed is debug, info, warning, error.");
  EXPECT_EQ(MessageOf(R"({"functions": {"allowed-paths": ["here"]}})"),
            "Key [functions.allowed-paths]: \"here\" is given; absolute paths are allowed.");
  EXPECT_EQ(MessageOf(R"({"executor": {"python": "venv/bin/python3"}})"),
            "Key [executor.python]: \"venv/bin/python3\" is given; an absolute path or a name in the PATH is allowed.");
  EXPECT_EQ(MessageOf(R"({"executor": {"pyhton": "/x"}})"),
            "Key [executor.pyhton] is not known. Did you mean `executor.python`?");
  EXPECT_NE(MessageOf("{").find("no JSON"), std::string::npos);
}

TEST(ConfigTest, AnInterpreterIsAPathOrAName) {
  EXPECT_EQ(ParseConfig("{}")->config.executor.python, "");
  for (const char* python : {"/opt/venv/bin/python3", "python3.12"}) {
    const auto loaded = ParseConfig(fmt::format(R"({{"executor": {{"type": "bare-metal", "python": "{}"}}}})", python));
    ASSERT_TRUE(loaded) << loaded.error().message();
    EXPECT_EQ(loaded->config.executor.python, python);
  }
}

TEST(ConfigTest, WithoutTokensOnlyLoopbackIsServed) {
  const auto served = [](std::string_view address, std::string_view tokens) {
    return MessageOf(fmt::format(R"({{"http": {{"address": "{}"}}, "auth": {{"tokens": "{}"}}}})", address, tokens));
  };
  for (const char* address : {"127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"})
    EXPECT_EQ(served(address, ""), "loaded") << address;
  for (const char* address : {"0.0.0.0", "::", "10.0.0.1", "::ffff:10.0.0.1", "localhost", ""})
    EXPECT_EQ(served(address, ""),
              fmt::format("Key [http.address]: \"{}\" is given; without a token file (auth.tokens) only a loopback "
                          "address is allowed, such as 127.0.0.1.",
                          address));
  EXPECT_EQ(served("0.0.0.0", "/etc/tokens"), "loaded");
}

TEST(ConfigTest, TlsNeedsBothFilesAndAModeIsOctal) {
  EXPECT_EQ(MessageOf(R"({"http": {"tls": {"certificate": "/a"}}})"),
            "Key [http.tls.key]: nothing is given; http.tls.certificate and http.tls.key go together.");
  EXPECT_EQ(MessageOf(R"({"http": {"tls": {"certificate": "/a", "key": "/b"}}})"), "loaded");
  for (const char* mode : {"0600", "660", "0777", "0"})
    EXPECT_EQ(MessageOf(fmt::format(R"({{"http": {{"unix-socket-mode": "{}"}}}})", mode)), "loaded");
  for (const char* mode : {"", "0800", "1777", "00600", "rw"})
    EXPECT_EQ(MessageOf(fmt::format(R"({{"http": {{"unix-socket-mode": "{}"}}}})", mode)),
              fmt::format("Key [http.unix-socket-mode]: \"{}\" is given; an octal mode from \"0000\" to \"0777\" is "
                          "allowed.",
                          mode));
}

TEST(ConfigTest, GpusArePartitionedAnewOnlyWhereThatIsAskedForAndCanBeFollowed) {
  const auto by_default = ParseConfig("{}");
  ASSERT_TRUE(by_default);
  EXPECT_FALSE(by_default->config.mig.automatic);
  EXPECT_EQ(by_default->config.mig.after_ms, 1000);
  const auto loaded =
      ParseConfig(R"({"mig": {"auto": true, "after-ms": 0, "retry-after": 0.5, "gpus": ["0", "GPU-1b2c"]}})");
  ASSERT_TRUE(loaded) << loaded.error().message();
  EXPECT_TRUE(loaded->config.mig.automatic);
  EXPECT_EQ(loaded->config.mig.gpus, (std::vector<std::string>{"0", "GPU-1b2c"}));
  EXPECT_EQ(MessageOf(R"({"mig": {"auto": 1}})"), "Key [mig.auto]: 1 is given; true or false is allowed.");
  EXPECT_EQ(MessageOf(R"({"mig": {"after-ms": -1}})"),
            "Key [mig.after-ms]: -1 is given; a number from 0 to 10000000 is allowed.");
  EXPECT_EQ(MessageOf(R"({"mig": {"auto": true}, "devices": "devices.json"})"),
            "Key [mig.auto]: true is given; allowed is false where devices names a file, which does not tell what "
            "becomes of GPUs.");
  for (const char* gpu : {"", "x", "GPU-", "-1", "MIG-1"})
    EXPECT_EQ(
        MessageOf(fmt::format(R"({{"mig": {{"gpus": ["{}"]}}}})", gpu)),
        fmt::format("Key [mig.gpus]: \"{}\" is in the list; UUIDs (GPU-...) and indices of GPUs are allowed.", gpu));
}

TEST(ConfigTest, CommandLineBeatsEnvironmentBeatsFile) {
  const std::vector<std::string> environment = {"MIGNIFICIENT_HTTP_PORT=2", "MIGNIFICIENT_LIMITS_QUEUE=7",
                                                "MIGNIFICIENT_FUNCTIONS_ALLOWED_PATHS=/a:/b"};
  const std::vector<Override> overrides = {{"http.port", "3"}};
  const auto loaded = ParseConfig(R"({"http": {"port": 1}, "limits": {"queue": 5}})", environment, overrides);
  ASSERT_TRUE(loaded) << loaded.error().message();
  EXPECT_EQ(loaded->config.http.port, 3);
  EXPECT_EQ(loaded->config.limits.queue, 7u);
  EXPECT_EQ(loaded->config.functions.allowed_paths, (std::vector<std::string>{"/a", "/b"}));
}

TEST(ConfigTest, TheEffectiveConfigurationParsesBackToTheSame) {
  const auto loaded = ParseConfig(
      R"({"http": {"port": 1, "tls": {"certificate": "/c", "key": "/k"}}, "functions": {"allowed-paths": ["/a b"]}})");
  ASSERT_TRUE(loaded);
  const std::string text = ConfigJson(loaded->config);
  const auto again = ParseConfig(text);
  ASSERT_TRUE(again) << again.error().message() << text;
  EXPECT_EQ(ConfigJson(again->config), text);
  EXPECT_NE(text.find("\n    \"tls\": {\n      \"certificate\": \"/c\",\n      \"key\": \"/k\"\n    },\n    \""),
            std::string::npos)
      << text;
}

}  // namespace
}  // namespace mignificient::node
