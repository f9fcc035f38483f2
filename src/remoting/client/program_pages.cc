#include "remoting/client/program_pages.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace mignificient::client {
namespace {

struct Area {  // a line of /proc/self/maps
  uint64_t begin = 0, end = 0, inode = 0;
  bool readable = false, writable = false, executable = false, shared = false;
  bool special = false;  // the kernel's own, or the first thread's stack
};

uint64_t Number(std::string_view& text, unsigned base) {
  uint64_t value = 0;
  while (!text.empty()) {
    const char c = text.front();
    const unsigned digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
    if (digit >= base) break;
    value = value * base + digit;
    text.remove_prefix(1);
  }
  return value;
}

// "begin-end rwxp offset major:minor inode   name"
Area Parse(std::string_view line) {
  Area area;
  area.begin = Number(line, 16);
  line.remove_prefix(std::min<size_t>(1, line.size()));
  area.end = Number(line, 16);
  if (line.size() < 6) return {};
  area.readable = line[1] == 'r', area.writable = line[2] == 'w', area.executable = line[3] == 'x';
  area.shared = line[4] == 's';
  line.remove_prefix(6);
  for (int skipped = 0; skipped < 2; ++skipped)  // offset, device
    line.remove_prefix(std::min(line.find(' '), line.size() - 1) + 1);
  area.inode = Number(line, 10);
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  area.special = line.starts_with('[') && !line.starts_with("[heap]") && !line.starts_with("[anon");
  return area;
}

// Calls `visit(Area)`, clipped to `pages`, in order. False: the system does not tell.
template <typename Visit>
bool ForEachArea(Extent pages, Visit visit) {
  const int fd = ::open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char buffer[4096 + 256];  // a line is at most a path long
  size_t held = 0;
  const uint64_t end = pages.address + pages.bytes;
  bool more = true;
  for (ssize_t got; more && (got = ::read(fd, buffer + held, sizeof buffer - held)) > 0;) {
    held += static_cast<size_t>(got);
    std::string_view text(buffer, held);
    for (size_t line; more && (line = text.find('\n')) != text.npos; text.remove_prefix(line + 1)) {
      Area area = Parse(text.substr(0, line));
      more = area.begin < end;
      if (!more || area.end <= pages.address) continue;
      area.begin = std::max(area.begin, pages.address);
      area.end = std::min(area.end, end);
      visit(area);
    }
    held = text.size() < sizeof buffer ? text.size() : 0;  // an absurd line is dropped
    std::memmove(buffer, text.data(), held);
  }
  ::close(fd);
  return true;
}

void* Pointer(uint64_t address) {
  return reinterpret_cast<void*>(address);
}

// Threads that write to `page` wait until this is gone, and then write to what is there by then.
class WritersHeld {
 public:
  explicit WritersHeld(uint64_t page) {
    const uffdio_range range{page, kPageBytes};
    fd_ = static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY));
    if (fd_ < 0) return;
    uffdio_api api{.api = UFFD_API};
    uffdio_register registration{.range = range, .mode = UFFDIO_REGISTER_MODE_WP};
    uffdio_writeprotect protection{.range = range, .mode = UFFDIO_WRITEPROTECT_MODE_WP};
    // Only a page that is there can be protected.
    static_cast<void>(*reinterpret_cast<const volatile char*>(page));
    if (::ioctl(fd_, UFFDIO_API, &api) == 0 && ::ioctl(fd_, UFFDIO_REGISTER, &registration) == 0)
      ::ioctl(fd_, UFFDIO_WRITEPROTECT, &protection);
  }
  ~WritersHeld() {
    if (fd_ >= 0) ::close(fd_);
  }
  WritersHeld(const WritersHeld&) = delete;
  WritersHeld& operator=(const WritersHeld&) = delete;

 private:
  int fd_ = -1;
};

