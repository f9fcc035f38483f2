// Bearer tokens: whom each one stands for. The content of the file that `auth.tokens` names.
//
//   # user   token                                     role
//   alice    sha256:2bd806c97f0e00af1a1fc3328fa763a9...
//   grafana  plain:any-text-of-16-bytes-or-more
//   root     sha256:9f86d081884c7d659a2feaa0c55ad015...  admin
//
// One token per line, fields separated by blanks; `sha256:` is followed by 64 hexadecimal digits, the digest of the
// token. A user may have several tokens (rotation). Only digests are kept in memory.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/identity.h"

namespace mignificient::http {

using Digest = std::array<uint8_t, 32>;
Digest Sha256(std::string_view text);

class Tokens {
 public:
  // Errors name the line. A file without any token is refused: it would lock everybody out.
  static Result<Tokens> Parse(std::string_view text);

  // Whose token it is. Compares with every one, each in constant time.
  std::optional<Identity> Find(std::string_view token) const;
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Digest digest;
    Identity identity;
  };
  std::vector<Entry> entries_;
};

// kForbidden where others than the owner and the group may read it, others than the owner may write it, or the owner is
// neither root nor we.
Result<Tokens> ReadTokens(const std::string& path);

struct NewToken {
  std::string token;  // "mig_" and 43 characters of base64url: 256 random bits
  std::string line;   // for the file
};
// kInvalidArgument where no line of the file can name this user.
Result<NewToken> MakeToken(const std::string& user, bool administrator);

}  // namespace mignificient::http
