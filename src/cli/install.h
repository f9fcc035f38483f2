// Where the parts of this installation are: found beside the running program, so that a tree can be moved.
#pragma once

#include <string>

#include "base/result.h"

namespace mignificient::cli {

struct Install {
  std::string bin_folder;      // of this program
  std::string library_folder;  // our libcuda.so.1
  std::string gpu_server;      // mignificient-gpu-server
};

// kNotFound, naming the file, where a part is missing.
Result<Install> FindInstall();

}  // namespace mignificient::cli
