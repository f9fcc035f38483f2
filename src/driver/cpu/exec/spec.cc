#include "driver/cpu/exec/spec.h"

#include <algorithm>

namespace mignificient::cpu {

bool Spec::Has(std::string_view modifier) const {
  return std::ranges::find(rest, modifier) != rest.end();
}

bool Spec::Take(std::string_view modifier) {
  const auto found = std::ranges::find(rest, modifier);
  if (found == rest.end()) return false;
  rest.erase(found);
  return true;
}

}  // namespace mignificient::cpu
