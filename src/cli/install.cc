#include "cli/install.h"

#include <filesystem>

namespace mignificient::cli {

Result<Install> FindInstall() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return Fail(Code::kOs, "The path of this program cannot be read: {}.", error.message());
  const std::filesystem::path bin = self.parent_path();
  const std::filesystem::path libraries = (bin / "../lib").lexically_normal();
  const Install install{.bin_folder = bin.string(),
                        .library_folder = libraries.string(),
                        .gpu_server = (bin / "mignificient-gpu-server").string()};
  // Without our NVML, programs would find the host's.
  for (const std::filesystem::path& part :
       {std::filesystem::path(install.gpu_server), libraries / "libcuda.so.1", libraries / "libnvidia-ml.so.1"})
    if (!std::filesystem::exists(part, error))
      return Fail(Code::kNotFound, "A part of this installation ({}) is missing.", part.string());
  return install;
}

}  // namespace mignificient::cli
