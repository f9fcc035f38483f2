// Makes an example a program: `./vector_add '{"vec-elements": 4096}'` prints the result and exits with 0 or 1.
#include <cstdio>
#include <string>

#include "example.h"

int main(int argc, char** argv) {
  if (argc > 2) {
    std::fprintf(stderr, "Usage: %s [JSON payload]\n", argv[0]);
    return 2;
  }
  std::string result;
  if (example::Run(argc == 2 ? argv[1] : "", result) < 0) return 1;
  std::printf("%s\n", result.c_str());
  return 0;
}