// The first and the last page by themselves; what is between them in pieces that do not need much memory twice.
template <typename Place>
bool InPieces(Extent pages, Place place) {
  constexpr uint64_t kPieceBytes = uint64_t{32} << 20;
  const uint64_t last = pages.address + pages.bytes - kPageBytes;
  const auto place_edge = [&](uint64_t page) {
    const WritersHeld held(page);
    return place(Extent{page, kPageBytes});
  };
  if (!place_edge(pages.address)) return false;
  for (uint64_t at = pages.address + kPageBytes; at < last; at += kPieceBytes)
    if (!place(Extent{at, std::min(kPieceBytes, last - at)})) return false;
  return last == pages.address || place_edge(last);
}

// Puts private memory with the same contents and protection in the place of what is there.
bool Privatise(Extent piece, int protection) {
  void* const fresh = ::mmap(nullptr, piece.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (fresh == MAP_FAILED) return false;
  if ((protection & PROT_READ) == 0) ::mprotect(Pointer(piece.address), piece.bytes, PROT_READ);
  std::memcpy(fresh, Pointer(piece.address), piece.bytes);
  const bool placed =
      ::mremap(fresh, piece.bytes, piece.bytes, MREMAP_MAYMOVE | MREMAP_FIXED, Pointer(piece.address)) != MAP_FAILED;
  if (!placed) ::munmap(fresh, piece.bytes);
  if (placed && protection != (PROT_READ | PROT_WRITE)) ::mprotect(Pointer(piece.address), piece.bytes, protection);
  return placed;
}

// The stack of the calling thread changes while it copies it.
bool TouchesOwnStack(Extent pages) {
  pthread_attr_t attributes;
  if (::pthread_getattr_np(::pthread_self(), &attributes) != 0) return false;
  void* base = nullptr;
  size_t bytes = 0;
  ::pthread_attr_getstack(&attributes, &base, &bytes);
  ::pthread_attr_destroy(&attributes);
  const auto begin = reinterpret_cast<uint64_t>(base);
  return pages.address < begin + bytes && begin < pages.address + pages.bytes;
}

bool CopyTo(int fd, uint64_t offset, Extent piece) {
  while (piece.bytes > 0) {
    const ssize_t written = ::pwrite(fd, Pointer(piece.address), piece.bytes, static_cast<off_t>(offset));
    if (written <= 0) return false;
    offset += static_cast<uint64_t>(written);
    piece.address += static_cast<uint64_t>(written);
    piece.bytes -= static_cast<uint64_t>(written);
  }
  return true;
}

}  // namespace

PageKind KindOf(Extent pages) {
  uint64_t covered = pages.address;
  bool readable = true, replaceable = true;
  const bool told = ForEachArea(pages, [&](const Area& area) {
    readable = readable && area.readable && area.begin == covered;
    replaceable = replaceable && area.writable && !area.executable && !area.shared && !area.special;
    covered = area.end;
  });
  if (!told || !readable || covered != pages.address + pages.bytes) return PageKind::kAbsent;
  return replaceable && !TouchesOwnStack(pages) ? PageKind::kPrivate : PageKind::kOther;
}

bool SharePages(Extent pages, int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return false;
  const bool done = InPieces(pages, [&](Extent piece) {
    const uint64_t offset = piece.address - pages.address;
    if (!CopyTo(fd, offset, piece)) return false;
    return ::mmap(Pointer(piece.address), piece.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
                  static_cast<off_t>(offset)) != MAP_FAILED;
  });
  if (!done) UnsharePages(pages, status.st_ino);
  return done;
}

bool UnsharePages(Extent pages, uint64_t inode) {
  // What is shared is looked up first: replacing pages while the list is read would change the list.
  constexpr size_t kMostAreas = 64;
  Area areas[kMostAreas];
  size_t count = 0;
  const bool told = ForEachArea(pages, [&](const Area& area) {
    if (area.inode == inode && area.shared && count < kMostAreas) areas[count++] = area;
  });
  bool done = told;
  for (size_t i = 0; i < count; ++i) {
    const Area& area = areas[i];
    const int protection = (area.readable ? PROT_READ : 0) | (area.writable ? PROT_WRITE : 0);
    const auto privatise = [&](Extent piece) { return Privatise(piece, protection); };
    done = InPieces({area.begin, area.end - area.begin}, privatise) && done;
  }
  return done;
}

}  // namespace mignificient::client
