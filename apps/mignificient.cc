#include <string>
#include <vector>

#include "cli/main.h"

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  return mignificient::cli::Main(arguments);
}
