// Who may use the GPU, and whether anybody does: what the owner of a GPU server and the server share of a session.
#pragma once

#include <cstdint>

#include "os/atomic.h"
#include "os/futex.h"

namespace mignificient::wire {

// Who may use the GPU now. The owner writes it; the GPU server reads it before each copy-class or kernel-class command.
enum class GateState : uint32_t {
  kLocked = 0,   // nothing starts on the device
  kCpuOnly = 1,  // as kLocked; says that the function itself may run
  kMemcpy = 2,   // copies only
  kFull = 3,
};

inline constexpr uint32_t kOneBusy = 1;             // bits 0 to 7: how many connections may have work on the device
inline constexpr uint32_t kOneConnection = 1 << 8;  // bits 8 to 15: how many there are
inline constexpr uint32_t kTroubled = 1u << 31;
constexpr GateState GateStateOf(uint32_t word) {
  return static_cast<GateState>(word & 0xff);
}
constexpr uint32_t GateTurnOf(uint32_t word) {  // never 0, unless it was set 2^24 times
  return word >> 8;
}

// One page of sealed shared memory between the owner and the GPU server; tenants never see it. The state lies in the
// low eight bits of `word`; the others count how often it was set, so that the server can tell a gate that was set
// again.
//
// `in_flight` lets the owner see without a message that there is nothing to drain. The server counts in it the
// session's connections and those of them that may have work on the device, and says that something has gone wrong:
//   - A connection is counted before its client can write a command, until it has torn down.
//   - A connection counts as busy before a command of it passes the gate, until its dispatcher has seen that all its
//     streams are idle, between commands. A command that waits at the gate counts, too.
//   - kTroubled stays once a connection ended for another reason than its client's going, or the context is broken.
// The owner closes the gate, then looks. The dispatcher counts itself, then looks at the gate. All four accesses are
// seq_cst, so one of the two sees the other (Dekker): either the dispatcher finds the gate closed, or the owner finds
// it busy. So where the owner finds nobody busy behind a closed gate, nothing is on the device or on its way there,
// until it sets the gate again. What lies in a ring and has not been read is not counted. The owner may call an
// invocation over only where each client has said that all it had written is carried out (executor::GpuWork). A client
// that lies, or a thread that writes on, has commands that meet the closed gate, as if they had been written after the
// end: in their own container's next turn.
struct GatePage {
  os::Atomic<uint32_t> word;  // futex word: the server sleeps on it, the owner wakes it
  alignas(64) os::Atomic<uint32_t> in_flight;

  // The owner. Sets the state and wakes whoever waits. Who waits at the gate has counted itself before it looked at the
  // word, so it is seen here, or has seen the new state; where there is no connection, there is nobody to wake.
  void Set(GateState state) {
    Store(state);
    if ((in_flight.load(std::memory_order_seq_cst) & ~kTroubled) != 0) os::FutexWakeAll(word);
  }
  // The owner: closes the gate of a session with `connections` connections, none of which has anything to drain. False,
  // and the gate is as it was, where that is not so.
  bool CloseQuiet(uint32_t connections) {
    const uint32_t quiet = connections * kOneConnection;
    if (in_flight.load(std::memory_order_relaxed) != quiet) return false;  // most often it says so at once
    const GateState before = Get();
    Store(GateState::kLocked);  // who is not busy has no command at the gate: nobody is to be woken
    // Pairs with BecomeBusy; acquires what BecomeQuiet has released.
    if (in_flight.load(std::memory_order_seq_cst) == quiet) return true;
    Set(before);
    return false;
  }
  GateState Get() const { return GateStateOf(word.load(std::memory_order_acquire)); }

  // A dispatcher, before it looks at the gate for the first command since it was quiet. Pairs with CloseQuiet.
  void BecomeBusy() { in_flight.fetch_add(kOneBusy, std::memory_order_seq_cst); }
  // The word of the gate, for a command. Behind BecomeBusy. Pairs with Store.
  uint32_t Look() const { return word.load(std::memory_order_seq_cst); }
  // Releases what the dispatcher has found wrong (kTroubled) to the owner.
  void BecomeQuiet() { in_flight.fetch_sub(kOneBusy, std::memory_order_release); }

 private:
  void Store(GateState state) {
    uint32_t turn = GateTurnOf(word.load(std::memory_order_relaxed)) + 1;
    if (turn == 1u << 24) turn = 1;
    word.store(turn << 8 | static_cast<uint32_t>(state), std::memory_order_seq_cst);
  }
};

}  // namespace mignificient::wire
