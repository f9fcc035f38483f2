#include "driver/cpu/exec/launch.h"

#include <algorithm>
#include <exception>

#include "driver/cpu/exec/spec.h"
#include "driver/cpu/exec/warp.h"

namespace mignificient::cpu {
namespace {

void NumberThreads(Warp& warp, const Dim3& n) {
  const uint32_t first = warp.index * 32;
  uint32_t x = first % n.x, y = first / n.x % n.y, z = first / (n.x * n.y);
  for (int lane = 0; lane < 32; ++lane) {
    warp.tid[0][lane] = x, warp.tid[1][lane] = y, warp.tid[2][lane] = z;
    if (++x == n.x) x = 0, ++y;
    if (y == n.y) y = 0, ++z;
  }
}

void Prepare(Grid& grid, Block& block, uint32_t smid) {
  const Launch& launch = *grid.launch;
  block.grid = &grid;
  block.smid = smid;
  block.threads = static_cast<uint32_t>(launch.block.count());
  block.shared_bytes = launch.kernel->static_shared_bytes() + launch.dynamic_shared_bytes;
  block.shared_storage.resize(block.shared_bytes + 128);
  block.shared =
      reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(block.shared_storage.data()) + 127) & ~uintptr_t{127});
  block.warps.resize((block.threads + 31) / 32);
  for (uint32_t i = 0; i < block.warps.size(); ++i) {
    Warp& warp = block.warps[i];
    warp.block = &block;
    warp.index = i;
    NumberThreads(warp, launch.block);
    warp.Reserve(grid.code->entry->frame_bytes);
    warp.Enter(*grid.code->entry, 0, kAllLanes, nullptr, 0, 0);
    warp.local_stride = (grid.code->stack_bytes + 15) & ~15u;
    warp.local_storage.resize(size_t{warp.local_stride} * 32 + 16);
    warp.local =
        reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(warp.local_storage.data()) + 15) & ~uintptr_t{15});
  }
}

void Start(Block& block, uint64_t linear) {
  const Launch& launch = *block.grid->launch;
  block.linear = linear;
  block.index = {static_cast<uint32_t>(linear % launch.grid.x),
                 static_cast<uint32_t>(linear / launch.grid.x % launch.grid.y),
                 static_cast<uint32_t>(linear / launch.grid.x / launch.grid.y)};
  block.live = block.threads;
  block.barriers = {};
  for (Warp& warp : block.warps) {
    const uint32_t lanes = std::min(32u, block.threads - warp.index * 32);
    warp.live = lanes == 32 ? kAllLanes : (1u << lanes) - 1;
    warp.active = 0;
    warp.force_sync = false;
    warp.others.clear();
    warp.others.push_back({warp.live, 0, block.grid->code->entry->code.data(), Split::State::kReady, 0, 0});
  }
}

bool Stopped(Grid& grid) {
  if (grid.stop.load(std::memory_order_relaxed)) return true;
  if (grid.launch->cancel == nullptr || !grid.launch->cancel->load(std::memory_order_relaxed)) return false;
  grid.stop.store(true, std::memory_order_relaxed);
  const std::lock_guard lock(grid.mutex);
  if (grid.result.status == LaunchStatus::kOk) {
    grid.result = {LaunchStatus::kCancelled, fmt::format("Kernel [{}] is cancelled.", grid.launch->kernel->name())};
  }
  return true;
}

// One turn for every warp that can run. True while the block has work left.
bool Round(Block& block, const Operations& operations) {
  bool progress = false;
  for (Warp& warp : block.warps) {
    if (warp.others.empty()) continue;
    if (Stopped(*block.grid)) return false;
    warp.budget = kQuantum;
    ++warp.turn;
    const Inst* pc = warp.Pick();
    if (pc == nullptr) continue;
    progress = true;
    --warp.budget;  // later picks of this turn follow the program order
    operations.interpret(warp, pc);
    if (warp.faulted) return false;
  }
  if (progress) return true;
  if (block.live == 0) return false;
  // A released barrier makes its warps ready before the next round; nothing was released here.
  Warp* waiting = nullptr;
  for (Warp& warp : block.warps) waiting = warp.others.empty() ? waiting : &warp;
  const Split& split = waiting->others.front();
  waiting->Fault(split.pc - (split.state == Split::State::kBarrier), LaunchStatus::kDeadlock,
                 static_cast<uint32_t>(std::countr_zero(split.mask)),
                 "waits at a barrier that the other threads never reach");
  return false;
}

void Work(Grid& grid, const Operations& operations, uint32_t smid) {
  const uint64_t blocks = grid.launch->grid.count();
  uint64_t linear = grid.next_block.fetch_add(1, std::memory_order_relaxed);
  if (linear >= blocks) return;
  Block block;
  Prepare(grid, block, smid);
  for (; linear < blocks && !Stopped(grid); linear = grid.next_block.fetch_add(1, std::memory_order_relaxed)) {
    Start(block, linear);
    while (Round(block, operations)) {
    }
  }
}

// Every block of this worker's share is resident; they take turns.
void WorkCooperatively(Grid& grid, const Operations& operations, uint32_t smid, uint64_t share) {
  std::vector<std::unique_ptr<Block>> blocks;
  const uint64_t count = grid.launch->grid.count();
  while (blocks.size() < share) {
    const uint64_t linear = grid.next_block.fetch_add(1, std::memory_order_relaxed);
    if (linear >= count) break;
    blocks.push_back(std::make_unique<Block>());
    Prepare(grid, *blocks.back(), smid);
    Start(*blocks.back(), linear);
  }
  while (!blocks.empty()) {
    std::erase_if(blocks, [&](const auto& block) { return !Round(*block, operations); });
  }
}

