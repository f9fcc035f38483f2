// One client process attached to a session: its region, objects and memory, and the thread that carries out its
// commands in order. Everything the client wrote is hostile until checked; misuse ends this connection and its session,
// with a reason, and touches nobody else.
//
// Threads: the dispatcher thread owns all state. Stop, RequestDrain and the queries at the top may be called from the
// control thread.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "os/mapping.h"
#include "os/unique_fd.h"
#include "remoting/server/graph_calls.h"
#include "remoting/server/graph_names.h"
#include "remoting/server/handles.h"
#include "remoting/server/host_calls.h"
#include "remoting/server/jit.h"
#include "remoting/server/launch_lanes.h"
#include "remoting/server/session.h"
#include "remoting/server/staging_pins.h"
#include "remoting/server/waits.h"
#include "remoting/server/window.h"
#include "remoting/wire/array.h"
#include "remoting/wire/commands.h"
#include "remoting/wire/graph.h"
#include "ring/ring.h"

namespace mignificient::server {

// What a command is to the gate. A small copy waits for the turn as a kernel does: the driver carries it on the engine
// that runs kernels, which would have to change contexts for it, at the owner's expense.
enum class GateClass { kCopy, kSmallCopy, kKernel };
inline constexpr uint64_t kSmallCopyBytes = 64 << 10;  // less than this is small
constexpr GateClass ClassOfCopy(uint64_t bytes) {
  return bytes < kSmallCopyBytes ? GateClass::kSmallCopy : GateClass::kCopy;
}

class Connection {
 public:
  struct Options {
    uint32_t ordinal = 0;             // below wire::kMostChannels; spaces the windows of several connections apart
    bool asymmetric_barrier = false;  // both processes are registered, see os/barrier.h
    bool shared = false;              // as SetShared
  };
  // Builds region and window, answers the client's AttachRequest over `socket`, and starts the dispatcher. `notify` is
  // called from the dispatcher thread when the connection has ended, a drain is complete or a command waits at the
  // gate; it must not block.
  static Result<std::unique_ptr<Connection>> Accept(const Device& device, std::shared_ptr<Session> session,
                                                    os::UniqueFd socket, Options options, std::function<void()> notify);
  ~Connection();

  int socket() const { return socket_.get(); }
  Session& session() const { return *session_; }
  void Stop();  // asks the dispatcher to end; returns at once
  struct Drain {
    uint32_t tag = 0;       // not 0; another one than before
    uint32_t hold : 2 = 0;  // wire::Hold
    uint32_t idle_us : 30 = 0;
  };
  void RequestDrain(Drain drain);  // instead of one that is not complete
  // Tells the client whether other processes share its session. It maps memory without asking while there are none; so
  // whoever comes takes no memory (AwaitSettled) before what it has sent until now is carried out. On the control
  // thread.
  void SetShared(bool shared);
  uint32_t drained_tag() const { return drained_tag_.load(std::memory_order_acquire); }
  bool ended() const { return ended_.load(std::memory_order_acquire); }
  const ConnectionEnd& end() const { return end_; }  // valid once ended()

 private:
  struct Library {
    CUlibrary library = nullptr;
    ImageMapping image;  // which the driver reads as long as the library is loaded
  };
  struct Kernel {
    CUfunction function = nullptr;  // null for a library's kernel until it is needed
    CUkernel kernel = nullptr;      // null for a module's function
    uint64_t owner = 0;
    bool launched = false;
    bool described = false;  // what follows is known
    uint32_t max_threads = 0;
    uint32_t static_shared_bytes = 0;
    uint32_t param_bytes = 0;
    std::vector<wire::FunctionReply::Param> params;
  };
  // In the slot of a module name: the module of the library with that slot and generation.
  static constexpr uint32_t kLibraryModuleBit = 1u << 31;
  struct Array {
    CUarray array;
    uint64_t whole;   // name of the array that it is a level or plane of; 0: it is one of its own
    uint64_t charge;  // bytes of the budget
  };
  struct MipmappedArray {
    CUmipmappedArray array;
    uint64_t charge;
  };
  struct Pinned {
    os::Mapping mapping;
  };

  Connection(const Device& device, std::shared_ptr<Session> session, os::UniqueFd socket, os::Mapping region,
             std::unique_ptr<Window> window, ring::Barrier barrier, std::function<void()> notify);

