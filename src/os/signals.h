// Threads whose signals are somebody else's business.
#pragma once

#include <signal.h>

namespace mignificient::os {

// While it lives, the calling thread has every signal blocked, and so do for good the threads that it starts: handlers
// run on the process's other threads.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace mignificient::os
