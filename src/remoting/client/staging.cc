#include "remoting/client/staging.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <mutex>
#include <optional>
#include <utility>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

#include "remoting/client/call.h"
#include "remoting/client/channel.h"
#include "remoting/client/copy_crew.h"
#include "remoting/wire/commands.h"

namespace mignificient::client {
namespace {

using wire::Command;

constexpr size_t kLeastPart = 128 * 1024;  // below it, the driver's time for a copy is longer than the bus's
constexpr size_t kAround = 64 * 1024;      // from here on the caches are passed by
constexpr size_t kPerThread = 512 * 1024;  // a thread more is worth waking for so much
static_assert(wire::kChunkBytes >= kLeastPart && wire::kStagingChunks <= 32);

// Four parts of a middling copy, so that copying and DMA overlap.
size_t PartBytes(size_t bytes) {
  return std::clamp<size_t>(std::bit_ceil((bytes + 3) / 4), kLeastPart, wire::kChunkBytes);
}

int Helpers(size_t bytes) {
  return static_cast<int>(std::min<size_t>(bytes / kPerThread, 64)) - 1;
}

// To memory that the device reads next: what lies in a processor's cache comes to the bus at a third of the speed.
void CopyPastCaches(std::byte* dst, const std::byte* src, size_t bytes) {
#if defined(__x86_64__)
  constexpr size_t kLine = 64, kAhead = 16 * kLine;
  const size_t whole = bytes / kLine * kLine;
  for (size_t at = 0; at < whole; at += kLine) {
    const auto* from = reinterpret_cast<const __m128i*>(src + at);
    auto* to = reinterpret_cast<__m128i*>(dst + at);
    _mm_prefetch(reinterpret_cast<const char*>(src + at + kAhead), _MM_HINT_T0);
    const __m128i a = _mm_loadu_si128(from), b = _mm_loadu_si128(from + 1);
    const __m128i c = _mm_loadu_si128(from + 2), d = _mm_loadu_si128(from + 3);
    _mm_stream_si128(to, a), _mm_stream_si128(to + 1, b);
    _mm_stream_si128(to + 2, c), _mm_stream_si128(to + 3, d);
  }
  std::memcpy(dst + whole, src + whole, bytes - whole);
  _mm_sfence();  // such stores are ordered by nothing else, not even by the release that publishes the command
#else
  std::memcpy(dst, src, bytes);
#endif
}

CUresult PostPart(Command command, CUdeviceptr device, size_t bytes, uint64_t stream, uint32_t chunk) {
  return PostBody(static_cast<uint16_t>(command), wire::CopyBody{device, bytes, stream, 0, chunk, 0});
}

// Parts of one copy to the device, each copied and issued by whichever thread is free.
class ToDevice {
 public:
  ToDevice(CUdeviceptr dst, const std::byte* src, size_t bytes, uint64_t stream)
      : dst_(dst), src_(src), bytes_(bytes), stream_(stream), part_bytes_(PartBytes(bytes)) {}

  CUresult Run() {
    CopyCrew::Get().Run(Helpers(bytes_), [this] { Work(); });
    return result_.load();
  }

 private:
  void Work() {
    for (;;) {
      const size_t offset = next_.fetch_add(part_bytes_, std::memory_order_relaxed);
      if (offset >= bytes_ || result_.load(std::memory_order_relaxed) != CUDA_SUCCESS) return;
      if (const CUresult result = Stage(offset); result != CUDA_SUCCESS) result_.store(result);
    }
  }

  CUresult Stage(size_t offset) {
    const size_t part = std::min(part_bytes_, bytes_ - offset);
    const uint32_t chunk = channel_.AcquireChunk();
    std::byte* staged = channel_.chunk_data(chunk);
    part >= kAround ? CopyPastCaches(staged, src_ + offset, part)
                    : static_cast<void>(std::memcpy(staged, src_ + offset, part));
    channel_.chunk(chunk).Arm();
    const CUresult result = PostPart(Command::kCopyFromChunk, dst_ + offset, part, stream_, chunk);
    channel_.ReleaseChunk(chunk);
    return result;
  }

