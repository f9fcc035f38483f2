// Libraries (CUlibrary) as the client knows them. It names them, so that the server can load one while the program
// goes on.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>

#include "remoting/client/handle_names.h"

namespace mignificient::client {

struct Library {
  // Of an executable of machine code; nullopt: the server has to be asked.
  std::optional<std::set<std::string, std::less<>>> kernels;
};

HandleNames<Library>& Libraries();  // function.cc

}  // namespace mignificient::client
