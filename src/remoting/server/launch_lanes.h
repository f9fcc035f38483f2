// Threads that launch kernels for a dispatcher whose client uses several streams faster than one thread can talk to the
// driver. Launches of one stream stay in order: a stream has one lane as long as anything is in it. Between streams
// there is no order but that of events and waits, and those are the dispatcher's: it joins the lanes before it carries
// out anything but a launch. So lanes are invisible, except in time.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "driver/driver_table.h"
#include "remoting/wire/commands.h"

namespace mignificient::server {

class LaunchLanes {
 public:
  static constexpr size_t kLanes = 8;
  static constexpr uint32_t kMostParamBytes = 512, kMostParams = 64;

  // `on_error` is called on a lane's thread. The threads are started when they are first used.
  LaunchLanes(const DriverTable& driver, CUcontext context, std::function<void(CUresult)> on_error);
  ~LaunchLanes();
  LaunchLanes(const LaunchLanes&) = delete;
  LaunchLanes& operator=(const LaunchLanes&) = delete;

  // The dispatcher's thread, all of these:

  // Whether the launch on `stream` should go to a lane: others wait behind it (`backlog`), and some of the launches
  // that were lately asked about were on another stream. Or one of the stream's is in a lane still.
  bool Wants(CUstream stream, bool backlog);
  // Copies what it is given. Waits while the stream's lane is full.
  void Launch(CUfunction function, const wire::LaunchBody& launch, std::span<const wire::FunctionReply::Param> layout,
              const std::byte* params, CUstream stream);
  // Returns when everything has been given to the driver.
  void Join() {
    if (used_) JoinAll();
  }

 private:
  struct Item {
    CUfunction function;
    CUstream stream;
    uint32_t grid[3], block[3];
    uint32_t shared_bytes, param_count;
    std::array<uint16_t, kMostParams> offsets;
    alignas(8) std::array<std::byte, kMostParamBytes> params;
  };
  static constexpr uint32_t kItems = 128;  // power of two

  // One writer, the dispatcher, and one reader, the thread. Counts wrap around.
  struct Lane {
    alignas(64) std::atomic<uint32_t> written{0};  // futex word of the thread
    std::atomic<uint32_t> asleep{0};
    alignas(64) std::atomic<uint32_t> launched{0};
    std::array<Item, kItems> items;
    std::thread thread;

    bool Idle() const { return launched.load(std::memory_order_acquire) == written.load(std::memory_order_relaxed); }
  };
  struct Recent {
    CUstream stream = nullptr;
    uint64_t last = 0;  // the number of the last launch on it
  };

  Lane& LaneOf(CUstream stream);
  void Work(Lane& lane);
  void LaunchItem(const Item& item);
  void JoinAll();

  const DriverTable& driver_;
  const CUcontext context_;
  const std::function<void(CUresult)> on_error_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::atomic<bool> stop_{false};
  bool used_ = false;  // since the last join
  std::array<Recent, 4> recent_{};
  std::vector<CUstream> placed_;  // the stream at i has lane i modulo kLanes, until all are joined
  uint64_t launches_ = 0;
};

}  // namespace mignificient::server
