#include "drain.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "os/barrier.h"
#include "os/futex.h"
#include "os/socket.h"

namespace mignificient::bench {
namespace {

constexpr int kSpins = 20'000;

wire::DeviceInfo PlainDevice() {
  wire::DeviceInfo device;
  for (int i = CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK; i <= CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z; ++i)
    device.attributes[i] = 1024;
  for (int i = CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X; i <= CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X + 2; ++i)
    device.attributes[i] = 65535;
  device.driver_version = 13000;
  return device;
}

}  // namespace

Result<std::unique_ptr<Drain>> Drain::Open(const std::vector<uint32_t>& param_bytes) {
  MIG_ASSIGN(wire::Door door, wire::MakeDoor());
  ::setenv(wire::kDoorVariable, door.address.c_str(), 1);
  return std::unique_ptr<Drain>(new Drain(std::move(door), param_bytes));
}

Drain::Drain(wire::Door door, const std::vector<uint32_t>& param_bytes) : door_(std::move(door)) {
  function_.max_threads = 1024;
  for (const uint32_t bytes : param_bytes) {
    const uint32_t offset = (function_.param_bytes + bytes - 1) / bytes * bytes;
    function_.params[function_.param_count++] = {offset, bytes};
    function_.param_bytes = offset + bytes;
  }
  thread_ = std::thread([this] {
    if (const auto attached = Attach(); !attached) {
      std::fprintf(stderr, "drain: %s\n", attached.error().message().c_str());
      std::abort();
    }
    Serve();
  });
}

Drain::~Drain() {
  stop_.store(true);
  Hold(false);
  os::FutexWakeAll(consumer_->sleep_word());
  thread_.join();
}

Result<> Drain::Attach() {
  MIG_ASSIGN(socket_, os::Accept(door_.listener.get()));
  wire::AttachRequest request;
  MIG_TRY(os::ReceivePacket(socket_.get(), std::as_writable_bytes(std::span(&request, 1))));
  MIG_ASSIGN(const os::UniqueFd fd, os::CreateSealedMemory("mignificient-bench", wire::kRegionBytes));
  MIG_ASSIGN(region_, os::Mapping::Create(fd.get(), wire::kRegionBytes));
  wire::Welcome welcome;
  welcome.asymmetric_barrier = request.can_barrier != 0 && os::RegisterForBarrier();
  welcome.region_bytes = wire::kRegionBytes;
  welcome.window_base = uint64_t{0x1100} << 32;
  welcome.window_bytes = uint64_t{1} << 32;
  welcome.granule_bytes = 2 << 20;
  welcome.budget_bytes = uint64_t{1} << 32;
  welcome.device = PlainDevice();
  consumer_ = std::make_unique<ring::Consumer>(
      header().ring, region_.bytes().subspan(wire::kRingOffset, wire::kRingBytes), wire::kMaxCommandBytes,
      welcome.asymmetric_barrier != 0 ? ring::Barrier::kAsymmetric : ring::Barrier::kSymmetric);
  const int region_fd = fd.get();
  return os::SendPacket(socket_.get(), std::as_bytes(std::span(&welcome, 1)), std::span(&region_fd, 1));
}

// As server::Connection: looks for a while, then sleeps.
void Drain::Serve() {
  int idle = 0;
  while (!stop_.load()) {
    if (held_.load(std::memory_order_relaxed) != 0) os::FutexWait(held_, 1);
    const auto record = consumer_->Next();
    if (!record) std::abort();
    if (*record) {
      idle = 0;
      consumer_->Release();
      Answer(**record);
    } else if (read_up_to_.store(consumer_->position(), std::memory_order_release); ++idle < kSpins) {
      os::SpinPause();
    } else {
      if (consumer_->PrepareSleep() && !stop_.load()) os::FutexWait(consumer_->sleep_word(), 1);
      consumer_->CancelSleep();
      idle = 0;
    }
  }
}

void Drain::Answer(const ring::Record& record) {
  if (record.reply_slot == wire::kNoReply) return;
  const auto command = static_cast<wire::Command>(record.opcode);
  if (command == wire::Command::kGetFunction)
    std::memcpy(region_.data() + wire::kReplyOffset + uint64_t{record.reply_slot} * wire::kReplyBytes, &function_,
                sizeof function_);
  header().replies[record.reply_slot].Finish(CUDA_SUCCESS);
}

void Drain::Hold(bool held) {
  held_.store(held ? 1 : 0);
  if (!held) os::FutexWakeAll(held_);
}

void Drain::WaitUntilEmpty() const {
  while (read_up_to_.load(std::memory_order_acquire) != header().ring.tail.load(std::memory_order_relaxed))
    std::this_thread::yield();
}

}  // namespace mignificient::bench