Result<void> Check(const Launch& launch) {
  if (launch.kernel == nullptr) return Fail(Code::kInvalidArgument, "The launch names no kernel.");
  const Kernel& kernel = *launch.kernel;
  const Dim3& g = launch.grid;
  const Dim3& b = launch.block;
  if (g.x == 0 || g.y == 0 || g.z == 0 || g.x > 0x7fffffffu || g.y > 65535 || g.z > 65535) {
    return Fail(Code::kInvalidArgument, "Grid ({},{},{}) is outside the limits (2147483647,65535,65535).", g.x, g.y,
                g.z);
  }
  const uint32_t limit = std::min(kMaxThreadsPerBlock, kernel.max_threads());
  if (b.count() == 0 || b.x > 1024 || b.y > 1024 || b.z > 64 || b.count() > limit) {
    return Fail(Code::kInvalidArgument, "Block ({},{},{}) exceeds the limit ({} threads) of kernel [{}].", b.x, b.y,
                b.z, limit, kernel.name());
  }
  const Dim3& r = kernel.info().required_block;
  if (kernel.info().has_required_block && (r.x != b.x || r.y != b.y || r.z != b.z)) {
    return Fail(Code::kInvalidArgument, "Block ({},{},{}) is not what kernel [{}] requires ({},{},{}).", b.x, b.y, b.z,
                kernel.name(), r.x, r.y, r.z);
  }
  if (uint64_t{kernel.static_shared_bytes()} + launch.dynamic_shared_bytes > kMaxSharedBytes) {
    return Fail(Code::kInvalidArgument, "Shared memory ({} + {} bytes) exceeds the limit ({}).",
                kernel.static_shared_bytes(), launch.dynamic_shared_bytes, kMaxSharedBytes);
  }
  if (launch.params.size() < kernel.parameter_bytes()) {
    return Fail(Code::kInvalidArgument, "Parameters ({} bytes) are fewer than kernel [{}] takes ({}).",
                launch.params.size(), kernel.name(), kernel.parameter_bytes());
  }
  for (const int global : kernel.code().used_globals) {
    if (kernel.code().program->BoundAddress(static_cast<size_t>(global)) == 0) {
      return Fail(Code::kInvalidArgument, "Variable [{}] of kernel [{}] is not bound to an address.",
                  kernel.code().program->globals()[global].name, kernel.name());
    }
  }
  return {};
}

// Gives the grid zeroed words that its blocks alone reach: cooperative groups count arrivals in the second one.
void AddWorkspace(Launch& launch, std::span<uint32_t, 4> words) {
  auto extents = launch.memory == nullptr ? std::vector<MemoryMap::Extent>() : launch.memory->extents();
  launch.workspace = reinterpret_cast<uint64_t>(words.data());
  extents.push_back({launch.workspace, launch.workspace + words.size_bytes()});
  launch.memory = MemoryMap::Of(std::move(extents));
}

std::atomic<uint64_t> next_grid_id{1};  // %gridid: unique in the process

}  // namespace

std::string_view LaunchStatusName(LaunchStatus status) {
  switch (status) {
    case LaunchStatus::kOk:
      return "ok";
    case LaunchStatus::kInvalidLaunch:
      return "invalid launch";
    case LaunchStatus::kIllegalAddress:
      return "illegal address";
    case LaunchStatus::kMisaligned:
      return "misaligned address";
    case LaunchStatus::kTrap:
      return "trap";
    case LaunchStatus::kAssert:
      return "assertion failed";
    case LaunchStatus::kStackOverflow:
      return "stack overflow";
    case LaunchStatus::kIllegalInstruction:
      return "illegal instruction";
    case LaunchStatus::kDeadlock:
      return "deadlock";
    case LaunchStatus::kCancelled:
      return "cancelled";
  }
  return "unknown";
}

LaunchResult Run(const Launch& asked, WorkerPool& pool) {
  if (auto checked = Check(asked); !checked) return {LaunchStatus::kInvalidLaunch, checked.error().message()};
  Launch launch = asked;
  alignas(16) uint32_t workspace[4] = {};
  if (launch.cooperative) AddWorkspace(launch, workspace);
  Grid grid;
  grid.launch = &launch;
  grid.code = &launch.kernel->code();
  grid.id = next_grid_id.fetch_add(1, std::memory_order_relaxed);
  const Operations& operations = BestOperations();
  const uint64_t blocks = launch.grid.count();
  const auto parallelism = static_cast<unsigned>(std::min<uint64_t>(blocks, pool.threads()));
  std::atomic<uint32_t> workers{0};
  pool.Run(parallelism, [&] {
    const uint32_t smid = workers.fetch_add(1, std::memory_order_relaxed);
    try {
      // A cooperative grid stays on the calling thread: helpers may be busy elsewhere and come late or never.
      if (!launch.cooperative)
        Work(grid, operations, smid);
      else if (smid == 0)
        WorkCooperatively(grid, operations, smid, blocks);
    } catch (const std::exception& error) {  // out of memory for frames or shared memory
      grid.stop.store(true);
      const std::lock_guard lock(grid.mutex);
      if (grid.result.status == LaunchStatus::kOk)
        grid.result = {LaunchStatus::kInvalidLaunch,
                       fmt::format("Kernel [{}] cannot run: {}.", launch.kernel->name(), error.what())};
    }
  });
  return grid.result;
}

}  // namespace mignificient::cpu
