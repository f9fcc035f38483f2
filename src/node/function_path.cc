#include "node/function_path.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "node/fields.h"

namespace mignificient::node {
namespace {

constexpr size_t kMostKnown = 4096;  // paths come from callers

bool IsBelow(const std::string& path, const std::string& folder) {
  return path == folder || (folder == "/" ? path.starts_with('/') : path.starts_with(folder + "/"));
}

Result<std::string> Canonical(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> resolved(::realpath(path.c_str(), nullptr), &std::free);
  if (!resolved) return FailErrno("realpath", errno);
  return std::string(resolved.get());
}

}  // namespace

Result<std::string> AuthorizePath(std::string_view field, const std::string& path,
                                  const std::vector<std::string>& allowed_paths) {
  if (!path.starts_with('/')) return BadField(field, "\"{}\" is given; an absolute path is allowed.", path);
  const auto canonical = Canonical(path);
  // Whether a file exists is told only below the allowed folders.
  const std::string judged = canonical ? *canonical : std::filesystem::path(path).lexically_normal().string();
  const bool allowed = std::ranges::any_of(allowed_paths, [&](const std::string& folder) {
    const auto real_folder = Canonical(folder);
    return (real_folder && IsBelow(judged, *real_folder)) || (!canonical && IsBelow(judged, folder));
  });
  if (!allowed)
    return Fail(Code::kForbidden, "Field [{}]: \"{}\" is not below any of functions.allowed-paths.", field, path);
  struct stat status{};
  if (!canonical || ::stat(canonical->c_str(), &status) != 0)
    return BadField(field, "\"{}\" does not exist or cannot be read.", path);
  if (!S_ISREG(status.st_mode)) return BadField(field, "\"{}\" is not a regular file.", path);
  return *canonical;
}

Result<std::string> FunctionPaths::Authorize(std::string_view field, const std::string& path) const {
  struct stat before{};
  const bool there = ::stat(path.c_str(), &before) == 0;
  if (const auto found = known_.find(path); there && found != known_.end()) {
    const Known& known = found->second;
    if (known.device == before.st_dev && known.inode == before.st_ino &&
        known.changed.tv_sec == before.st_ctim.tv_sec && known.changed.tv_nsec == before.st_ctim.tv_nsec)
      return known.canonical;
  }
  MIG_ASSIGN(std::string canonical, AuthorizePath(field, path, allowed_paths_));
  if (known_.size() >= kMostKnown) known_.clear();
  if (there) known_[path] = {before.st_dev, before.st_ino, before.st_ctim, canonical};
  return canonical;
}

}  // namespace mignificient::node
