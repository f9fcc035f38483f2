// Which files may be functions.
#pragma once

#include <sys/stat.h>

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"

namespace mignificient::node {

// The canonical path of a function's file. Links are followed first: what counts is where the file really is.
// kForbidden outside `allowed_paths` (functions.allowed-paths), whether it exists or not; kInvalidArgument where it is
// no readable regular file, or no absolute path. Sentences name `field`.
Result<std::string> AuthorizePath(std::string_view field, const std::string& path,
                                  const std::vector<std::string>& allowed_paths);

// The same, remembered: where the file that a path leads to is the one that was judged, and has not been changed, moved
// or linked since, the answer is what it was, for one look at the file instead of one at every folder above it. On one
// thread.
class FunctionPaths {
 public:
  explicit FunctionPaths(const std::vector<std::string>& allowed_paths) : allowed_paths_(allowed_paths) {}

  Result<std::string> Authorize(std::string_view field, const std::string& path) const;

 private:
  struct Known {
    dev_t device;
    ino_t inode;
    timespec changed;
    std::string canonical;
  };
  const std::vector<std::string>& allowed_paths_;
  mutable std::unordered_map<std::string, Known> known_;
};

}  // namespace mignificient::node
