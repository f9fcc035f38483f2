#include "remoting/server/stream_marks.h"

namespace mignificient::server {

StreamMarks::~StreamMarks() {
  if (lines_ != nullptr) driver_.cuMemHostUnregister(lines_.get());
}

std::optional<StreamMarks::Mark> StreamMarks::Set(CUstream stream) {
  const auto mark = Take();
  if (!mark) return std::nullopt;
  const auto address = reinterpret_cast<CUdeviceptr>(&lines_->of[mark->line].word);  // it is the same on the device
  CUstreamBatchMemOpParams write;
  write.value = {CU_STREAM_MEM_OP_WRITE_VALUE_32, address, {.value = mark->value}, 0, 0};
  const CUresult result = driver_.cuStreamBatchMemOp_v2(stream, 1, &write, 0);
  if (result == CUDA_SUCCESS) return mark;
  const std::lock_guard lock(lock_);
  free_.push_back(*mark);
  // Anything else may be true of this stream, or of now.
  refused_ = refused_ || result == CUDA_ERROR_NOT_SUPPORTED || result == CUDA_ERROR_INVALID_VALUE;
  return std::nullopt;
}

std::optional<StreamMarks::Mark> StreamMarks::Take() {
  const std::lock_guard lock(lock_);
  if (refused_ || !Prepare()) return std::nullopt;
  if (free_.empty())
    std::erase_if(dropped_, [this](const Mark& mark) { return Reached(mark) && (free_.push_back(mark), true); });
  if (free_.empty()) return std::nullopt;
  Mark mark = free_.back();
  free_.pop_back();
  ++mark.value;
  users_[mark.line] = 1;
  return mark;
}

bool StreamMarks::Prepare() {
  if (lines_ != nullptr) return true;
  auto lines = std::make_unique<Lines>();
  refused_ = driver_.cuMemHostRegister_v2(lines.get(), sizeof(Lines),
                                          CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP) != CUDA_SUCCESS;
  if (refused_) return false;
  lines_ = std::move(lines);
  for (uint32_t line = 0; line < kMost; ++line) free_.push_back({line, 0});
  return true;
}

void StreamMarks::Share(Mark mark) {
  const std::lock_guard lock(lock_);
  ++users_[mark.line];
}

void StreamMarks::Drop(Mark mark) {
  const std::lock_guard lock(lock_);
  if (--users_[mark.line] > 0) return;
  (Reached(mark) ? free_ : dropped_).push_back(mark);
}

}  // namespace mignificient::server
