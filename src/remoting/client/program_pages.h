// The program's own pages: what lies at an address, and how they become memory that a server can map, in place, and
// private memory again.
//
// While pages change hands, a write of another thread to them would be lost between the copy and the moment the new
// page is in place. The first and the last page may hold objects of others, so they change hands one at a time, and
// writers to them wait meanwhile, where the kernel lets us hold them (userfaultfd); elsewhere the gap is about a
// microsecond. The pages between hold nothing but the range, which the program itself hands over.
#pragma once

#include <cstdint>

#include "remoting/client/address_space.h"

namespace mignificient::client {

inline constexpr uint64_t kPageBytes = 4096;

// The whole pages that hold `range`.
inline Extent PagesOf(Extent range) {
  const uint64_t begin = range.address / kPageBytes * kPageBytes;
  const uint64_t end = (range.address + range.bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  return {begin, end - begin};
}

enum class PageKind {
  kAbsent,   // not all mapped and readable
  kPrivate,  // private and writable: nobody notices when they are replaced by others with the same contents
  kOther,    // shared with somebody, of a file, read-only, or part of a stack that is in use
};
PageKind KindOf(Extent pages);

// Replaces private pages by those of the memfd `fd`, which has as many bytes, with the same contents. False: the system
// has no room for the mappings; the pages are as they were.
bool SharePages(Extent pages, int fd);

// Gives back private memory with the contents kept, wherever in `pages` the memfd with inode `inode` is still mapped.
// False: no memory; some pages may still be shared. Allocates nothing, so that a forked child may call it.
bool UnsharePages(Extent pages, uint64_t inode);

}  // namespace mignificient::client