  // --- dispatcher (connection.cc) ---
  void Run();
  bool Step();  // one command or one poll; false: the connection has ended
  bool Idle();  // nothing to read: poll, spin, sleep
  std::chrono::nanoseconds SpinTime() const;
  void SpinFor(std::chrono::nanoseconds idle_for);
  void Sleep(std::chrono::nanoseconds idle_for);
  void PollWaits(Waits::Look look);
  void ServeDrain();
  bool IdleFor(std::chrono::nanoseconds duration);
  uint64_t CarriedOut() const;
  bool Draining() const { return drain_.load(std::memory_order_acquire).tag != drained_tag(); }
  void TearDown();
  bool Dispatch(const ring::Record& record);
  bool DispatchGenerated(uint16_t opcode, uint16_t slot, std::span<const std::byte> body);
  bool PassGate(GateClass gate_class);
  bool GateOpen(uint32_t gate_word, GateClass gate_class) const;
  void ReportWaiting(uint32_t gate_word);
  void BecomeBusy();  // in wire::GatePage::in_flight
  void BecomeQuiet();
  bool QuietNow();  // all that has been carried out is complete; where it is, it becomes quiet
  // Right before such work is issued: when it runs is measured if the owner asks for it. What is captured does not run.
  void Observe(const Activity::Work& work) {
    if (activity_ != nullptr && capturing_.empty()) activity_->Before(work);
  }
  static bool MayContinueActivity(uint16_t opcode);

  // --- answering ---
  const DriverTable& driver() const { return *device_.driver; }
  void Answer(uint16_t slot, CUresult result, std::span<const std::byte> reply = {});
  void Defer(CUresult result);
  void NoteSticky(CUresult result);
  void NoteDeviceError(CUresult result);  // for the owner, not for the client
  bool Misuse(std::string reason);
  bool End(wire::SessionEnd reason, std::string text);
  wire::RegionHeader& header() { return *reinterpret_cast<wire::RegionHeader*>(region_.data()); }
  std::byte* reply_data(uint16_t slot) {
    return region_.data() + wire::kReplyOffset + uint64_t{slot} * wire::kReplyBytes;
  }
  template <typename T>
  const T* Body(std::span<const std::byte>& body);

  // --- objects ---
  bool ResolveStream(uint64_t name, CUstream& out);
  bool ResolveEvent(uint64_t name, CUevent& out);
  bool ResolveModule(uint64_t name, CUmodule& out);
  bool ResolveLibrary(uint64_t name, CUlibrary& out);
  bool ResolveFunction(uint64_t name, CUfunction& out);
  bool ResolveKernel(uint64_t name, CUkernel& out);
  bool ResolveArray(uint64_t name, CUarray& out);
  bool ResolveMipmappedArray(uint64_t name, CUmipmappedArray& out);
  bool ResolveArrays(CUDA_MEMCPY3D& copy);
  bool ResolveGraph(uint64_t name, CUgraph& out);
  bool ResolveGraphNode(uint64_t name, CUgraphNode& out);
  bool ResolveAttribute(int32_t id, int& out);  // one that is a plain value
  Kernel* FindKernel(uint64_t name);            // described
  static uint64_t KernelSlot(uint64_t name);
  // Objects that the server has named.
  template <typename T>
  static bool Resolve(HandleTable<T>& table, uint64_t name, T& out) {
    const T* found = table.Find(name);
    if (found != nullptr) out = *found;
    return found != nullptr;
  }
  // `result` is that of the call which destroyed the object.
  template <typename T>
  static CUresult Removed(HandleTable<T>& table, uint64_t name, CUresult result) {
    if (result == CUDA_SUCCESS) table.Remove(name);
    return result;
  }
  // Work has been issued to the stream.
  void Touched(uint64_t stream_name);
  void TouchedStream(CUstream stream);
  std::vector<CUstream> BusyStreams();  // forgets those that are idle

  void ServeSettle();  // memory.cc
  void EndSettle();
  bool AwaitSettled();  // false: the connection ends

  // --- commands, by family: memory.cc, copies.cc, code.cc, launch.cc, streams.cc ---
  bool DispatchMemory(wire::Command command, uint16_t slot, std::span<const std::byte> body);
  bool MapExtent(uint16_t slot, const wire::ExtentBody& body);
  bool UnmapExtent(uint16_t slot, const wire::ExtentBody& body);
  bool Fence(uint16_t slot, const wire::FenceBody& body);
  bool CreateMemory(uint16_t slot, uint64_t bytes);
  CUresult FreeGraphMemory(const wire::GraphFreeBody& body);
  void Quiesce();  // blocks until all work issued so far is complete: at the end alone
  CUresult PinHost(const wire::PinHostBody& body);
  bool UnpinHost(uint16_t slot, uint64_t address);
  CUresult Unpin(uint64_t address);
  bool InPinned(uint64_t address, uint64_t bytes) const;
  os::UniqueFd TakeDescriptor(uint64_t tag);

