#include "node/metrics.h"

namespace mignificient::node {
namespace {

void ObserveIfKnown(Histogram& histogram, const std::optional<double>& milliseconds) {
  if (milliseconds) histogram.Observe(*milliseconds / 1000);
}

}  // namespace

void Histogram::Observe(double seconds) {
  for (size_t i = 0; i < kBounds.size(); ++i)
    if (seconds <= kBounds[i]) ++within_[i];
  ++count_;
  sum_ += seconds;
}

void Metrics::Count(const Answer& answer) {
  const Timing& timing = answer.timing;
  ++invocations_[{answer.outcome, !answer.granted ? "none" : answer.cold ? "cold" : "warm"}];
  ObserveIfKnown(duration_, timing.total);
  if (answer.granted) ObserveIfKnown(queue_, timing.queue);
  ObserveIfKnown(execution_, timing.exec);
  if (answer.granted && answer.cold)
    start_.Observe((timing.spawn.value_or(0) + timing.context.value_or(0) + timing.attach.value_or(0)) / 1000);
}

}  // namespace mignificient::node
