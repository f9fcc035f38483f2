#include "os/mapping.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>
#include <utility>

namespace mignificient::os {

namespace {
constexpr int kSizeSeals = F_SEAL_SHRINK | F_SEAL_GROW;
}

Result<UniqueFd> CreateSealedMemory(std::string_view name, uint64_t bytes) {
  UniqueFd fd(::memfd_create(std::string(name).c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return FailErrno("memfd_create", errno);
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) return FailErrno("ftruncate", errno);
  if (::fcntl(fd.get(), F_ADD_SEALS, kSizeSeals | F_SEAL_SEAL) != 0) return FailErrno("fcntl(F_ADD_SEALS)", errno);
  return fd;
}

Result<uint64_t> SealedSize(int fd) {
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0) return Fail(Code::kPeer, "The peer's descriptor is not a memfd.");
  if ((seals & kSizeSeals) != kSizeSeals) return Fail(Code::kPeer, "The peer's memfd is not sealed against resizing.");
  struct stat status{};
  if (::fstat(fd, &status) != 0) return FailErrno("fstat", errno);
  return static_cast<uint64_t>(status.st_size);
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  if (this != &other) {
    if (data_ != nullptr) ::munmap(data_, size_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

Result<Mapping> Mapping::Create(int fd, uint64_t bytes) {
  void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED) return FailErrno("mmap", errno);
  return Mapping(static_cast<std::byte*>(data), bytes);
}

Result<Mapping> Mapping::CreateAt(void* address, int fd, uint64_t bytes) {
  void* data = ::mmap(address, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
  if (data == MAP_FAILED) return FailErrno("mmap", errno);
  if (data != address) {
    ::munmap(data, bytes);
    return Fail(Code::kExists, "Address {} is not free.", fmt::ptr(address));
  }
  return Mapping(static_cast<std::byte*>(data), bytes);
}

}  // namespace mignificient::os