  Channel& channel_ = *TheChannel();
  const CUdeviceptr dst_;
  const std::byte* const src_;
  const size_t bytes_;
  const uint64_t stream_;
  const size_t part_bytes_;
  std::atomic<size_t> next_{0};
  std::atomic<CUresult> result_{CUDA_SUCCESS};
};

// A window of chunks under way to the host. Whoever is free collects the oldest and issues a later part in its chunk.
class ToHost {
 public:
  ToHost(std::byte* dst, CUdeviceptr src, size_t bytes, uint64_t stream)
      : dst_(dst), src_(src), bytes_(bytes), stream_(stream), part_bytes_(PartBytes(bytes)) {}

  CUresult Run() {
    if (bytes_ > part_bytes_) channel_.UseAllChunks();
    // Waits for a chunk only while holding none: threads that hold some and wait for more could wait for each other.
    std::optional<uint32_t> chunk = channel_.AcquireChunk();
    while (chunk) {
      Issue(*chunk);
      const bool more = issued_ < bytes_ && result_ == CUDA_SUCCESS;
      chunk = more ? channel_.TryAcquireChunk() : std::nullopt;
    }
    // What is before it in the stream may take long: until then the crew is everybody's.
    if (count_ > 0) channel_.Wait(channel_.chunk(window_[0].chunk));
    CopyCrew::Get().Run(Helpers(bytes_), [this] { Work(); });
    return result_;
  }

 private:
  struct Part {
    uint32_t chunk;
    size_t offset;
  };

  void Work() {
    while (const std::optional<Part> part = Oldest()) {
      const CUresult result = channel_.Wait(channel_.chunk(part->chunk));
      if (result == CUDA_SUCCESS)
        std::memcpy(dst_ + part->offset, channel_.chunk_data(part->chunk), Bytes(part->offset));
      else
        Note(result);
      Issue(part->chunk);
    }
  }

  size_t Bytes(size_t offset) const { return std::min(part_bytes_, bytes_ - offset); }

  std::optional<Part> Oldest() {
    const std::lock_guard lock(lock_);
    if (count_ == 0) return std::nullopt;
    --count_;
    return window_[first_++ % window_.size()];
  }

  // The next part in `chunk`; where there is none, the chunk is released.
  void Issue(uint32_t chunk) {
    const std::optional<size_t> offset = Claim();
    if (offset) {
      channel_.chunk(chunk).Arm();
      const CUresult result = PostPart(Command::kCopyToChunk, src_ + *offset, Bytes(*offset), stream_, chunk);
      if (result == CUDA_SUCCESS) return Enqueue({chunk, *offset});
      Note(result);
    }
    channel_.ReleaseChunk(chunk);
  }

  std::optional<size_t> Claim() {
    const std::lock_guard lock(lock_);
    if (issued_ >= bytes_ || result_ != CUDA_SUCCESS) return std::nullopt;
    return std::exchange(issued_, issued_ + part_bytes_);
  }

  void Enqueue(Part part) {
    const std::lock_guard lock(lock_);
    window_[(first_ + count_++) % window_.size()] = part;
  }

  void Note(CUresult result) {
    const std::lock_guard lock(lock_);
    if (result_ == CUDA_SUCCESS) result_ = result;
  }

  Channel& channel_ = *TheChannel();
  std::byte* const dst_;
  const CUdeviceptr src_;
  const size_t bytes_;
  const uint64_t stream_;
  const size_t part_bytes_;
  std::mutex lock_;
  // Guarded by lock_:
  std::array<Part, wire::kStagingChunks> window_{};
  size_t first_ = 0, count_ = 0;
  size_t issued_ = 0;  // bytes
  CUresult result_ = CUDA_SUCCESS;
};

}  // namespace

CUresult StageToDevice(CUdeviceptr dst, const std::byte* src, size_t bytes, uint64_t stream) {
  return ToDevice(dst, src, bytes, stream).Run();
}

CUresult StageToHost(std::byte* dst, CUdeviceptr src, size_t bytes, uint64_t stream) {
  return ToHost(dst, src, bytes, stream).Run();
}

}  // namespace mignificient::client
