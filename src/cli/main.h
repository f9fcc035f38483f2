// The program `mignificient`: reads the command line, runs one subcommand.
#pragma once

#include <span>
#include <string>

namespace mignificient::cli {

// `arguments` without the program's own name. Returns the exit status.
int Main(std::span<const std::string> arguments);

}  // namespace mignificient::cli
