// Who sends a request: nobody in particular, or the owner of a bearer token (CONTRACT 1: 401). On the node's loop.
#pragma once

#include <sys/types.h>

#include <ctime>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/identity.h"
#include "http/reply.h"
#include "http/tokens.h"
#include "node/config.h"

namespace mignificient::http {

// How a connection came.
struct Peer {
  std::optional<uid_t> uid;  // of the process at the other end of a Unix socket
};

// The caller's place in the protocol, before its request is read further.
using Admission = std::expected<Identity, Reply>;

class Authenticator {
 public:
  // Reads the token file that the configuration names. Without one everybody who can connect is the administrator;
  // node::ParseConfig sees to it that these are local processes only.
  static Result<Authenticator> Create(const node::Config& config);

  // Whether there is a token file.
  bool asks() const { return !path_.empty(); }

  // `authorization`: the value of that header. /healthz and /readyz are anybody's. Refusals are 401 with
  // WWW-Authenticate (RFC 6750).
  Admission Admit(std::string_view target, std::string_view authorization, const Peer& peer) const;

  // Reads the file again. A broken one is logged and changes nothing.
  void Reread();
  // The same where the file's size, times or inode are not as they were at the last reading.
  void RereadIfChanged();

 private:
  struct Stamp {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = -1;  // there is no file
    time_t modified_s = 0, changed_s = 0;
    long modified_ns = 0, changed_ns = 0;
    bool operator==(const Stamp&) const = default;
  };
  static Stamp StampOf(const std::string& path);

  std::string path_;  // empty: no tokens
  bool trust_socket_owner_ = false;
  Tokens tokens_;
  Stamp stamp_;
};

}  // namespace mignificient::http
