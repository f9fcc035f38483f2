// What a command costs the GPU server's dispatcher: from the record in the ring to the call of a driver that does
// nothing. Valgrind's callgrind counts its instructions: dispatch_bench --benchmark_filter=Launch/8 with few
// iterations.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "os/socket.h"
#include "remoting/server/connection.h"
#include "remoting/server/fake_driver.h"
#include "ring/ring.h"

namespace mignificient::bench {
namespace {

using wire::Command;

constexpr char kPtx[] = ".version 8.0\n.target sm_90\n.address_size 64\n";
unsigned params = 0;  // of the kernel, 8 bytes each

DriverTable Driver() {
  DriverTable driver = server::FakeDriver();
  driver.cuFuncGetParamInfo = [](CUfunction, size_t index, size_t* offset, size_t* size) {
    *offset = index * 8, *size = 8;
    return index < params ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  };
  return driver;
}

// The client's end of one connection, which writes what it likes.
class Client {
 public:
  explicit Client(const server::Device& device) {
    auto ends = os::SocketPair().value();
    auto gate = wire::Gate::Create(wire::GateState::kFull).value();
    auto session = std::make_shared<server::Session>(1, uint64_t{1} << 30, std::move(gate));
    connection_ = server::Connection::Accept(device, std::move(session), std::move(ends.first), {}, [] {}).value();
    socket_ = std::move(ends.second);
    wire::Welcome welcome;
    auto packet = os::ReceivePacket(socket_.get(), std::as_writable_bytes(std::span(&welcome, 1))).value();
    region_ = os::Mapping::Create(packet.fds.at(0).get(), welcome.region_bytes).value();
    producer_.emplace(header().ring, region_.bytes().subspan(wire::kRingOffset, wire::kRingBytes),
                      ring::Barrier::kSymmetric);
  }

  template <typename Body>
  void Send(Command command, const Body& body, std::span<const std::byte> tail, uint16_t slot = wire::kNoReply) {
    const auto bytes = static_cast<uint32_t>((sizeof(ring::RecordHeader) + sizeof body + tail.size() + 7) / 8 * 8);
    std::byte* space = producer_->Reserve(bytes);
    while (space == nullptr) {
      producer_->WaitForRoom(1'000'000);
      space = producer_->Reserve(bytes);
    }
    const ring::RecordHeader record{bytes, static_cast<uint16_t>(command), slot};
    std::memcpy(space, &record, sizeof record);
    std::memcpy(space + sizeof record, &body, sizeof body);
    if (!tail.empty()) std::memcpy(space + sizeof record + sizeof body, tail.data(), tail.size());
    producer_->Publish();
  }
  template <typename Body>
  void Ask(Command command, const Body& body, std::span<const std::byte> tail = {}) {
    header().replies[0].Arm();
    Send(command, body, tail, 0);
    while (!header().replies[0].Wait(1'000'000'000)) {
    }
  }
  // The object that the answer to the last question names.
  uint64_t Named() {
    uint64_t name;
    std::memcpy(&name, region_.data() + wire::kReplyOffset, sizeof name);
    return name;
  }

  // A kernel of a module that the driver pretends to have loaded.
  uint64_t Kernel() {
    const os::UniqueFd fd(::memfd_create("image", MFD_ALLOW_SEALING | MFD_CLOEXEC));
    if (::write(fd.get(), kPtx, sizeof kPtx) != static_cast<ssize_t>(sizeof kPtx)) std::abort();
    if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) std::abort();
    const wire::DescriptorPacket packet{1, sizeof kPtx};
    const int number = fd.get();
    if (!os::SendPacket(socket_.get(), std::as_bytes(std::span(&packet, 1)), std::span(&number, 1))) std::abort();
    Ask(Command::kLoadModule, wire::LoadBody{1, sizeof kPtx, 0, 0, 0, 0});
    const uint64_t kernel = wire::PackHandle({wire::HandleKind::kFunction, 1, 0});
    Ask(Command::kGetFunction, wire::NameBody{Named(), 1, kernel}, std::as_bytes(std::span("k", 1)));
    return kernel;
  }

 private:
  wire::RegionHeader& header() { return *reinterpret_cast<wire::RegionHeader*>(region_.data()); }

  std::unique_ptr<server::Connection> connection_;
  os::UniqueFd socket_;
  os::Mapping region_;
  std::optional<ring::Producer> producer_;
};

server::Device DeviceOf(const DriverTable& driver) {
  server::Device device;
  device.driver = &driver;
  device.granule_bytes = 4096;
  return device;
}

wire::LaunchBody LaunchOf(uint64_t kernel) {
  return {.function = kernel,
          .stream = 0,
          .grid = {1, 1, 1},
          .block = {32, 1, 1},
          .shared_bytes = 0,
          .flags = 0,
          .attribute_count = 0,
          .param_bytes = params * 8};
}

// A client with a kernel of `count` parameters, ready to launch.
class Launcher {
 public:
  explicit Launcher(unsigned count) {
    params = count;
    launch_ = LaunchOf(client_.Kernel());
    values_.resize(launch_.param_bytes);
  }
  void Launch() { client_.Send(Command::kLaunch, launch_, values_); }
  void Synchronize() { client_.Ask(Command::kStreamSynchronize, wire::HandleBody{0}); }

 private:
  const DriverTable driver_ = Driver();
  const server::Device device_ = DeviceOf(driver_);
  Client client_{device_};
  wire::LaunchBody launch_;
  std::vector<std::byte> values_;
};

// Bursts, so that the dispatcher finds the next one in the ring.
constexpr int kBurst = 1000;

void Launch(benchmark::State& state) {
  Launcher launcher(static_cast<unsigned>(state.range(0)));
  for (auto _ : state) {
    for (int i = 0; i < kBurst; ++i) launcher.Launch();
    launcher.Synchronize();
  }
  state.SetItemsProcessed(state.iterations() * kBurst);
}
BENCHMARK(Launch)->Arg(8)->Arg(40)->UseRealTime();

void LaunchAndSynchronize(benchmark::State& state) {
  Launcher launcher(8);
  for (auto _ : state) {
    launcher.Launch();
    launcher.Synchronize();
  }
}
BENCHMARK(LaunchAndSynchronize)->UseRealTime();

}  // namespace
}  // namespace mignificient::bench

BENCHMARK_MAIN();
