#include "remoting/server/launch_lanes.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "os/futex.h"

namespace mignificient::server {
namespace {

constexpr uint64_t kLately = 512;   // launches
constexpr size_t kMostPlaced = 32;  // streams, of which some may be gone
constexpr std::chrono::microseconds kSpin{200};

}  // namespace

LaunchLanes::LaunchLanes(const DriverTable& driver, CUcontext context, std::function<void(CUresult)> on_error)
    : driver_(driver), context_(context), on_error_(std::move(on_error)) {}

LaunchLanes::~LaunchLanes() {
  stop_.store(true, std::memory_order_release);
  for (const auto& lane : lanes_) {
    lane->written.fetch_add(1);  // an item that is not launched any more
    os::FutexWakeAll(lane->written);
    lane->thread.join();
  }
}

bool LaunchLanes::Wants(CUstream stream, bool backlog) {
  ++launches_;
  Recent* mine = nullptr;
  bool others = false;
  for (Recent& recent : recent_) {
    if (recent.last == 0) continue;
    if (recent.stream == stream)
      mine = &recent;
    else
      others = others || launches_ - recent.last < kLately;
  }
  if (mine == nullptr) mine = &*std::ranges::min_element(recent_, {}, &Recent::last);
  *mine = {stream, launches_};
  if (others && backlog) return true;
  return used_ && !LaneOf(stream).Idle();
}

LaunchLanes::Lane& LaunchLanes::LaneOf(CUstream stream) {
  auto place = std::ranges::find(placed_, stream);
  if (place == placed_.end()) place = placed_.insert(place, stream);
  return *lanes_[static_cast<size_t>(place - placed_.begin()) % kLanes];
}

void LaunchLanes::Launch(CUfunction function, const wire::LaunchBody& launch,
                         std::span<const wire::FunctionReply::Param> layout, const std::byte* params, CUstream stream) {
  while (lanes_.size() < kLanes) {
    lanes_.push_back(std::make_unique<Lane>());
    lanes_.back()->thread = std::thread([this, lane = lanes_.back().get()] { Work(*lane); });
  }
  if (placed_.size() > kMostPlaced) JoinAll();
  used_ = true;
  Lane& lane = LaneOf(stream);
  const uint32_t at = lane.written.load(std::memory_order_relaxed);
  // Acquires that the thread has let go of the item.
  while (at - lane.launched.load(std::memory_order_acquire) == kItems) os::SpinPause();
  Item& item = lane.items[at % kItems];
  item.function = function;
  item.stream = stream;
  std::ranges::copy(launch.grid, item.grid);
  std::ranges::copy(launch.block, item.block);
  item.shared_bytes = launch.shared_bytes;
  item.param_count = static_cast<uint32_t>(layout.size());
  for (size_t i = 0; i < layout.size(); ++i) item.offsets[i] = static_cast<uint16_t>(layout[i].offset);
  std::memcpy(item.params.data(), params, launch.param_bytes);
  // Releases the item. seq_cst with the look at the sleeper: either it sees the item, or we see it asleep.
  lane.written.store(at + 1, std::memory_order_seq_cst);
  if (lane.asleep.load(std::memory_order_seq_cst) != 0) os::FutexWakeAll(lane.written);
}

void LaunchLanes::Work(Lane& lane) {
  driver_.cuCtxSetCurrent(context_);
  int mode = CU_STREAM_CAPTURE_MODE_RELAXED;
  driver_.cuThreadExchangeStreamCaptureMode(&mode);
  for (uint32_t done = 0;;) {
    os::AwaitChange(lane.written, done, kSpin, lane.asleep);
    if (stop_.load(std::memory_order_acquire)) return;
    LaunchItem(lane.items[done % kItems]);
    // Releases the item, and that it was launched, to Launch and Join.
    lane.launched.store(++done, std::memory_order_release);
  }
}

void LaunchLanes::LaunchItem(const Item& item) {
  void* pointers[kMostParams];
  for (uint32_t i = 0; i < item.param_count; ++i)
    pointers[i] = const_cast<std::byte*>(item.params.data()) + item.offsets[i];
  const CUresult result =
      driver_.cuLaunchKernel(item.function, item.grid[0], item.grid[1], item.grid[2], item.block[0], item.block[1],
                             item.block[2], item.shared_bytes, item.stream, pointers, nullptr);
  if (result != CUDA_SUCCESS) on_error_(result);
}

void LaunchLanes::JoinAll() {
  for (const auto& lane : lanes_)
    while (!lane->Idle()) os::SpinPause();
  if (placed_.size() > kMostPlaced) placed_.clear();
  used_ = false;
}

}  // namespace mignificient::server
