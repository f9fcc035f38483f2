// Load descriptions: the JSON files of the original system's invoker, which `bench` runs and `invoke` takes a request
// from.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "base/result.h"

namespace mignificient::cli {

enum class LoadMode {
  kIndependent,  // each worker sends its next request when its last one is answered
  kBatches,      // all workers wait for each other before the next round
};

struct LoadDescription {
  std::string address = "http://127.0.0.1:10000";
  LoadMode mode = LoadMode::kIndependent;
  int iterations = 1;
  int parallel_requests = 1;
  bool different_users = false;
  std::vector<boost::json::object> inputs;  // bodies of /invoke; worker w sends inputs[w % size]; never empty
};

// kInvalidArgument where there is no such file or where a key is wrong, naming the key, what was given and what is
// allowed. Comments are allowed; `inputs` may be one object. A relative `function-path` is relative to the file, so
// that a description and its functions can be moved together.
Result<LoadDescription> ReadLoadDescription(const std::filesystem::path& file);

// The same on the text of a file in `folder`.
Result<LoadDescription> ParseLoadDescription(std::string_view text, const std::filesystem::path& folder);

}  // namespace mignificient::cli
