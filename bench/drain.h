// The other end of a client's channel, for measurements of the client alone: a GPU server that carries nothing out. It
// reads commands as fast as the ring gives them, answers each with success, and knows one kernel.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "base/result.h"
#include "os/mapping.h"
#include "os/unique_fd.h"
#include "remoting/wire/commands.h"
#include "remoting/wire/door.h"
#include "ring/ring.h"

namespace mignificient::bench {

class Drain {
 public:
  // Listens at a door that the environment of this process names from now on. Serves one channel on a thread of its
  // own. Kernels that are asked for have parameters of these sizes in bytes.
  static Result<std::unique_ptr<Drain>> Open(const std::vector<uint32_t>& param_bytes);
  ~Drain();

  // While held it reads nothing: what the client writes stays in the ring.
  void Hold(bool held);
  // Waits until it has read everything that was written.
  void WaitUntilEmpty() const;

 private:
  Drain(wire::Door door, const std::vector<uint32_t>& param_bytes);

  Result<> Attach();
  void Serve();
  void Answer(const ring::Record& record);
  wire::RegionHeader& header() const { return *reinterpret_cast<wire::RegionHeader*>(region_.data()); }

  wire::Door door_;
  wire::FunctionReply function_{};
  os::UniqueFd socket_;
  os::Mapping region_;
  std::unique_ptr<ring::Consumer> consumer_;
  std::atomic<uint32_t> held_{0};  // futex word
  std::atomic<uint64_t> read_up_to_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace mignificient::bench
