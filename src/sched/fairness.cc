#include "sched/fairness.h"

#include <algorithm>

namespace mignificient::sched {
namespace {

constexpr size_t kMostUsers = 4096;  // names come from callers
constexpr double kAverage = 0.25;    // of a new duration in the average

}  // namespace

double FairOrder::Tag(const std::string& user) {
  if (users_.size() >= kMostUsers && !users_.contains(user)) ForgetLevelUsers();
  User& state = users_[user];
  const double tag = std::max(now_, state.next);
  state.next = tag + state.cost / Weight(user);
  return tag;
}

void FairOrder::Went(double tag) {
  now_ = std::max(now_, tag);
}

void FairOrder::Took(const std::string& user, double microseconds) {
  const auto found = users_.find(user);
  if (found == users_.end()) return;
  User& state = found->second;
  // Never back: tags of one user do not decrease. What was charged too much lowers the next charges.
  state.next += std::max(0.0, microseconds - state.cost) / Weight(user);
  state.cost += kAverage * (microseconds - state.cost);
}

double FairOrder::Weight(const std::string& user) const {
  const auto found = weights_.find(user);
  return found == weights_.end() ? 1 : found->second;
}

// Who is level with the others is as good as unknown.
void FairOrder::ForgetLevelUsers() {
  std::erase_if(users_, [this](const auto& entry) { return entry.second.next <= now_; });
}

}  // namespace mignificient::sched
