// What clients wait for: replies and staging chunks that end when work on streams is complete. The dispatcher polls;
// it never blocks inside the driver for one waiter while others have commands.
//
// A stream is polled with cuStreamQuery, which also sees work issued later. So before anything more is issued, the
// dispatcher pins its waits to the present (Pin): each gets an event recorded now, and waits for that instead.
//
// Who waits for what has only just been issued gets a mark behind it (stream_marks.h), and that is looked at: it is
// seen sooner. Behind older work it might come later than the work ends. A mark does not come where the device has
// failed, so the driver is still asked now and then.
//
// What kernels print appears when the driver synchronises, which after a query costs an H100 2 us. So that is done only
// where a kernel may have printed: once one that can print has been launched, CUDA refuses to change the size of the
// buffer for it, so an attempt to set the size that it has tells.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "driver/driver_table.h"
#include "remoting/server/stream_marks.h"
#include "ring/completion.h"

namespace mignificient::server {

class Waits {
 public:
  // `marks` outlives it; null: none are set.
  Waits(const DriverTable& driver, StreamMarks* marks) : driver_(driver), marks_(marks) {}
  ~Waits();
  Waits(const Waits&) = delete;
  Waits& operator=(const Waits&) = delete;

  enum class Purpose {
    kSynchronize,  // a client waits, and what kernels have printed is to appear
    kAnswer,       // a client waits
    kRoom,         // nobody waits, unless there is no more room
  };

  // Ends `completion` when all of `streams` are idle.
  void AddStreams(ring::Completion& completion, const std::vector<CUstream>& streams, Purpose purpose);
  void AddStream(ring::Completion& completion, CUstream stream, Purpose purpose) {
    AddStreams(completion, {stream}, purpose);
  }
  // Calls `then` once all of `streams` are idle; never when abandoned.
  void After(const std::vector<CUstream>& streams, std::function<void()> then);
  // Ends `completion` when `event`, which the client may destroy meanwhile, has happened.
  void AddEvent(ring::Completion& completion, CUevent event, Purpose purpose);

  // Call when work has been issued to `stream`, and when that is a microsecond ago.
  void NoteIssued(CUstream stream) {
    just_issued_ = stream;
    just_recorded_ = nullptr;
    if (last_marked_ == stream) last_marked_.reset();
  }
  void NoteTimePassed() { just_issued_.reset(); }
  // Call after NoteIssued where what was issued is the recording of this event.
  void NoteRecorded(CUevent event) { just_recorded_ = event; }
  // Call before issuing work while waits are pending.
  void Pin() {
    if (unpinned_ > 0) PinAll();
  }
  // Call when work has been issued that may contain kernels which have not been issued before.
  void NoteNewKernels() {
    if (prints_ == Prints::kNo) prints_ = Prints::kUnknown;
  }
  enum class Look {
    kGlance,  // there are commands to carry out
    kSpin,    // there are none; the next look comes at once
    kSlept,   // there are none; the next look comes much later
  };
  // Ends what is complete. True if anything was. `on_error` hears of a wait that failed before its client does.
  bool Poll(Look look, const std::function<void(CUresult)>& on_error);
  // A stream of which a mark has told that it is idle, once.
  std::optional<CUstream> TakeIdle() { return std::exchange(idle_, std::nullopt); }
  // Call before a stream is destroyed, or may take part in a capture, which a question would end: the driver is asked
  // after events alone.
  void LetGoOfStreams();
  // Destroys a client's event as soon as no wait uses it.
  void Retire(CUevent event);

  bool empty() const { return waits_.empty(); }
  size_t size() const { return waits_.size(); }
  // Ends everything with `result`.
  void Abandon(CUresult result);

 private:
  struct Condition {
    CUstream stream = nullptr;                // also of an event where a mark may be set
    CUevent event = nullptr;                  // null: poll the stream
    bool pooled = false;                      // the event is ours
    std::optional<StreamMarks::Mark> mark{};  // tells before the driver does, which is then seldom asked
    bool lost = false;                        // there is neither a stream nor an event to ask after

    bool PollsStream() const { return event == nullptr && !mark; }
    // Whether it ends with work of `stream`, and so not before what was there earlier.
    bool InOrder() const { return event == nullptr || pooled; }
  };
  struct Wait {
    ring::Completion* completion;       // null: nobody waits for the end but `then`
    std::vector<Condition> conditions;  // all must hold; those that do are removed
    Purpose purpose;
    std::function<void()> then;
  };

  enum class Prints { kNo, kUnknown, kYes };  // whether a kernel that can print was ever issued

  void Add(ring::Completion* completion, const std::vector<CUstream>& streams, Purpose purpose,
           std::function<void()> then);
  void PinAll();
  bool Record(Condition& condition);
  // CUDA_ERROR_NOT_READY while pending.
  CUresult Check(Wait& wait, Look look);
  CUresult Ask(Condition& condition, Look look);
  void WantMark(const Wait& wait);
  void SetMark();
  void Drop(const Condition& condition);
  bool MayHavePrinted();

  const DriverTable& driver_;
  StreamMarks* const marks_;
  std::vector<Wait> waits_;
  size_t unpinned_ = 0;  // conditions that poll a stream
  std::optional<CUstream> just_issued_;
  CUevent just_recorded_ = nullptr;               // null: it was something else
  const ring::Completion* wants_mark_ = nullptr;  // until the next Poll is over: behind what was issued then
  std::optional<CUstream> last_marked_;           // nothing has been issued to it since
  std::optional<CUstream> idle_;
  uint32_t looks_ = 0;
  bool asks_driver_ = true;        // in this Poll also where there is a mark
  std::vector<CUstream> pending_;  // of this Poll: streams on which a wait is not over, nor are those behind it
  std::vector<CUevent> pool_;
  std::vector<CUevent> retired_;
  Prints prints_ = Prints::kUnknown;
};

}  // namespace mignificient::server
