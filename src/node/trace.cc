#include "node/trace.h"

#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>

#include "base/utf8.h"

namespace mignificient::node {
namespace {

using Weight = TraceFile::Weight;

// Processes and threads of the trace. Threads are numbered across processes, for viewers that do not look at both.
constexpr uint64_t kHttp = 1, kFirstPartition = 2;
constexpr uint64_t kArrivals = 1, kAnswers = 2, kRepartitions = 3, kFirstOwner = 10;
constexpr uint64_t kThreadsPerContainer = 1000, kLife = 0, kGate = 1, kInvocation = 2, kFirstLane = 10;
constexpr uint64_t kLanes = (kThreadsPerContainer - kFirstLane) / 2;  // each with a track of copies and one of kernels
constexpr uint32_t kExecDepth = 2;  // of an invocation's track within exec: deeper lies what happens in it
constexpr double kMomentUs = 1;     // so that it can be seen and clicked at

std::string Quoted(std::string_view text) {
  return boost::json::serialize(boost::json::string(ValidUtf8(text)));
}

template <typename T>
std::string Arg(std::string_view key, const T& value) {
  if constexpr (std::is_arithmetic_v<T>)
    return fmt::format("\"{}\":{}", key, value);
  else
    return fmt::format("\"{}\":{}", key, Quoted(value));
}

template <typename... Rest>
std::string Args(const std::string& first, const Rest&... rest) {
  std::string all = first;
  ((all += "," + rest), ...);
  return all;
}

std::string Tail(const std::string& args) {
  return args.empty() ? "}" : fmt::format(",\"args\":{{{}}}}}", args);
}

std::string_view GateName(wire::GateState state) {
  switch (state) {
    case wire::GateState::kLocked:
      return "Locked";
    case wire::GateState::kCpuOnly:
      return "CpuOnly";
    case wire::GateState::kMemcpy:
      return "Memcpy";
    case wire::GateState::kFull:
      return "Full";
  }
  return "unknown";
}

std::string NameOf(const wire::ActivityRecord& record) {
  const std::string_view given(record.name, ::strnlen(record.name, sizeof record.name));
  std::string name(given.empty() ? wire::ActivityName(record.kind) : given);
  if (record.commands > 1) name += fmt::format(" (+{})", record.commands - 1);
  return name;
}

}  // namespace

Trace::Trace(Sink sink, std::function<Clock::time_point()> now)
    : sink_(std::move(sink)), now_(std::move(now)), began_(now_()) {
  NameProcess(kHttp, "HTTP");
  NameThread({kHttp, kArrivals}, "arrivals");
  NameThread({kHttp, kAnswers}, "answers");
}

Result<std::unique_ptr<Trace>> Trace::Open(const std::string& path, uint64_t limit_bytes) {
  MIG_ASSIGN(std::shared_ptr<TraceFile> file, TraceFile::Create(path, limit_bytes));
  return std::make_unique<Trace>([file](std::string_view text, Weight weight) { return file->Append(text, weight); },
                                 [] { return Clock::now(); });
}

Trace::~Trace() {
  sink_(first_ ? "[]\n" : "\n]\n", Weight::kOwed);
}

double Trace::At(Clock::time_point time) const {
  return std::chrono::duration<double, std::micro>(time - began_).count();
}

bool Trace::Write(std::string_view event, Weight weight) {
  if (!sink_(fmt::format("{}{}", first_ ? "[\n" : ",\n", event), weight)) return false;
  first_ = false;
  return true;
}

void Trace::NameProcess(uint64_t process, std::string_view name) {
  Write(fmt::format(R"({{"ph":"M","pid":{},"name":"process_name","args":{{"name":{}}}}})", process, Quoted(name)),
        Weight::kOwed);
  Write(fmt::format(R"({{"ph":"M","pid":{0},"name":"process_sort_index","args":{{"sort_index":{0}}}}})", process),
        Weight::kOwed);
}

void Trace::NameThread(const Track& track, std::string_view name) {
  Write(fmt::format(R"({{"ph":"M","pid":{},"tid":{},"name":"thread_name","args":{{"name":{}}}}})", track.process,
                    track.thread, Quoted(name)),
        Weight::kOwed);
  Write(fmt::format(R"({{"ph":"M","pid":{},"tid":{},"name":"thread_sort_index","args":{{"sort_index":{}}}}})",
                    track.process, track.thread, track.thread),
        Weight::kOwed);
}

void Trace::Begin(Track& track, double at, std::string_view category, std::string_view name, const std::string& args) {
  if (track.dropped > 0 || !Write(fmt::format(R"({{"ph":"B","pid":{},"tid":{},"ts":{:.3f},"cat":"{}","name":{}{})",
                                              track.process, track.thread, at, category, Quoted(name), Tail(args)),
                                  Weight::kOptional))
    ++track.dropped;
  else
    ++track.open;
}

void Trace::End(Track& track, double at, uint32_t depth) {
  while (track.open + track.dropped > depth) {
    if (track.dropped > 0) {
      --track.dropped;
      continue;
    }
    --track.open;
    Write(fmt::format(R"({{"ph":"E","pid":{},"tid":{},"ts":{:.3f}}})", track.process, track.thread, at), Weight::kOwed);
  }
}

void Trace::Instant(const Track& track, std::string_view category, std::string_view name, const std::string& args) {
  Write(fmt::format(R"({{"ph":"i","s":"t","pid":{},"tid":{},"ts":{:.3f},"cat":"{}","name":{}{})", track.process,
                    track.thread, Now(), category, Quoted(name), Tail(args)),
        Weight::kOptional);
}

void Trace::Moment(uint64_t thread, std::string_view category, std::string_view name, const std::string& args) {
  Write(fmt::format(R"({{"ph":"X","pid":{},"tid":{},"ts":{:.3f},"dur":{},"cat":"{}","name":{}{})", kHttp, thread, Now(),
                    kMomentUs, category, Quoted(name), Tail(args)),
        Weight::kOptional);
}

bool Trace::Async(char phase, uint64_t call, std::string_view name, double at, const std::string& args) {
  return Write(fmt::format(R"({{"ph":"{}","pid":{},"tid":{},"id":{},"ts":{:.3f},"cat":"call","name":{}{})", phase,
                           kHttp, kArrivals, call, at, Quoted(name), Tail(args)),
               phase == 'e' ? Weight::kOwed : Weight::kOptional);
}

// An arrow from slice to slice; it is bound to those that enclose its ends.
void Trace::Flow(char phase, uint64_t call, const Track& track) {
  Write(fmt::format(R"({{"ph":"{}","bp":"e","pid":{},"tid":{},"id":{},"ts":{:.3f},"cat":"flow","name":"call"}})", phase,
                    track.process, track.thread, call, Now()),
        Weight::kOptional);
}

void Trace::Repartitioned(std::string_view gpu, Clock::time_point began, std::string_view what) {
  if (!std::exchange(repartitions_named_, true)) NameThread({kHttp, kRepartitions}, "repartitions");
  Write(fmt::format(R"({{"ph":"X","pid":{},"tid":{},"ts":{:.3f},"dur":{:.3f},"cat":"repartition","name":{}{})", kHttp,
                    kRepartitions, At(began), Now() - At(began), Quoted(gpu), Tail(Arg("what", what))),
        Weight::kOptional);
}

void Trace::Partition(size_t partition, std::string_view name, std::string_view model) {
  if (partitions_.size() <= partition) partitions_.resize(partition + 1);
  const uint64_t process = kFirstPartition + partition;
  partitions_[partition].owner = {process, kFirstOwner + partition};
  NameProcess(process, name);
  Write(fmt::format(R"({{"ph":"M","pid":{},"name":"process_labels","args":{{"labels":{}}}}})", process, Quoted(model)),
        Weight::kOwed);
  NameThread(partitions_[partition].owner, "owner");
}

// --- A call
// -----------------------------------------------------------------------------------------------------------

void Trace::Arrived(uint64_t call, const Request& request) {
  CallState& state = calls_[call] = {request.call_id, request.user, request.function};
  const std::string args = Args(Arg("call", call), Arg("id", state.id), Arg("user", state.user));
  Moment(kArrivals, "arrival", state.function, args);
  Flow('s', call, {kHttp, kArrivals});
  state.shown = Async('b', call, state.function, At(request.accepted), args);
  state.queued = Async('b', call, "queue", At(request.accepted));
}

void Trace::Refused(const Request& request, std::string_view why) {
  Moment(kAnswers, "refusal", request.function,
         Args(Arg("id", request.call_id), Arg("user", request.user), Arg("error", why)));
}

void Trace::EndQueue(uint64_t id, CallState& call) {
  if (std::exchange(call.queued, false)) Async('e', id, "queue", Now());
}

void Trace::Runs(uint64_t call, uint64_t container) {
  const auto state = calls_.find(call);
  const auto in = containers_.find(container);
  if (state == calls_.end() || in == containers_.end()) return;
  state->second.container = container;
  EndQueue(call, state->second);
  Track& track = in->second.invocation;
  const double now = Now();
  End(track, now);
  Begin(track, now, "invocation", state->second.function,
        Args(Arg("call", call), Arg("id", state->second.id), Arg("user", state->second.user)));
  Begin(track, now, "exec", "exec", Arg("call", call));
  Flow('t', call, track);
}

Trace::ContainerState* Trace::RunningIn(uint64_t call) {
  const auto state = calls_.find(call);
  const auto in = state == calls_.end() ? containers_.end() : containers_.find(state->second.container);
  return in == containers_.end() ? nullptr : &in->second;
}

void Trace::Yields(uint64_t call) {
  ContainerState* container = RunningIn(call);
  if (container == nullptr) return;
  Track& track = container->invocation;
  if (track.open + track.dropped == kExecDepth) Begin(track, Now(), "yield", "yielded", Arg("call", call));
}

void Trace::Resumes(uint64_t call) {
  if (ContainerState* container = RunningIn(call)) End(container->invocation, Now(), kExecDepth);
}

void Trace::Returned(uint64_t call) {
  ContainerState* container = RunningIn(call);
  if (container == nullptr) return;
  const double now = Now();
  End(container->invocation, now, 1);
  Begin(container->invocation, now, "drain", "drain", Arg("call", call));
}

void Trace::Drained(uint64_t call) {
  if (ContainerState* container = RunningIn(call)) End(container->invocation, Now());
}

void Trace::Answered(uint64_t call, std::string_view error) {
  const auto found = calls_.find(call);
  if (found == calls_.end()) return;
  Drained(call);
  CallState& state = found->second;
  const std::string args =
      error.empty() ? Arg("call", call) : Args(Arg("call", call), Arg("error", error.substr(0, error.find('\n'))));
  Moment(kAnswers, "answer", state.function, args);
  Flow('f', call, {kHttp, kAnswers});
  EndQueue(call, state);
  if (state.shown) Async('e', call, state.function, Now());
  calls_.erase(found);
}

// --- A partition
// ------------------------------------------------------------------------------------------------------

void Trace::Owns(size_t partition, uint64_t call, uint64_t container) {
  if (partition >= partitions_.size()) return;
  const auto state = calls_.find(call);
  const auto in = containers_.find(container);
  if (state == calls_.end() || in == containers_.end()) return;
  Track& track = partitions_[partition].owner;
  const double now = Now();
  End(track, now);
  Begin(track, now, "owner", fmt::format("{} {} #{}", state->second.function, in->second.name, call),
        Args(Arg("call", call), Arg("function", state->second.function), Arg("container", in->second.name)));
}

void Trace::Disowned(size_t partition) {
  if (partition < partitions_.size()) End(partitions_[partition].owner, Now());
}

// --- A container
// ------------------------------------------------------------------------------------------------------

void Trace::Starting(uint64_t container, size_t partition, const ContainerSpec& spec) {
  ContainerState& state = containers_[container];
  state.name = spec.id;
  state.partition = partition;
  const uint64_t process = kFirstPartition + partition, first = container * kThreadsPerContainer;
  state.life = {process, first + kLife};
  state.gate = {process, first + kGate};
  state.invocation = {process, first + kInvocation};
  NameThread(state.life, fmt::format("{} {}", spec.id, spec.function));
  NameThread(state.gate, fmt::format("{} gate", spec.id));
  NameThread(state.invocation, fmt::format("{} invocation", spec.id));
  Begin(state.life, Now(), "container", "starting",
        Args(Arg("container", spec.id), Arg("user", spec.user), Arg("function", spec.function),
             Arg("gpu_memory_mib", spec.gpu_memory_mib)));
  Gate(container, wire::GateState::kLocked);
}

void Trace::Started(uint64_t container) {
  if (const auto found = containers_.find(container); found != containers_.end()) End(found->second.life, Now());
}

void Trace::Gate(uint64_t container, wire::GateState state) {
  const auto found = containers_.find(container);
  if (found == containers_.end() || found->second.gate_state == state) return;
  found->second.gate_state = state;
  const double now = Now();
  End(found->second.gate, now);
  Begin(found->second.gate, now, "gate", GateName(state));
}

uint64_t Trace::Lane(ContainerState& container, uint64_t id, const wire::ActivityRecord& record) {
  const auto [found, fresh] =
      container.lanes.try_emplace({record.connection, record.stream}, container.lanes.size() % kLanes);
  const uint64_t lane = found->second;
  const uint64_t copies = id * kThreadsPerContainer + kFirstLane + 2 * lane;
  if (fresh && container.lanes.size() <= kLanes) {
    std::string which = record.stream == 0 ? "" : fmt::format(" stream {}", record.stream);
    if (record.connection != 0) which += fmt::format(" process {}", record.connection);
    NameThread({container.life.process, copies}, fmt::format("{} copies{}", container.name, which));
    NameThread({container.life.process, copies + 1}, fmt::format("{} kernels{}", container.name, which));
  }
  return copies + (wire::IsCopy(record.kind) ? 0 : 1);
}

void Trace::Did(uint64_t container, const wire::ActivityRecord& record) {
  const auto found = containers_.find(container);
  if (found == containers_.end()) return;
  const auto time = [&](uint64_t ns) { return At(Clock::time_point(std::chrono::nanoseconds(ns))); };
  const double start = time(record.start_ns), end = time(record.end_ns);
  std::string args = Args(Arg("container", found->second.name), Arg("commands", record.commands));
  if (record.bytes != 0) args = Args(args, Arg("bytes", record.bytes));
  if (record.blocks != 0) args = Args(args, Arg("blocks", record.blocks));
  Write(fmt::format(R"({{"ph":"X","pid":{},"tid":{},"ts":{:.3f},"dur":{:.3f},"cat":"{}","name":{}{})",
                    found->second.life.process, Lane(found->second, container, record), start, end - start,
                    wire::IsCopy(record.kind) ? "copy" : "kernel", Quoted(NameOf(record)), Tail(args)),
        Weight::kOptional);
}

void Trace::Lost(uint64_t container, uint64_t records) {
  const auto found = containers_.find(container);
  if (found != containers_.end() && records != 0)
    Instant(found->second.life, "lost", "activity lost", Arg("records", records));
}

void Trace::Ending(uint64_t container, std::string_view why) {
  const auto found = containers_.find(container);
  if (found == containers_.end()) return;
  const double now = Now();
  End(found->second.life, now);
  Begin(found->second.life, now, "container", "ending", Args(Arg("container", found->second.name), Arg("reason", why)));
}

void Trace::Gone(uint64_t container) {
  const auto found = containers_.find(container);
  if (found == containers_.end()) return;
  for (Track* track : {&found->second.life, &found->second.gate, &found->second.invocation}) End(*track, Now());
  containers_.erase(found);
}

}  // namespace mignificient::node