  bool DispatchCopy(wire::Command command, uint16_t slot, std::span<const std::byte> body);
  bool CopyInline(uint16_t slot, const wire::CopyBody& copy, std::span<const std::byte> bytes, CUstream stream);
  bool CopyChunk(wire::Command command, const wire::CopyBody& copy, CUstream stream);
  bool CopyToReply(uint16_t slot, const wire::CopyBody& copy, CUstream stream);
  bool CopyPinned(wire::Command command, uint16_t slot, const wire::CopyBody& copy, CUstream stream);

  bool DispatchCode(wire::Command command, uint16_t slot, std::span<const std::byte> body);
  bool Load(wire::Command command, uint16_t slot, std::span<const std::byte> body);
  bool Unload(wire::Command command, uint16_t slot, uint64_t handle);
  bool GetKernel(wire::Command command, uint16_t slot, std::span<const std::byte> body);
  bool DescribeTo(uint16_t slot, uint64_t name);
  CUresult Describe(Kernel& kernel);
  bool LibraryModule(uint16_t slot, uint64_t handle);
  bool ListFunctions(uint16_t slot, const wire::ListFunctionsBody& body);

  struct LinkState;
  bool Link(wire::Command command, uint16_t slot, std::span<const std::byte> body);  // links.cc
  bool ReadLink(uint16_t slot, const wire::LinkReadBody& body);
  void DestroyLinks();

  bool TakesLane(const Kernel& kernel, const wire::LaunchBody& launch, uint16_t slot, CUstream stream);
  static CUfunction FunctionOf(const Kernel& kernel);
  bool Launch(uint16_t slot, std::span<const std::byte> body);
  CUresult LaunchNow(Kernel& kernel, const wire::LaunchBody& launch, CUlaunchAttribute* attributes,
                     const std::byte* params, CUstream stream);
  CUresult ResolveLaunchAttribute(CUlaunchAttribute& attribute);

  bool DispatchStream(wire::Command command, uint16_t slot, std::span<const std::byte> body);
  std::vector<CUstream> ContextStreams();
  bool AskStream(wire::Command command, uint16_t slot, uint64_t name);
  bool AskEvent(wire::Command command, uint16_t slot, uint64_t name);
  bool CreateStream(const wire::StreamCreateBody& body);
  bool CreateEvent(const wire::EventCreateBody& body);
  bool DestroyStream(uint64_t name);
  // Destroys a stream without work of its own once what is in it is done.
  void RetireStream(CUstream stream);
  void EndRetired(CUstream stream);
  // legacy_stream.cc
  static bool IsLegacyStream(uint64_t name) { return name <= 1; }
  void MakeOwnLegacyStream();
  CUresult UseLegacyStreamOfContext();
  bool RecordEvent(uint16_t slot, const wire::EventRecordBody& body);
  bool RunHostFunction(uint16_t slot, const wire::HostFunctionBody& body);
  CUresult CaptureHostFunction(CUstream stream, uint64_t id);
  bool RunMemoryOps(uint16_t slot, std::span<const std::byte> body);
  bool JoinContext(wire::Command command, uint16_t slot, uint64_t event_name);
  CUresult RecordContext(CUevent event);
  CUresult WaitInContext(CUevent event);
  void DestroyJoining();

  // arrays.cc
  bool DispatchArray(wire::Command command, uint16_t slot, std::span<const std::byte> body);
  bool Copy3D(uint16_t slot, const wire::Copy3DBody& body);
  bool CreateArray(uint16_t slot, const wire::ArrayCreateBody& body);
  bool GetArrayPart(uint16_t slot, const wire::ArrayPartBody& body);
  bool DestroyArray(uint16_t slot, uint64_t name);
  bool CreateTexture(uint16_t slot, const wire::TextureCreateBody& body);
  bool DestroyTexture(uint16_t slot, const wire::TextureDestroyBody& body);
  bool EncodeTensorMap(uint16_t slot, const wire::TensorMapBody& body);
  void DestroyArrays();
  // The host side of a copy lies within [base, base + bytes), or in pinned memory if `base` is null.
  bool HostSideAllowed(const CUDA_MEMCPY3D& copy, const std::byte* base, uint64_t bytes) const;

