// The order in which waiting invocations of several users go: start-time fair queueing (Goyal, Vin, Cheng: "Start-time
// Fair Queuing", SIGCOMM 1996). An arrival gets a tag; the smallest tag goes first. A user's tags lie as far apart as
// its invocations take long, divided by its weight, so that users who both wait get time in proportion to their
// weights, and who comes after having been away starts level with the others.
//
// Time here is virtual: microseconds of use at weight 1. No clock.
#pragma once

#include <cstddef>
#include <map>
#include <string>

namespace mignificient::sched {

class FairOrder {
 public:
  // Users that are not in `weights` have weight 1; weights are above 0.
  explicit FairOrder(std::map<std::string, double> weights = {}) : weights_(std::move(weights)) {}

  // Of an invocation that arrives now. Tags of one user never decrease.
  double Tag(const std::string& user);
  // The invocation of this tag goes now: who arrives later is not ahead of it.
  void Went(double tag);
  // How long one really took: what is charged from now on, and made good to the user for the last.
  void Took(const std::string& user, double microseconds);

  size_t users() const { return users_.size(); }

 private:
  struct User {
    double next = 0;    // tag of its next arrival, unless the others are further
    double cost = 1e4;  // expected microseconds of one invocation: a moving average
  };
  double Weight(const std::string& user) const;
  void ForgetLevelUsers();

  std::map<std::string, double> weights_;
  std::map<std::string, User> users_;
  double now_ = 0;  // the largest tag that went
};

}  // namespace mignificient::sched
