// Something of each thread that is too large to be thread-local. Thread-local variables of this library are in the
// initial-exec model: an access costs no call, but all of them together must fit into the little room that the loader
// keeps for libraries that are loaded late (tests/abi/thread_room_test.py). So a thread-local pointer is all that
// is kept here.
#pragma once

#include <pthread.h>

namespace mignificient::client {

// The T of the calling thread: made where it first asks, destroyed with the thread, and made anew if whatever else ends
// with the thread still asks for it. That of the main thread lives until the process ends.
template <typename T>
class ThreadOwned {
 public:
  static T& Get() {
    if (mine_ == nullptr) [[unlikely]]
      Make();
    return *mine_;
  }

 private:
  static void Make() {
    static const pthread_key_t key = [] {
      pthread_key_t made;
      ::pthread_key_create(&made, Destroy);
      return made;
    }();
    mine_ = new T;
    ::pthread_setspecific(key, mine_);
  }
  static void Destroy(void* of_thread) {
    mine_ = nullptr;
    delete static_cast<T*>(of_thread);
  }

  static inline constinit thread_local T* mine_ = nullptr;
};

}  // namespace mignificient::client
