#include "remoting/server/connection.h"

#include <sys/prctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>

#include "os/cpus.h"
#include "os/futex.h"
#include "os/socket.h"

#include "gen/commands.h"

namespace mignificient::server {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::nanoseconds;

// How long an idle dispatcher looks before it sleeps: for commands, and for the end of work on the device; where there
// are processors to spare, longer, for waking takes tens of microseconds.
constexpr nanoseconds kSpin{100'000}, kSpinToSpare{400'000}, kDeviceSpinToSpare{1'000'000};
constexpr int kPollsPerSpan = 64;  // of work on the device, the more seldom the longer it takes
constexpr nanoseconds kShortestPoll{10'000};
constexpr nanoseconds kLongestPoll{500'000};
// A client that waits as it should has one per reply slot, chunk, fence and retired stream at most.
constexpr size_t kMostWaits = wire::kSlots + wire::kStagingChunks + wire::kMaxFences + 256;
constexpr uint32_t kObjectLimit = 65536;
constexpr uint32_t kKernelLimit = 1 << 20;

// Addresses far from where Linux places mappings of its own, so that client and server can both have them: windows for
// wire::kMostChannels.
constexpr uint64_t kDeviceWindows = uint64_t{0x1100} << 32, kDeviceSpacing = uint64_t{1} << 40;  // from 17 TiB
constexpr uint64_t kHostWindows = uint64_t{0x3100} << 32, kHostWindowBytes = uint64_t{1} << 39;  // from 49 TiB
static_assert(wire::kMostChannels * kDeviceSpacing <= kHostWindows - kDeviceWindows);

// Fragmentation of addresses costs nothing; memory is bounded by the budget. Programs that map memory themselves
// reserve more addresses than there is memory, several times over (PyTorch: per stream and pool); the rest needs
// little.
constexpr uint64_t kWindowsPerBudget = 12, kLeastWindowsPerBudget = 4;
uint64_t WindowBytes(uint64_t budget, uint64_t times) {
  constexpr uint64_t kUnit = uint64_t{1} << 30, kLeast = 4 * kUnit, kMost = kDeviceSpacing - kUnit;
  return std::clamp((budget * times + kUnit - 1) / kUnit * kUnit, kLeast, kMost);
}

bool IsSticky(CUresult result) {
  switch (result) {
    case CUDA_ERROR_ECC_UNCORRECTABLE:
    case CUDA_ERROR_ILLEGAL_ADDRESS:
    case CUDA_ERROR_LAUNCH_TIMEOUT:
    case CUDA_ERROR_CONTEXT_IS_DESTROYED:
    case CUDA_ERROR_ASSERT:
    case CUDA_ERROR_HARDWARE_STACK_ERROR:
    case CUDA_ERROR_ILLEGAL_INSTRUCTION:
    case CUDA_ERROR_MISALIGNED_ADDRESS:
    case CUDA_ERROR_INVALID_ADDRESS_SPACE:
    case CUDA_ERROR_INVALID_PC:
    case CUDA_ERROR_LAUNCH_FAILED:
      return true;
    default:
      return false;
  }
}

}  // namespace

Result<std::unique_ptr<Connection>> Connection::Accept(const Device& device, std::shared_ptr<Session> session,
                                                       os::UniqueFd socket, Options options,
                                                       std::function<void()> notify) {
  MIG_ASSIGN(os::UniqueFd region_fd, os::CreateSealedMemory("mignificient-channel", wire::kRegionBytes));
  MIG_ASSIGN(os::Mapping region, os::Mapping::Create(region_fd.get(), wire::kRegionBytes));
  const uint64_t near = kDeviceWindows + options.ordinal * kDeviceSpacing;
  auto wide = Window::Reserve(device, *session, WindowBytes(session->budget_bytes, kWindowsPerBudget), near);
  if (!wide) wide = Window::Reserve(device, *session, WindowBytes(session->budget_bytes, kLeastWindowsPerBudget), near);
  MIG_ASSIGN(auto window, std::move(wide));
  // DMA reaches reply slots, and staging chunks once they are used; the ring is only read by the dispatcher.
  const CUresult registered = device.driver->cuMemHostRegister_v2(region.data() + wire::kReplyOffset,
                                                                  wire::kChunkOffset - wire::kReplyOffset, 0);
  if (registered != CUDA_SUCCESS)
    return Fail(Code::kExhausted, "Registering the reply slots fails with {}.", static_cast<unsigned>(registered));
  wire::Welcome welcome;
  welcome.asymmetric_barrier = options.asymmetric_barrier;
  welcome.region_bytes = wire::kRegionBytes;
  welcome.window_base = window->base();
  welcome.window_bytes = window->bytes();
  welcome.granule_bytes = device.granule_bytes;
  welcome.budget_bytes = session->budget_bytes;
  welcome.host_window_base = kHostWindows + options.ordinal * kHostWindowBytes;
  welcome.host_window_bytes = kHostWindowBytes;
  welcome.device = device.info;
  welcome.device.total_bytes = session->budget_bytes;
  reinterpret_cast<wire::RegionHeader*>(region.data())->shared.store(options.shared, std::memory_order_relaxed);
  const int fd = region_fd.get();
  // From now on it only brings descriptors, each before the command that names it: there is nothing to wait for.
  MIG_TRY(os::SetNonBlocking(socket.get(), true));
  MIG_TRY(os::SendPacket(socket.get(), std::as_bytes(std::span(&welcome, 1)), std::span(&fd, 1)));
  const auto barrier = options.asymmetric_barrier ? ring::Barrier::kAsymmetric : ring::Barrier::kSymmetric;
  std::unique_ptr<Connection> connection(new Connection(
      device, std::move(session), std::move(socket), std::move(region), std::move(window), barrier, std::move(notify)));
  connection->shared_ = options.shared;
  if (ActivityLog* log = connection->session_->activity.get())
    connection->activity_ = std::make_unique<Activity>(*device.driver, *log, options.ordinal);
  connection->thread_ = std::thread([self = connection.get()] { self->Run(); });
  return connection;
}

Connection::Connection(const Device& device, std::shared_ptr<Session> session, os::UniqueFd socket, os::Mapping region,
                       std::unique_ptr<Window> window, ring::Barrier barrier, std::function<void()> notify)
    : device_(device),
      session_(std::move(session)),
      socket_(std::move(socket)),
      region_(std::move(region)),
      window_(std::move(window)),
      notify_(std::move(notify)),
      consumer_(header().ring, region_.bytes().subspan(wire::kRingOffset, wire::kRingBytes), wire::kMaxCommandBytes,
                barrier),
      staging_(*device.driver, region_.data() + wire::kChunkOffset),
      waits_(*device.driver, device.marks.get()),
      host_calls_(header().host_calls),
      streams_(wire::HandleKind::kStream, kObjectLimit),
      events_(wire::HandleKind::kEvent, kObjectLimit),
      modules_(wire::HandleKind::kModule, kObjectLimit),
      libraries_(wire::HandleKind::kLibrary, kObjectLimit),
      arrays_(wire::HandleKind::kArray, kObjectLimit),
      mipmapped_arrays_(wire::HandleKind::kMipmappedArray, kObjectLimit),
      allocations_(wire::HandleKind::kAllocation, kObjectLimit),
      graph_execs_(wire::HandleKind::kGraphExec, kObjectLimit),
      links_(wire::HandleKind::kLink, kObjectLimit),
      kernels_(wire::HandleKind::kFunction, kKernelLimit),
      held_turn_(session_->held_turn.load(std::memory_order_acquire)) {}

Connection::~Connection() {
  Stop();
  if (thread_.joinable()) thread_.join();
}

void Connection::Stop() {
  stop_.store(true, std::memory_order_release);
  host_calls_.Close();  // the dispatcher may be waiting for a stream in which one is to run
  attention_.fetch_add(1, std::memory_order_release);
  os::FutexWakeAll(attention_);
}

void Connection::RequestDrain(Drain drain) {
  drain_.store(drain, std::memory_order_release);
  attention_.fetch_add(1, std::memory_order_release);
  os::FutexWakeAll(attention_);
}

// --- The dispatcher
// ---------------------------------------------------------------------------------------------------

void Connection::Run() {
  ::prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
  if (const CUresult result = driver().cuCtxSetCurrent(device_.context); result != CUDA_SUCCESS) {
    End(wire::SessionEnd::kDeviceError,
        fmt::format("Making the context current fails with {}.", static_cast<unsigned>(result)));
  } else {
    // What a capture forbids is for the program's threads to obey, not for this one.
    int mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    driver().cuThreadExchangeStreamCaptureMode(&mode);
    if (device_.shared) MakeOwnLegacyStream();
    if (device_.launch_lanes)
      lanes_ = std::make_unique<LaunchLanes>(driver(), device_.context, [this](CUresult error) { Defer(error); });
    do {
      seen_attention_ = attention_.load(std::memory_order_acquire);
    } while (!stop_.load(std::memory_order_acquire) && Step());
  }
  TearDown();
  ended_.store(true);
  EndSettle();
  notify_();
}

bool Connection::Step() {
  ServeDrain();
  ServeSettle();
  command_position_ = consumer_.position();
  auto record = consumer_.Next();
  if (!record) return Misuse(record.error().message());
  if (!*record) return Idle();
  consumer_.Release();
  worked_ = true;
  if (activity_ != nullptr && !MayContinueActivity((*record)->opcode)) activity_->Close();
  if (!Dispatch(**record)) return false;
  if (activity_ != nullptr) activity_->AfterCommand();
  PollWaits(consumer_.SeesMore() ? Waits::Look::kGlance : Waits::Look::kSpin);
  return waits_.size() <= kMostWaits || Misuse(fmt::format("More than {} waits are pending.", kMostWaits));
}

bool Connection::Idle() {
  if (activity_ != nullptr) {
    activity_->Close();
    activity_->Poll();
  }
  PollWaits(spins_ ? Waits::Look::kSpin : Waits::Look::kSlept);
  const auto now = Clock::now();
  if (std::exchange(worked_, false)) idle_since_ = now;
  const nanoseconds idle_for = now - idle_since_;
  if (idle_for > std::chrono::microseconds(1)) waits_.NoteTimePassed();
  spins_ = idle_for < SpinTime();
  if (spins_)
    SpinFor(idle_for);
  else
    Sleep(idle_for);
  return true;
}

// Less often the longer nothing comes: who shares the processor's core has the use of it meanwhile.
void Connection::SpinFor(nanoseconds idle_for) {
  constexpr nanoseconds kSoon{20'000};
  constexpr int kPausesLater = 8;  // some 0.3 us
  constexpr int kLooks = 8;        // at waits, which end soon: without all else that a step does
  if (waits_.empty()) {
    for (int i = 0; i < (idle_for < kSoon ? 1 : kPausesLater); ++i) os::SpinPause();
    return;
  }
  for (int i = 0; i < kLooks && !worked_ && consumer_.published() == consumer_.position(); ++i) {
    os::SpinPause();
    PollWaits(Waits::Look::kSpin);
  }
}

nanoseconds Connection::SpinTime() const {
  if (!os::CpusToSpare()) return kSpin;
  return waits_.empty() ? kSpinToSpare : kDeviceSpinToSpare;
}

// With processors to spare it wakes when the gate opens, too: the first command of an invocation finds it awake.
void Connection::Sleep(nanoseconds idle_for) {
  const uint32_t gate_word = session_->gate.word().load(std::memory_order_acquire);
  if (!consumer_.PrepareSleep()) return;
  // What was asked for since this step began has changed attention_, and is not slept over.
  const os::FutexExpectation words[] = {
      {&consumer_.sleep_word(), 1}, {&attention_, seen_attention_}, {&session_->gate.word(), gate_word}};
  std::optional<nanoseconds> timeout;
  // Work on the device does not wake us, so look again, less often the longer it takes.
  if (!waits_.empty() || Draining()) timeout = std::clamp(idle_for / kPollsPerSpan, kShortestPoll, kLongestPoll);
  os::FutexWaitAny(std::span(words).first(os::CpusToSpare() ? 3 : 2), timeout);
  consumer_.CancelSleep();
  if (const uint32_t now = session_->gate.word().load(std::memory_order_acquire); now != gate_word)
    idle_since_ = GateOpen(now, GateClass::kCopy) ? Clock::now() : idle_since_;
}

void Connection::PollWaits(Waits::Look look) {
  if (waits_.empty()) return;
  if (waits_.Poll(look, [this](CUresult error) { NoteSticky(error); })) worked_ = true;
  // Asked now, the driver might say that the stream is writing the mark.
  if (const auto idle = waits_.TakeIdle()) std::erase(busy_, *idle);
}

// The dispatcher itself holds the gate, so nothing can pass between the end of a drain and the owner's hearing of it.
void Connection::ServeDrain() {
  const Drain drain = drain_.load(std::memory_order_acquire);
  if (drain.tag == drained_tag_.load(std::memory_order_relaxed)) return;
  if (lanes_ != nullptr) lanes_->Join();  // what is in them has not been issued
  const auto hold = static_cast<wire::Hold>(drain.hold);
  if (std::exchange(serving_tag_, drain.tag) != drain.tag) {
    drain_position_ = consumer_.published();
    // What an earlier drain held back counts as issued, unless the owner has set the gate since.
    if (hold == wire::Hold::kIssued) held_turn_ = 0;
  }
  if (hold == wire::Hold::kIssued && CarriedOut() < *drain_position_) return;
  // Who waits at the gate starts nothing.
  if (hold == wire::Hold::kIdle && !at_gate_ && !IdleFor(std::chrono::microseconds(drain.idle_us))) return;
  held_turn_ = wire::GateTurnOf(session_->gate.word().load(std::memory_order_acquire));
  if (!QuietNow()) return;
  drained_tag_.store(drain.tag, std::memory_order_release);
  notify_();
}

// Everything before it has been given to the driver: a command that waits at the gate has not.
uint64_t Connection::CarriedOut() const {
  return at_gate_ ? command_position_ : consumer_.position();
}

bool Connection::IdleFor(nanoseconds duration) {
  return !worked_ && waits_.empty() && consumer_.published() == consumer_.position() &&
         Clock::now() - idle_since_ >= duration && BusyStreams().empty();
}

void Connection::TearDown() {
  if (lanes_ != nullptr) lanes_->Join();
  lanes_.reset();
  waits_.Abandon(CUDA_ERROR_DEVICE_UNAVAILABLE);
  host_calls_.Close();
  Quiesce();
  if (activity_ != nullptr) activity_->Finish();
  activity_.reset();
  BecomeQuiet();
  DestroyJoining();
  streams_.RemoveIf([this](CUstream stream) { return driver().cuStreamDestroy_v2(stream), true; });
  if (keeper_ != nullptr) driver().cuStreamDestroy_v2(keeper_);
  if (legacy_ != nullptr) driver().cuStreamDestroy_v2(legacy_);
  for (const CUstream stream : retired_) driver().cuStreamDestroy_v2(stream);
  events_.RemoveIf([this](CUevent event) { return driver().cuEventDestroy_v2(event), true; });
  DestroyArrays();
  DestroyLinks();
  graph_execs_.RemoveIf([this](CUgraphExec exec) { return driver().cuGraphExecDestroy(exec), true; });
  graphs_.ForEachRoot([this](CUgraph graph) { driver().cuGraphDestroy(graph); });
  for (const auto& [graph, bytes] : graph_bytes_) session_->mapped_bytes.fetch_sub(bytes, std::memory_order_relaxed);
  kernels_.RemoveIf([](Kernel&) { return true; });
  modules_.RemoveIf([this](CUmodule module) { return driver().cuModuleUnload(module), true; });
  libraries_.RemoveIf([this](Library& library) { return driver().cuLibraryUnload(library.library), true; });
  while (!pinned_.empty()) Unpin(pinned_.begin()->first);
  allocations_.RemoveIf([](const std::shared_ptr<Physical>&) { return true; });
  window_.reset();
  staging_.UnpinAll();
  driver().cuMemHostUnregister(region_.data() + wire::kReplyOffset);
  // The hang-up tells a client that still waits; what it waits for in the region has been answered above.
  // The descriptor stays until the connection goes: the control thread may be about to poll it.
  ::shutdown(socket_.get(), SHUT_RDWR);
}

// Other commands may begin a capture or end a stream, in which nothing must be recorded any more.
bool Connection::MayContinueActivity(uint16_t opcode) {
  const auto command = static_cast<wire::Command>(opcode);
  return opcode >= wire::kFirstGeneratedOpcode || command == wire::Command::kLaunch ||
         (command >= wire::Command::kCopyInline && command <= wire::Command::kCopyToHost);
}

bool Connection::Dispatch(const ring::Record& record) {
  const uint16_t slot = record.reply_slot;
  if (slot != wire::kNoReply && slot >= wire::kSlots)
    return Misuse(fmt::format("Slot ({}) is not below {}.", slot, wire::kSlots));
  if (lanes_ != nullptr && record.opcode != static_cast<uint16_t>(wire::Command::kLaunch)) lanes_->Join();
  if (record.opcode >= wire::kFirstGeneratedOpcode) {
    waits_.Pin();
    return DispatchGenerated(record.opcode, slot, record.body);
  }
  const auto command = static_cast<wire::Command>(record.opcode);
  if (command >= wire::Command::kMapExtent && command <= wire::Command::kUnpinHost)
    return DispatchMemory(command, slot, record.body);
  if (command >= wire::Command::kCopyInline && command <= wire::Command::kCopyToHost)
    return DispatchCopy(command, slot, record.body);
  if (command >= wire::Command::kLoadModule && command <= wire::Command::kLinkDestroy)
    return DispatchCode(command, slot, record.body);
  if (command == wire::Command::kLaunch) return Launch(slot, record.body);
  if (command >= wire::Command::kStreamCreate && command <= wire::Command::kHostFunction)
    return DispatchStream(command, slot, record.body);
  if (command >= wire::Command::kCaptureBegin && command <= wire::Command::kHostCallsEnded)
    return DispatchGraph(command, slot, record.body);
  if (command >= wire::Command::kCopy3D && command <= wire::Command::kTensorMap)
    return DispatchArray(command, slot, record.body);
  return Misuse(fmt::format("Opcode ({}) is unknown.", record.opcode));
}

// --- The gate
// ---------------------------------------------------------------------------------------------------------

bool Connection::GateOpen(uint32_t gate_word, GateClass gate_class) const {
  const wire::GateState state = wire::GateStateOf(gate_word);
  return (state == wire::GateState::kFull || (state == wire::GateState::kMemcpy && gate_class == GateClass::kCopy)) &&
         wire::GateTurnOf(gate_word) != held_turn_;
}

bool Connection::PassGate(GateClass gate_class) {
  (gate_class == GateClass::kKernel ? session_->kernels : session_->copies).fetch_add(1, std::memory_order_relaxed);
  BecomeBusy();
  for (;;) {
    const uint32_t gate_word = session_->gate.page().Look();
    if (GateOpen(gate_word, gate_class)) return true;
    const uint32_t attention = attention_.load(std::memory_order_acquire);
    if (stop_.load(std::memory_order_acquire)) return false;
    PollWaits(Waits::Look::kSlept);
    if (activity_ != nullptr) activity_->Close();
    at_gate_ = true;
    ServeDrain();
    at_gate_ = false;
    if (GateOpen(gate_word, gate_class)) continue;  // a drain let go what an earlier one had held
    ReportWaiting(gate_word);
    const os::FutexExpectation words[] = {{&session_->gate.word(), gate_word}, {&attention_, attention}};
    os::FutexWaitAny(words, waits_.empty() && !Draining() ? std::nullopt : std::optional(kLongestPoll));
  }
}

// Once for each state of the gate, whichever connection of the session comes first.
void Connection::ReportWaiting(uint32_t gate_word) {
  if (session_->waiting_word.exchange(gate_word, std::memory_order_acq_rel) != gate_word) notify_();
}

void Connection::BecomeBusy() {
  if (std::exchange(busy_counted_, true)) return;
  session_->gate.page().BecomeBusy();
}

void Connection::BecomeQuiet() {
  if (!std::exchange(busy_counted_, false)) return;
  session_->gate.page().BecomeQuiet();
}

// A command that waits at the gate stays counted: it is under way to the driver.
bool Connection::QuietNow() {
  if (!BusyStreams().empty()) return false;
  if (activity_ != nullptr) activity_->Finish();  // the owner reads it when it knows that all is over
  if (!at_gate_) BecomeQuiet();
  return true;
}

// --- Answering
// --------------------------------------------------------------------------------------------------------

void Connection::Answer(uint16_t slot, CUresult result, std::span<const std::byte> reply) {
  if (slot == wire::kNoReply) return Defer(result);
  NoteSticky(result);
  // A client that names a slot without bytes does not want them.
  if (result == CUDA_SUCCESS && !reply.empty() && slot < wire::kReplySlots)
    std::memcpy(reply_data(slot), reply.data(), reply.size());
  header().replies[slot].Finish(result);
}

void Connection::Defer(CUresult result) {
  if (result == CUDA_SUCCESS) return;
  NoteSticky(result);
  uint32_t none = 0;
  header().deferred_error.compare_exchange_strong(none, result, std::memory_order_relaxed);
}

void Connection::NoteSticky(CUresult result) {
  if (IsSticky(result)) header().deferred_error.store(result | wire::kDeferredSticky, std::memory_order_relaxed);
  NoteDeviceError(result);
}

void Connection::NoteDeviceError(CUresult result) {
  uint32_t none = 0;
  if (!IsSticky(result) || !session_->device_error.compare_exchange_strong(none, result)) return;
  session_->gate.in_flight().fetch_or(wire::kTroubled, std::memory_order_release);
  notify_();
}

bool Connection::Misuse(std::string reason) {
  return End(wire::SessionEnd::kMisuse, std::move(reason));
}

bool Connection::End(wire::SessionEnd reason, std::string text) {
  end_ = {reason, std::move(text)};
  session_->gate.in_flight().fetch_or(wire::kTroubled, std::memory_order_release);
  const CUresult error = reason == wire::SessionEnd::kOutOfMemory ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_UNKNOWN;
  header().deferred_error.store(error | wire::kDeferredSticky, std::memory_order_relaxed);
  return false;
}

// NOLINTNEXTLINE(readability-function-size,readability-function-cognitive-complexity): nearly all of it is generated
bool Connection::DispatchGenerated(uint16_t opcode, uint16_t slot, std::span<const std::byte> body) {
  if (opcode == wire::api::cuGraphLaunch::kOpcode) {
    waits_.NoteNewKernels();
    if (!capturing_.empty()) NoteCapturedLaunch(body);
  }
  switch (opcode) {
#include "gen/server_dispatch.inc"
    default:
      return Misuse(fmt::format("Opcode ({}) is unknown.", opcode));
  }
}

}  // namespace mignificient::server