  // graphs.cc, graph_nodes.cc, capture.cc
  bool DispatchGraph(wire::Command command, uint16_t slot, std::span<const std::byte> body);
  bool DestroyGraph(uint16_t slot, uint64_t name);
  bool CloneGraph(uint16_t slot, uint64_t name);
  bool FindInClone(uint16_t slot, const wire::TwoHandlesBody& body);
  bool ListGraph(uint16_t slot, const wire::GraphListBody& body);
  bool ChangeEdges(uint16_t slot, std::span<const std::byte> body);
  bool Instantiate(uint16_t slot, const wire::InstantiateBody& body);
  bool UpdateExec(uint16_t slot, const wire::TwoHandlesBody& body);
  bool AnswerName(uint16_t slot, CUresult result, uint64_t name);

  // Dependencies and edge data that follow a body.
  struct Links {
    std::vector<CUgraphNode> nodes;
    std::vector<CUgraphEdgeData> edges;
    const CUgraphEdgeData* EdgesOrNull() const;  // null when all are plain, as older drivers expect
  };
  struct NodeParams;  // what the driver takes, and what its pointers point to
  bool AddNode(uint16_t slot, std::span<const std::byte> body);
  bool SetNode(uint16_t slot, std::span<const std::byte> body);
  CUresult SetInGraph(const GraphNames::Node& found, NodeParams& params);
  CUresult SetInExec(CUgraphExec exec, const GraphNames::Node& found, NodeParams& params);
  bool GetNode(uint16_t slot, uint64_t name);
  bool DestroyNode(uint16_t slot, uint64_t name);
  CUresult ReadNode(int type, std::span<const std::byte> payload, NodeParams& params);
  CUresult ReadKernelNode(std::span<const std::byte> payload, NodeParams& params);
  CUresult ReadMemcpyNode(std::span<const std::byte> payload, NodeParams& params);
  CUresult WriteNode(CUgraphNode node, CUgraph root, wire::NodeReply& reply);
  CUresult WriteKernelNode(CUgraphNode node, wire::NodeReply& reply);
  CUresult WriteMemcpyNode(CUgraphNode node, uint64_t carry, wire::NodeReply& reply);
  HostCalls::Ref CallOf(CUgraphNode node);  // null: not a host node, or one that does nothing

  // What no graph can run any longer, as soon as nothing runs it.
  void DropRetiredCalls();
  bool TellEndedCalls(uint16_t slot);

  // staged_copies.cc: a copy of pageable memory is a child graph of two nodes to the driver, one node to the client.
  struct StagedCopy {
    CUgraph graph;
    CUgraphNode copy;
    CUgraphNode host;
    bool host_first;
    HostCalls::Ref carry;  // null: there are no bytes to carry
  };
  std::optional<StagedCopy> FindStaged(CUgraphNode node);
  CUresult FillStaged(CUgraph graph, const CUgraphNodeParams& copy, const HostCalls::Ref& carry);
  CUresult AddStaged(CUgraphNode& node, CUgraph graph, Links& links, const NodeParams& params);
  CUresult SetStaged(StagedCopy& staged, NodeParams& params);
  CUresult SetStagedExec(CUgraphExec exec, CUgraphNode node, StagedCopy& staged, NodeParams& params);
  CUresult SetCarry(CUgraphExec exec, CUgraphNode host, const HostCalls::Ref& carry);
  CUresult RefuseStaging(CUgraphNode node, const CUDA_MEMCPY3D& copy, bool executable);
  bool NodeType(uint16_t slot, uint64_t name);
  bool NodeEnabled(uint16_t slot, const wire::NodeEnabledBody& body);
  CUresult SwitchStaged(CUgraphExec exec, CUgraphNode node, const StagedCopy& staged, bool on);
  bool CaptureCopy(uint16_t slot, std::span<const std::byte> body);

  bool BeginCapture(uint16_t slot, std::span<const std::byte> body);
  CUresult KeepBusy();
  bool UpdateCapture(uint16_t slot, std::span<const std::byte> body);
  bool CaptureInfo(uint16_t slot, uint64_t stream);
  bool EndCapture(uint16_t slot, uint64_t stream);
  // CUDA_ERROR_INVALID_VALUE: more than `body` holds or allowed, or an unknown node.
  CUresult TakeLinks(std::span<const std::byte>& body, uint32_t count, Links& links);
  bool Captures(CUstream stream) const;
  struct CaptureState {
    CUresult result = CUDA_SUCCESS;
    int status = CU_STREAM_CAPTURE_STATUS_NONE;
    uint64_t id = 0;
    CUgraph graph = nullptr;
    Links links;  // what the next node in the stream comes after
  };
  CaptureState StateOf(CUstream stream) const;
  void NoteCapturedLaunch(std::span<const std::byte> body);

