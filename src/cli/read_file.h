// Whole files and streams into memory, for the command line.
#pragma once

#include <cstdio>
#include <filesystem>
#include <string>

#include "base/result.h"

namespace mignificient::cli {

// kInvalidArgument where there is no such file; kOs where it cannot be read.
Result<std::string> ReadFile(const std::filesystem::path& file);

// Everything up to the end of `stream`.
Result<std::string> ReadAll(std::FILE* stream);

// What an option for a payload means, as curl reads it: the text itself, `@FILE`, or `@-` for standard input.
Result<std::string> ReadPayload(const std::string& given);

}  // namespace mignificient::cli
