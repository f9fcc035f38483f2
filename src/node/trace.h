// The timeline of a node in the trace event format of Chrome and Perfetto (JSON array form: valid up to wherever it
// ends). docs/timeline.md says what is on which track.
//
// Typed functions for what happens, called by whoever decides it, on the node's loop; none blocks or fails. Times are
// those of the call unless given. Events about what is not known (any more) do nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "node/container.h"
#include "node/request.h"
#include "node/trace_file.h"
#include "remoting/wire/activity.h"
#include "remoting/wire/control.h"

namespace mignificient::node {

class Trace {
 public:
  using Clock = std::chrono::steady_clock;
  // Takes one piece of the file; false: dropped.
  using Sink = std::function<bool(std::string_view text, TraceFile::Weight weight)>;

  // Writes to `sink`; `now` tells the time.
  Trace(Sink sink, std::function<Clock::time_point()> now);
  static Result<std::unique_ptr<Trace>> Open(const std::string& path, uint64_t limit_bytes);
  // Ends the array.
  ~Trace();

  // Before anything else about the partition. `model`: its sharing model as configured.
  void Partition(size_t partition, std::string_view name, std::string_view model);

  // What is told between the two happens at the same time: a decision that takes effect in several places.
  void StopClock() { stopped_at_ = Now(); }
  void StartClock() { stopped_at_.reset(); }

  // --- A call ---
  void Arrived(uint64_t call, const Request& request);
  void Refused(const Request& request, std::string_view why);  // answered without having been a call
  // Its function is told to run in the container.
  void Runs(uint64_t call, uint64_t container);
  void Yields(uint64_t call);                            // it runs on and has given the device up
  void Resumes(uint64_t call);                           // it has the device again
  void Returned(uint64_t call);                          // the function has returned; its work on the device may go on
  void Drained(uint64_t call);                           // its work is done, or nobody waits for it any more
  void Answered(uint64_t call, std::string_view error);  // empty: ok

  // A GPU was partitioned anew, or was to be, from `began` until now.
  void Repartitioned(std::string_view gpu, Clock::time_point began, std::string_view what);

  // --- A partition ---
  // Ends the ownership that there is.
  void Owns(size_t partition, uint64_t call, uint64_t container);
  void Disowned(size_t partition);

  // --- A container ---
  void Starting(uint64_t container, size_t partition, const ContainerSpec& spec);
  void Started(uint64_t container);
  void Gate(uint64_t container, wire::GateState state);
  void Did(uint64_t container, const wire::ActivityRecord& record);
  void Lost(uint64_t container, uint64_t records);  // of Did, in its GPU server
  void Ending(uint64_t container, std::string_view why);
  void Gone(uint64_t container);

 private:
  struct Track {  // nested slices
    uint64_t process = 0, thread = 0;
    uint32_t open = 0;
    uint32_t dropped = 0;  // begun after `open` and not in the file: their ends must not be, either
  };
  struct CallState {
    std::string id, user, function;
    uint64_t container = 0;
    bool shown = false, queued = false;  // its slice and that of its wait have begun
  };
  struct PartitionState {
    Track owner;
  };
  struct ContainerState {
    std::string name;
    size_t partition = 0;
    Track life, gate, invocation;
    std::optional<wire::GateState> gate_state;
    std::map<std::pair<uint32_t, uint32_t>, uint64_t> lanes;  // (connection, stream) -> lane
  };

  double At(Clock::time_point time) const;  // us since the beginning
  double Now() const { return stopped_at_ ? *stopped_at_ : At(now_()); }
  bool Write(std::string_view event, TraceFile::Weight weight);
  // `args`: the inside of a JSON object, or nothing.
  void Begin(Track& track, double at, std::string_view category, std::string_view name, const std::string& args = {});
  void End(Track& track, double at, uint32_t depth = 0);  // all slices deeper than `depth`
  void Instant(const Track& track, std::string_view category, std::string_view name, const std::string& args = {});
  void Moment(uint64_t thread, std::string_view category, std::string_view name, const std::string& args);
  bool Async(char phase, uint64_t call, std::string_view name, double at, const std::string& args = {});
  void Flow(char phase, uint64_t call, const Track& track);
  void NameProcess(uint64_t process, std::string_view name);
  void NameThread(const Track& track, std::string_view name);
  void EndQueue(uint64_t id, CallState& call);
  ContainerState* RunningIn(uint64_t call);
  uint64_t Lane(ContainerState& container, uint64_t id, const wire::ActivityRecord& record);

  const Sink sink_;
  const std::function<Clock::time_point()> now_;
  const Clock::time_point began_;
  std::optional<double> stopped_at_;
  bool first_ = true;
  bool repartitions_named_ = false;
  std::map<uint64_t, CallState> calls_;
  std::vector<PartitionState> partitions_;
  std::map<uint64_t, ContainerState> containers_;
};

}  // namespace mignificient::node
