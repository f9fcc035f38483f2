// What clients wait for: replies and staging chunks that end when work on streams is complete. The dispatcher polls;
// it never blocks inside the driver for one waiter while others have commands.
//
// A stream is polled with cuStreamQuery, which also sees work issued later. So before anything more is issued, the
// dispatcher pins its waits to the present (Pin): each gets an event recorded now, and waits for that instead.
//
// What kernels print appears when the driver synchronises, which after a query costs an H100 2 us. So that is done only
// where a kernel may have printed: once one that can print has been launched, CUDA refuses to change the size of the
// buffer for it, so an attempt to set the size that it has tells.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "driver/driver_table.h"
#include "ring/completion.h"

namespace mignificient::server {

class Waits {
 public:
  explicit Waits(const DriverTable& driver) : driver_(driver) {}
  ~Waits();
  Waits(const Waits&) = delete;
  Waits& operator=(const Waits&) = delete;

  enum class Flush { kNo, kYes };  // kYes: an explicit synchronisation, at which device printf output appears

  // Ends `completion` when all of `streams` are idle.
  void AddStreams(ring::Completion& completion, std::vector<CUstream> streams, Flush flush);
  void AddStream(ring::Completion& completion, CUstream stream, Flush flush) {
    AddStreams(completion, {stream}, flush);
  }
  // Calls `then` once all of `streams` are idle; never when abandoned.
  void After(std::vector<CUstream> streams, std::function<void()> then);
  // Ends `completion` when `event`, which the client may destroy meanwhile, has happened.
  void AddEvent(ring::Completion& completion, CUevent event, Flush flush);

  // Call before issuing work while waits are pending.
  void Pin() {
    if (unpinned_ > 0) PinAll();
  }
  // Call when work has been issued that may contain kernels which have not been issued before.
  void NoteNewKernels() {
    if (prints_ == Prints::kNo) prints_ = Prints::kUnknown;
  }
  // Ends what is complete. True if anything was. `on_error` hears of a wait that failed before its client does.
  bool Poll(const std::function<void(CUresult)>& on_error);
  // Destroys a client's event as soon as no wait uses it.
  void Retire(CUevent event);

  bool empty() const { return waits_.empty(); }
  size_t size() const { return waits_.size(); }
  // Ends everything with `result`.
  void Abandon(CUresult result);

 private:
  struct Condition {
    CUstream stream = nullptr;
    CUevent event = nullptr;  // null: poll the stream
    bool pooled = false;      // the event is ours

    // Whether it ends with work of `stream`, and so not before what was there earlier.
    bool InOrder() const { return event == nullptr || pooled; }
  };
  struct Wait {
    ring::Completion* completion;       // null: nobody waits for the end but `then`
    std::vector<Condition> conditions;  // all must hold; those that do are removed
    Flush flush;
    std::function<void()> then;
  };

  enum class Prints { kNo, kUnknown, kYes };  // whether a kernel that can print was ever issued

  void Add(ring::Completion* completion, const std::vector<CUstream>& streams, Flush flush, std::function<void()> then);
  void PinAll();
  // CUDA_ERROR_NOT_READY while pending.
  CUresult Check(Wait& wait);
  void Drop(const Condition& condition);
  bool MayHavePrinted();

  const DriverTable& driver_;
  std::vector<Wait> waits_;
  size_t unpinned_ = 0;            // conditions without an event
  std::vector<CUstream> pending_;  // of this Poll: streams on which a wait is not over, nor are those behind it
  std::vector<CUevent> pool_;
  std::vector<CUevent> retired_;
  Prints prints_ = Prints::kUnknown;
};

}  // namespace mignificient::server
