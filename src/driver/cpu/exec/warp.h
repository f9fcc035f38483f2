// The running state of a block and its warps. Private to exec/; one worker at a time touches a block.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "driver/cpu/exec/code.h"
#include "driver/cpu/exec/launch.h"

namespace mignificient::cpu {

inline constexpr uint32_t kAllLanes = 0xffffffffu;
inline constexpr uint32_t kMaxFrameBytes = 64u << 20;  // of one warp's call stack
inline constexpr int kQuantum = 256;                   // branches a warp takes before others get their turn

// State shared by the workers of one launch.
struct Grid {
  const Launch* launch = nullptr;
  const KernelCode* code = nullptr;
  std::atomic<bool> stop{false};  // set with a fault or a cancel, seen at the next yield
  std::mutex mutex;               // guards result and serialises the sink
  LaunchResult result;
  std::atomic<uint64_t> next_block{0};
  uint64_t id = 0;
  void Print(std::string_view text) {
    const std::lock_guard lock(mutex);
    if (launch->printf) launch->printf(text);
  }
};

// Lanes of a warp that are at the same place.
struct Split {
  enum class State : uint8_t { kReady, kSync, kBarrier };
  uint32_t mask = 0;
  uint32_t frame = 0;
  const Inst* pc = nullptr;
  State state = State::kReady;
  uint8_t barrier = 0;
  uint64_t ran = 0;  // turn in which it last ran, for fairness
};

// The splits of a warp that do not run. Their masks are disjoint and none is empty, so there is room for one per lane.
class Splits {
 public:
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  Split* begin() { return splits_.data(); }
  Split* end() { return splits_.data() + size_; }
  const Split* begin() const { return splits_.data(); }
  const Split* end() const { return splits_.data() + size_; }
  Split& operator[](size_t i) { return splits_[i]; }
  const Split& front() const { return splits_[0]; }
  void push_back(const Split& split) { splits_[size_++] = split; }
  void Remove(size_t i) { splits_[i] = splits_[--size_]; }  // the last takes its place
  void clear() { size_ = 0; }

 private:
  size_t size_ = 0;
  std::array<Split, 32> splits_;
};

struct Barrier {
  uint32_t arrived = 0;   // threads
  uint32_t expected = 0;  // threads; 0: all that live
  uint32_t ones = 0;      // of bar.red: threads whose predicate is true
  uint32_t voted = 0;     // threads that brought a predicate
};

struct Block;

struct Warp {
  Block* block = nullptr;
  char* frame = nullptr;  // current frame
  uint32_t active = 0;    // lanes running now
  uint32_t live = 0;      // lanes that have not exited
  int budget = kQuantum;
  uint32_t index = 0;  // in the block
  uint64_t turn = 0;
  bool force_sync = false;  // run the next warp-level sync with the lanes that are there
  bool faulted = false;
  Splits others;  // lanes of `live` that are not `active`

  char* regs = nullptr;
  uint32_t regs_bytes = 0;
  char* local = nullptr;  // lane i at i * local_stride
  uint32_t local_stride = 0;
  std::vector<char> regs_storage, local_storage;
  alignas(64) uint32_t tid[3][32];  // of each lane: x, y, z

  uint32_t FrameOffset() const { return static_cast<uint32_t>(frame - regs); }
  void Reserve(uint32_t bytes);  // grows regs, keeps contents and the current frame

  // Puts lanes aside at `pc` of the current frame, with those that wait there.
  void Wait(uint32_t mask, const Inst* pc);
  // Puts the running lanes aside at `pc` and continues with the lanes to run next; null if none can.
  const Inst* Switch(const Inst* pc);
  const Inst* Pick();
  // Leaves the interpreter; `pc` is where the running lanes go on in their next turn.
  const Inst* Yield(const Inst* pc);
  const Inst* Fault(const Inst* at, LaunchStatus status, uint32_t lane, std::string what);
  // Fills a new frame's header and constants for `mask`.
  void Enter(const Function& function, uint32_t offset, uint32_t mask, const Inst* call, uint32_t caller,
             uint32_t local_base);

  template <typename T>
  T* Row(uint32_t offset) {
    return reinterpret_cast<T*>(frame + offset);
  }
  uint32_t& Word(uint32_t offset) { return *reinterpret_cast<uint32_t*>(frame + offset); }
};

struct Block {
  Grid* grid = nullptr;
  Dim3 index;  // ctaid
  uint64_t linear = 0;
  char* shared = nullptr;
  uint32_t shared_bytes = 0;
  uint32_t threads = 0;
  uint32_t live = 0;  // threads
  uint32_t smid = 0;
  std::array<Barrier, 16> barriers{};
  std::vector<Warp> warps;
  std::vector<char> shared_storage;
  // Extents of the launch's memory that were touched last. An unused one contains no address.
  std::array<MemoryMap::Extent, 4> recent = Unused();
  uint32_t replaced = 0;  // of them, last

  // Whether a global [address, address + bytes) lies in one extent, which becomes a recent one.
  bool Reach(uint64_t address, uint64_t bytes);
  static constexpr std::array<MemoryMap::Extent, 4> Unused() {
    std::array<MemoryMap::Extent, 4> none;
    none.fill({~uint64_t{0}, ~uint64_t{0}});
    return none;
  }

  // Lanes of `warp` reach barrier `id`. The caller has put them aside unless they only arrive.
  void Arrive(Warp& warp, uint32_t id, uint32_t expected, uint32_t mask, uint32_t predicate);
  void Exit(Warp& warp, uint32_t mask);
  void Release(uint32_t id);
  void Check(uint32_t id);
};

// Record what lane `lane` did wrong at `at`; false, for the caller to pass on.
bool FaultIllegal(Warp& warp, const Inst* at, uint32_t lane, uint32_t bytes, uint64_t address, bool write);
bool FaultMisaligned(Warp& warp, const Inst* at, uint32_t lane, uint32_t bytes, uint64_t address, bool write);

// Executes `warp` until it yields, waits, ends or faults. One per instruction set level.
using Interpret = void (*)(Warp& warp, const Inst* pc);

}  // namespace mignificient::cpu