  const Device& device_;
  std::shared_ptr<Session> session_;
  os::UniqueFd socket_;
  os::Mapping region_;
  std::unique_ptr<Window> window_;
  std::function<void()> notify_;
  ring::Consumer consumer_;
  std::unique_ptr<LaunchLanes> lanes_;  // null: the dispatcher launches everything itself
  StagingPins staging_;
  Waits waits_;
  HostCalls host_calls_;
  HandleTable<CUstream> streams_;
  HandleTable<CUevent> events_;
  HandleTable<CUmodule> modules_;
  HandleTable<Library> libraries_;
  HandleTable<Array> arrays_;
  HandleTable<MipmappedArray> mipmapped_arrays_;
  std::set<std::pair<wire::TextureKind, uint64_t>> textures_;
  HandleTable<std::shared_ptr<Physical>> allocations_;
  HandleTable<CUgraphExec> graph_execs_;
  HandleTable<std::shared_ptr<LinkState>> links_;
  GraphNames graphs_;
  GraphCalls graph_calls_;
  bool dropping_calls_ = false;                     // a wait for that is pending
  std::map<CUgraph, uint64_t> graph_bytes_;         // device memory that a graph's allocation nodes were charged
  std::map<CUdeviceptr, CUgraph> graph_addresses_;  // of allocation nodes -> outermost graph
  CUstream keeper_ = nullptr;                       // waits for what ran when a capture began; null until then
  std::vector<CUstream> capturing_;                 // streams in which a capture was begun
  HandleTable<Kernel> kernels_;                     // both CUkernel and CUfunction names, as kFunction
  std::map<uint64_t, Pinned> pinned_;
  std::map<uint64_t, os::UniqueFd> descriptors_;  // arrived ahead of their command
  std::vector<CUstream> busy_;                    // streams with work that is not known to be complete
  CUstream joining_ = nullptr;                    // our own, for events of the whole context; made when first needed
  std::vector<CUevent> context_waits_;            // our own: what new streams wait for, too, until it has happened
  CUstream legacy_ = nullptr;      // what the program's legacy default stream is here: null the context's
  std::vector<CUstream> retired_;  // destroyed by the client, with work that goes on
  uint32_t fences_ = 0;            // without a reply, pending
  std::vector<void*> launch_params_;
  bool spins_ = true;   // rather than sleeps
  bool worked_ = true;  // since the dispatcher last looked at the clock
  std::chrono::steady_clock::time_point idle_since_;
  uint32_t serving_tag_ = 0;  // the drain that drain_position_ belongs to
  std::optional<uint64_t> drain_position_;
  uint64_t command_position_ = 0;  // in the ring, of the command that is carried out now
  bool at_gate_ = false;           // and waits there
  uint32_t held_turn_;             // of the gate: nothing passes while it is still this one
  bool busy_counted_ = false;      // in wire::GatePage::in_flight
  std::optional<uint64_t> settle_position_;

  std::atomic<uint32_t> attention_{0};  // futex word: bumped by Stop, RequestDrain and SetShared, behind what they set
  uint32_t seen_attention_ = 0;         // before this step looked at what they set; of the dispatcher
  std::atomic<bool> stop_{false};
  bool shared_ = false;  // what the client was told; of the control thread
  std::atomic<bool> settle_{false};
  std::atomic<Drain> drain_{Drain{}};
  std::atomic<uint32_t> drained_tag_{0};
  std::atomic<bool> ended_{false};
  ConnectionEnd end_;
  std::unique_ptr<Activity> activity_;  // null: nobody asks; the dispatcher's
  std::thread thread_;
};

// The body of a command, or null (and Misuse is due) when it is too short. What follows it remains in `body`.
template <typename T>
const T* Connection::Body(std::span<const std::byte>& body) {
  static_assert(alignof(T) <= 8);
  if (body.size() < sizeof(T)) return nullptr;
  const T* parsed = reinterpret_cast<const T*>(body.data());
  body = body.subspan(sizeof(T));
  return parsed;
}

}  // namespace mignificient::server
