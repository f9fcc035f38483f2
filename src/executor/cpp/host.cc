#include "executor/cpp/host.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>

#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <utility>

#include <mignificient/function.hpp>

#include "os/mapping.h"

namespace mignificient::executor {
namespace {

// Handlers return int or size_t. Results are below 2 GiB, so the low 32 bits hold either, and a negative int stays one.
using Handler = int (*)(mignificient::Invocation);

Result<> SendFailure(int channel, LoadFailure failure, std::string_view text) {
  return SendMessage(channel, {.kind = MessageKind::kFailed, .failure = failure}, text);
}

// Null where the failure was sent instead.
Result<Handler> Load(const HostOptions& options) {
  void* library = ::dlopen(options.function.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    MIG_TRY(SendFailure(options.channel, LoadFailure::kLibrary, ::dlerror()));
    return nullptr;
  }
  void* symbol = ::dlsym(library, options.handler.c_str());
  if (symbol == nullptr) MIG_TRY(SendFailure(options.channel, LoadFailure::kHandler, options.handler));
  return reinterpret_cast<Handler>(symbol);
}

struct Yield {
  int channel;
  uint64_t invocation;

  static void Tell(void* context) {
    const auto& self = *static_cast<Yield*>(context);
    // A channel that is closed means that this process is about to be killed.
    (void)SendMessage(self.channel, {.kind = MessageKind::kYielded, .invocation = self.invocation});
  }
};

struct Answer {
  Message message;
  std::string text;
};

Answer Call(Handler handler, const HostOptions& options, const Message& request, std::byte* memory) {
  Yield yield{options.channel, request.invocation};
  auto* bytes = reinterpret_cast<uint8_t*>(memory);
  const mignificient::Invocation invocation({bytes, request.payload_size},
                                            {bytes + options.layout.result_offset(), 0, options.layout.result_capacity},
                                            &Yield::Tell, &yield);
  Answer answer{{.kind = MessageKind::kReturned, .invocation = request.invocation}, {}};
  try {
    answer.message.value = handler(invocation);
  } catch (const std::exception& exception) {
    answer.message.kind = MessageKind::kThrew;
    answer.text = fmt::format("The function threw an exception: {}", exception.what());
  } catch (...) {
    answer.message.kind = MessageKind::kThrew;
    answer.text = "The function threw an exception that is not a std::exception.";
  }
  return answer;
}

// Asks our libcuda.so.1, where something has loaded it; from then on it stays.
class GpuWorkEnd {
 public:
  GpuWork Finish() {
    if (library_ == nullptr && SomethingWasLoaded()) Find();
    if (library_ == nullptr) return GpuWork::kNone;
    return finish_ == nullptr ? GpuWork::kUnknown : static_cast<GpuWork>(finish_());
  }

 private:
  // Since the last look. To ask for a library that is not loaded has the loader search its path in the file system.
  bool SomethingWasLoaded() {
    const auto read = [](dl_phdr_info* info, size_t, void* count) {
      *static_cast<unsigned long long*>(count) = info->dlpi_adds;
      return 1;  // each has the same count
    };
    unsigned long long count = 0;
    ::dl_iterate_phdr(read, &count);
    return std::exchange(loaded_, count) != count;
  }

  void Find() {
    library_ = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    if (library_ != nullptr) finish_ = reinterpret_cast<int (*)()>(::dlsym(library_, "mignificient_finish"));
  }

  unsigned long long loaded_ = 0;  // libraries so far, those that were unloaded too
  void* library_ = nullptr;
  int (*finish_)() = nullptr;
};

void FlushOutput() {
  std::cout.flush();
  std::fflush(nullptr);
}

}  // namespace

Result<> RunHost(const HostOptions& options) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // a crash loses no whole line
  for (const int fd : {options.channel, options.memory}) ::fcntl(fd, F_SETFD, FD_CLOEXEC);  // not for its children
  MIG_ASSIGN(const os::Mapping memory, os::Mapping::Create(options.memory, options.layout.total()));
  MIG_ASSIGN(const Handler handler, Load(options));
  FlushOutput();
  if (handler == nullptr) return {};
  MIG_TRY(SendMessage(options.channel, {.kind = MessageKind::kReady}));
  GpuWorkEnd gpu_work;
  Incoming incoming;
  for (;;) {
    MIG_ASSIGN(const auto received, ReceiveMessage(options.channel, incoming));
    if (!received) return {};
    const Message& request = received->message;
    if (request.kind != MessageKind::kInvoke || request.payload_size > options.layout.payload_capacity)
      return Fail(Code::kPeer, "The orchestrator sent a message that is no invocation.");
    Answer answer = Call(handler, options, request, memory.data());
    FlushOutput();
    answer.message.gpu_work = gpu_work.Finish();
    MIG_TRY(SendMessage(options.channel, answer.message, answer.text));
  }
}

}  // namespace mignificient::executor
