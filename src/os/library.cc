#include "os/library.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace mignificient::os {
namespace {

// Null, with a sentence in `why`, when it cannot be loaded or stands in for what is wanted.
void* OpenReal(const std::string& path, std::string& why) {
  void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    why = ::dlerror();
    return nullptr;
  }
  if (::dlsym(library, kStandInMark) == nullptr) return library;
  why = path + " is MIGnificient's own, for the programs of tenants";
  ::dlclose(library);
  return nullptr;
}

std::vector<std::string> Folders() {
  std::vector<std::string> folders;
  const char* variable = std::getenv("LD_LIBRARY_PATH");
  for (std::string_view rest = variable != nullptr ? variable : ""; !rest.empty();) {
    const size_t end = std::min(rest.find(':'), rest.size());
    if (end > 0) folders.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  for (const char* folder : {
#if defined(__aarch64__)
           "/usr/lib/aarch64-linux-gnu",
#else
           "/usr/lib/x86_64-linux-gnu",
#endif
           "/usr/lib64", "/usr/lib", "/usr/local/nvidia/lib64", "/usr/lib/wsl/lib"})
    folders.emplace_back(folder);
  return folders;
}

}  // namespace

Result<void*> OpenHostLibrary(const char* name) {
  std::string why;
  if (void* library = OpenReal(name, why)) return library;
  if (std::string_view(name).find('/') == std::string_view::npos) {
    std::string ignored;
    for (const std::string& folder : Folders())
      if (void* library = OpenReal(folder + "/" + name, ignored)) return library;
  }
  return Fail(Code::kNotFound, "Library {} cannot be loaded: {}.", name, why);
}

}  // namespace mignificient::os
