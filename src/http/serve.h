// The orchestrator as one call: discovers devices, listens, serves until told to stop.
#pragma once

#include "base/result.h"
#include "node/config.h"

namespace mignificient::http {

// Runs on the calling thread, which must be the process's main thread and stay alive as long as the node: children ask
// the kernel to die with it. Makes the process a child subreaper. Returns after SIGTERM or SIGINT once every
// request is answered and every child is reaped (a second signal does not shorten this); or at once with
// the reason why it cannot start (address in use, a program missing, no devices).
// SIGHUP rereads the token file and the certificate.
// Writes the log line `listening address=... port=...` when requests are accepted.
Result<> Serve(const node::Config& config);

}  // namespace mignificient::http
