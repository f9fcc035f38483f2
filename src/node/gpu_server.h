// GPU servers: processes with one CUDA context on one partition, and the sessions that containers have in them.
//
//   Starting -> Ready -> Killed -> Gone
//
// A server is killed when its last session is closed, when a session does not close in time, or when it breaks the
// control protocol (remoting/wire/control.h). All its sessions end with it: they share a fault domain, and are told so.
// Lives on the node's loop (one thread).
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/result.h"
#include "device/inventory.h"
#include "os/child.h"
#include "os/unique_fd.h"
#include "remoting/wire/control.h"

namespace mignificient::node {

struct GpuServerSetup {
  std::string program;
  bool share_by_user = false;  // containers of one user on one partition share a server
  std::chrono::nanoseconds close_timeout{};
};

// What the container of a session hears.
struct SessionOpened {};  // callers at its door are served
struct SessionDrained {
  uint64_t tag;  // of Drain
};
struct SessionWaits {  // a command has come to its gate and cannot pass
  uint32_t gate_word;  // what the gate was then
};
struct SessionFailed {  // this one alone; the server goes on
  wire::SessionEnd end;
  std::string text;
};
struct ContextBroken {  // by another session: every call of this one fails from now on
  std::string sentence;
};
struct ServerLost {  // it has died, is killed, or cannot start; SessionClosed follows
  bool cannot_start;
  std::string sentence;
};
struct SessionClosed {};  // the last: its GPU work is over and its memory is free
using SessionEvent =
    std::variant<SessionOpened, SessionDrained, SessionWaits, SessionFailed, ContextBroken, ServerLost, SessionClosed>;

class GpuServer : public std::enable_shared_from_this<GpuServer> {
 public:
  using Clock = std::chrono::steady_clock;
  struct SessionOptions {
    std::string container;  // in sentences
    uint64_t budget_bytes = 0;
    int door = -1, gate = -1;  // the caller's; passed on before OpenSession returns
    int activity = -1;         // as well; -1: nobody wants to know when commands ran
    std::string key;           // of the door
    std::function<void(SessionEvent)> listener;
  };

  // Fails when the process cannot be spawned. `user` is whom it is for.
  static Result<std::shared_ptr<GpuServer>> Start(boost::asio::any_io_executor executor, const GpuServerSetup& setup,
                                                  const std::string& user, const device::Partition& partition);

  // The session's number. Its events begin after the return.
  Result<uint32_t> OpenSession(SessionOptions options);
  // Asks for SessionDrained: from then on the session's gate holds until it is set again (wire::Hold). Instead of what
  // was asked for before. Returns the tag of SessionDrained.
  uint64_t Drain(uint32_t session, wire::Hold hold, std::chrono::microseconds idle = {});
  // SessionClosed follows once its GPU work has ended; where that takes longer than close_timeout, the server is
  // killed, as it is when no other session is left. Nothing else is told of this session any more.
  void CloseSession(uint32_t session);
  // Has everybody told what the server had said by now: its last words, when one of its sessions' processes has died.
  void Hear();

  bool takes_sessions();
  // False once it has let go of its control socket, however it comes to that: its death is told a little later.
  bool listens();
  // For who looks at several sockets at once; -1: it does not listen.
  int control() { return listens_ && control_.is_open() ? control_.native_handle() : -1; }
  // Whether its next session would be the first thing that it does.
  bool is_new() const { return !ready_at_ && sessions_.empty(); }
  std::optional<Clock::time_point> ready_at() const { return ready_at_; }
  pid_t pid() const { return process_.pid(); }  // 0: reaped

 private:
  struct Session {
    std::string container;
    std::function<void(SessionEvent)> listener;
    bool closing = false;
    std::optional<boost::asio::steady_timer> close_deadline = {};
  };

  GpuServer(boost::asio::any_io_executor executor, const GpuServerSetup& setup, std::string user)
      : executor_(executor), setup_(setup), user_(std::move(user)), control_(executor) {}

  Result<> Spawn(const device::Partition& partition);
  boost::asio::awaitable<void> WatchControl();
  boost::asio::awaitable<void> AwaitDeath();
  boost::asio::awaitable<void> WatchClose(uint32_t session);
  bool ReadControl();
  void On(const wire::ControlMessage& message);
  void OnReady();
  void OnSessionEnded(uint32_t session, wire::SessionEnd end, const std::string& text);
  void OnContextBroken(uint32_t session, const std::string& text);
  void OnDeath(const std::string& how);
  void Tell(uint32_t session, SessionEvent event);
  void Lose(bool cannot_start, std::string sentence);
  void Kill();
  void Send(const wire::ControlMessage& message);
  std::vector<std::string> Containers() const;

  boost::asio::any_io_executor executor_;
  GpuServerSetup setup_;
  std::string user_;
  os::Child process_;
  boost::asio::posix::stream_descriptor control_;
  std::map<uint32_t, Session> sessions_;
  std::optional<Clock::time_point> ready_at_;
  uint32_t last_session_ = 0;
  uint64_t last_drain_ = 0;
  bool listens_ = true, broken_ = false, killed_ = false;
};

// Which server a new container gets: one of its own, or the user's on that partition.
class GpuServers {
 public:
  GpuServers(boost::asio::any_io_executor executor, GpuServerSetup setup)
      : executor_(std::move(executor)), setup_(std::move(setup)) {}

  Result<std::shared_ptr<GpuServer>> For(const std::string& user, const device::Partition& partition);

 private:
  boost::asio::any_io_executor executor_;
  GpuServerSetup setup_;
  std::map<std::pair<std::string, std::string>, std::weak_ptr<GpuServer>> shared_;  // by user and partition
};

// The sentence that ends what befell a server of `user` with these containers; empty where it had one container.
std::string SharedFaults(const std::string& user, const std::vector<std::string>& containers);

}  // namespace mignificient::node
