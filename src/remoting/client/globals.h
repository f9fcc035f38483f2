// Variables of modules and libraries that the program has asked for: device memory that lies where the driver has put
// it, outside of the client's window, so nothing else here knows about it. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <shared_mutex>

#include "remoting/client/address_space.h"

namespace mignificient::client {

class GlobalVariables {
 public:
  // `owner` is the server's name for the module or library.
  void Insert(uint64_t owner, Extent extent);
  // The variable that contains `address`.
  std::optional<Extent> Find(uint64_t address) const;
  // Its module or library is gone.
  void ForgetOf(uint64_t owner);

 private:
  struct Variable {
    uint64_t bytes;
    uint64_t owner;
  };
  mutable std::shared_mutex lock_;
  std::map<uint64_t, Variable> variables_;
};

// Leaked on purpose.
GlobalVariables& TheGlobals();

}  // namespace mignificient::client
