#include "node/nearest_name.h"

#include <algorithm>
#include <numeric>

namespace mignificient::node {
namespace {

size_t Edits(std::string_view from, std::string_view to) {
  std::vector<size_t> last(to.size() + 1), row(to.size() + 1);
  std::iota(last.begin(), last.end(), size_t{0});
  for (size_t i = 1; i <= from.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= to.size(); ++j)
      row[j] = std::min({last[j - 1] + (from[i - 1] == to[j - 1] ? 0 : 1), last[j] + 1, row[j - 1] + 1});
    std::swap(last, row);
  }
  return last[to.size()];
}

}  // namespace

std::string_view NearestName(std::string_view name, const std::vector<std::string_view>& candidates) {
  std::string_view nearest;
  size_t fewest = std::max<size_t>(name.size() / 3, 2) + 1;
  for (const std::string_view candidate : candidates)
    if (const size_t edits = Edits(name, candidate); edits < fewest) {
      fewest = edits;
      nearest = candidate;
    }
  return nearest;
}

}  // namespace mignificient::node
