// `mignificient serve` without the rest of the command line: node_test_serve CONFIG.
#include <cstdio>

#include "http/serve.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto loaded = mignificient::node::LoadConfig(argv[1], mignificient::node::ProcessEnvironment(), {});
  const auto served = loaded ? mignificient::http::Serve(loaded->config) : std::unexpected(loaded.error());
  if (served) return 0;
  std::fprintf(stderr, "%s\n", served.error().message().c_str());
  return 2;
}
