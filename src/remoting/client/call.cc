#include "remoting/client/call.h"

#include <pthread.h>

#include <cstdio>
#include <mutex>
#include <set>
#include <string>

#include "remoting/client/capture.h"
#include "remoting/client/channel.h"

namespace mignificient::client {

constinit std::atomic<Attached> attached{Attached::kNo};
constinit std::atomic<Channel*> the_channel{nullptr};
constinit const std::atomic<uint32_t> no_channel{1};
constinit std::atomic<const std::atomic<uint32_t>*> trouble{&no_channel};

namespace {

// The state of the process. Constant-initialised and never destroyed: entry points are called before our constructors
// and after our destructors would have run.
constinit std::mutex attach_lock;

// Who forks while another thread attaches waits for it, so that the child finds the lock free.
void BeforeFork() {
  attach_lock.lock();
}
void InForkingParent() {
  attach_lock.unlock();
}
// A forked child has neither its parent's region nor its threads. CUDA too refuses to work after fork; a child that is
// forked before cuInit attaches for itself.
void InForkedChild() {
  attach_lock.unlock();
  if (attached.load() != Attached::kYes) return;
  attached.store(Attached::kForked);
  trouble.store(&no_channel);
  TheChannel()->AbandonInChild();
}

__attribute__((constructor)) void WatchForks() {
  ::pthread_atfork(BeforeFork, InForkingParent, InForkedChild);
}

CUresult Waited(Channel& channel, uint16_t slot, std::span<std::byte> reply) {
  const CUresult result = channel.Wait(channel.reply(slot));
  // A slot whose server died stays armed; it is given back only when its completion is done.
  if (!channel.reply(slot).Done()) return result;
  if (result == CUDA_SUCCESS && !reply.empty()) std::memcpy(reply.data(), channel.reply_data(slot), reply.size());
  channel.ReleaseSlot(slot);
  return result;
}

}  // namespace

CUresult Attach() {
  const std::lock_guard lock(attach_lock);
  switch (attached.load()) {
    case Attached::kYes:
      return CUDA_SUCCESS;
    case Attached::kForked:
      return CUDA_ERROR_NOT_INITIALIZED;
    case Attached::kNo:
      break;
  }
  auto channel = Channel::Open();
  if (!channel) {
    if (channel.error().code() == Code::kNotFound) return CUDA_ERROR_NO_DEVICE;
    std::fprintf(stderr, "mignificient: %s\n", channel.error().message().c_str());
    return channel.error().code() == Code::kExhausted ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_SYSTEM_NOT_READY;
  }
  trouble.store(&(*channel)->deferred_error(), std::memory_order_release);
  the_channel.store(channel->release(), std::memory_order_release);
  attached.store(Attached::kYes, std::memory_order_release);
  return CUDA_SUCCESS;
}

CUresult WhyNotReady() {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  if (!CurrentContextLives())
    return CurrentContext() == nullptr ? CUDA_ERROR_INVALID_CONTEXT : CUDA_ERROR_CONTEXT_IS_DESTROYED;
  Channel& channel = *TheChannel();
  if (channel.broken()) return CUDA_ERROR_DEVICE_UNAVAILABLE;
  return channel.TakeDeferredError();
}

const wire::DeviceInfo& Device() {
  return TheChannel()->welcome().device;
}

CUresult Post(uint16_t opcode, std::span<const std::byte> body, std::span<const std::byte> tail) {
  return TheChannel()->Write(opcode, wire::kNoReply, body, tail) ? CUDA_SUCCESS : CUDA_ERROR_DEVICE_UNAVAILABLE;
}

CUresult Issue(uint16_t opcode, std::span<const std::byte> body, std::span<const std::byte> tail) {
  return AnyCapture() ? Call(opcode, body, {}, tail) : Post(opcode, body, tail);
}

CUresult Call(uint16_t opcode, std::span<const std::byte> body, std::span<std::byte> reply,
              std::span<const std::byte> tail) {
  Channel& channel = *TheChannel();
  const uint16_t slot = channel.AcquireSlot(reply.size());
  channel.reply(slot).Arm();
  if (!channel.Write(opcode, slot, body, tail)) return CUDA_ERROR_DEVICE_UNAVAILABLE;
  return Waited(channel, slot, reply);
}

CUresult Refused(const char* name) {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  static std::mutex& lock = *new std::mutex;
  static std::set<std::string>& seen = *new std::set<std::string>;
  const std::lock_guard guard(lock);
  if (seen.insert(name).second)
    std::fprintf(stderr, "mignificient: %s is not supported; the program gets CUDA_ERROR_NOT_SUPPORTED.\n", name);
  return CUDA_ERROR_NOT_SUPPORTED;
}

}  // namespace mignificient::client
