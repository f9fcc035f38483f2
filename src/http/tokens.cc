#include "http/tokens.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "os/unique_fd.h"

namespace mignificient::http {
namespace {

constexpr size_t kUserBytes = 256;
constexpr size_t kPlainBytes = 16;        // least
constexpr size_t kFileBytes = 16u << 20;  // most
constexpr std::string_view kBlanks = " \t\r";

template <typename... Args>
std::unexpected<Error> BadLine(size_t line, fmt::format_string<Args...> format, Args&&... args) {
  return Fail(Code::kInvalidArgument, "Line {}: {}", line, fmt::format(format, std::forward<Args>(args)...));
}

std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  for (;;) {
    line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
    if (line.empty()) return words;
    words.push_back(line.substr(0, line.find_first_of(kBlanks)));
    line.remove_prefix(words.back().size());
  }
}

int Digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const int letter = (c | 0x20) - 'a';
  return letter >= 0 && letter < 6 ? letter + 10 : -1;
}

std::optional<Digest> FromHex(std::string_view text) {
  Digest digest;
  if (text.size() != digest.size() * 2) return std::nullopt;
  for (size_t i = 0; i < digest.size(); ++i) {
    const int high = Digit(text[2 * i]), low = Digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    digest[i] = static_cast<uint8_t>(high * 16 + low);
  }
  return digest;
}

std::string Hex(const Digest& digest) {
  std::string text;
  for (const uint8_t byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

Result<Digest> DigestOf(std::string_view word, size_t line) {
  constexpr std::string_view kHashed = "sha256:", kPlain = "plain:";
  // The text itself is no business of a log.
  if (word.starts_with(kHashed)) {
    const auto digest = FromHex(word.substr(kHashed.size()));
    if (!digest)
      return BadLine(line, "after sha256: {} bytes are given; 64 hexadecimal digits are required.",
                     word.size() - kHashed.size());
    return *digest;
  }
  if (!word.starts_with(kPlain))
    return BadLine(line, "the second word is no token; sha256:HEX or plain:TOKEN is allowed.");
  word.remove_prefix(kPlain.size());
  if (word.size() < kPlainBytes)
    return BadLine(line, "a token of {} bytes is given; at least {} are required.", word.size(), kPlainBytes);
  return Sha256(word);
}

bool IsUser(std::string_view name) {
  return !name.empty() && name.size() <= kUserBytes && !name.starts_with('#') &&
         std::ranges::none_of(name, [](unsigned char c) { return c <= 0x20 || c == 0x7f; });
}

Result<> CheckOwner(const std::string& path, const struct stat& status) {
  if (!S_ISREG(status.st_mode)) return Fail(Code::kInvalidArgument, "Token file [{}] is not a regular file.", path);
  if (static_cast<size_t>(status.st_size) > kFileBytes)
    return Fail(Code::kInvalidArgument, "Token file [{}] has {} bytes; at most {} are allowed.", path, status.st_size,
                kFileBytes);
  if (status.st_uid != 0 && status.st_uid != ::geteuid())
    return Fail(Code::kForbidden,
                "Token file [{}] belongs to user id {}; only root or the node's own user id {} is allowed.", path,
                status.st_uid, ::geteuid());
  if (constexpr mode_t kForbiddenBits = S_IWGRP | S_IXGRP | S_IRWXO; (status.st_mode & kForbiddenBits) != 0)
    return Fail(
        Code::kForbidden,
        "Token file [{}] has mode {:04o}: others may read or change it; at most 0640 is allowed (chmod 600 \"{}\").",
        path, status.st_mode & 07777, path);
  return {};
}

}  // namespace

Digest Sha256(std::string_view text) {
  Digest digest;
  EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
  return digest;
}

Result<Tokens> Tokens::Parse(std::string_view text) {
  Tokens tokens;
  for (size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::vector<std::string_view> words = Words(line);
    if (words.empty() || words.front().starts_with('#')) continue;
    if (words.size() < 2 || words.size() > 3 || (words.size() == 3 && words[2] != "admin"))
      return BadLine(number, "{} words are given; USER TOKEN or USER TOKEN admin is allowed.", words.size());
    if (!IsUser(words[0]))
      return BadLine(number, "the user's name has {} bytes or control characters; 1 to {} bytes without are allowed.",
                     words[0].size(), kUserBytes);
    MIG_ASSIGN(const Digest digest, DigestOf(words[1], number));
    if (std::ranges::find(tokens.entries_, digest, &Entry::digest) != tokens.entries_.end())
      return BadLine(number, "an earlier line has the same token.");
    tokens.entries_.push_back({digest, {.user = std::string(words[0]), .administrator = words.size() == 3}});
  }
  if (tokens.entries_.empty())
    return Fail(Code::kInvalidArgument, "It names no token; one USER TOKEN per line is required.");
  return tokens;
}

std::optional<Identity> Tokens::Find(std::string_view token) const {
  const Digest digest = Sha256(token);
  const Entry* found = nullptr;
  for (const Entry& entry : entries_)
    if (CRYPTO_memcmp(entry.digest.data(), digest.data(), digest.size()) == 0) found = &entry;
  if (found == nullptr) return std::nullopt;
  return found->identity;
}

Result<Tokens> ReadTokens(const std::string& path) {
  const os::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return FailErrno(fmt::format("opening the token file [{}] (key auth.tokens)", path), errno);
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return FailErrno("fstat", errno);
  MIG_TRY(CheckOwner(path, status));
  std::string text(static_cast<size_t>(status.st_size), '\0');
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t size = ::read(file.get(), text.data() + done, text.size() - done);
    if (size < 0 && errno != EINTR) return FailErrno(fmt::format("reading [{}]", path), errno);
    if (size == 0) break;
    done += static_cast<size_t>(std::max<ssize_t>(size, 0));
  }
  text.resize(done);
  auto tokens = Tokens::Parse(text);
  OPENSSL_cleanse(text.data(), text.size());
  if (!tokens)
    return std::unexpected(std::move(tokens).error().While(fmt::format("reading the token file [{}]", path)));
  return tokens;
}

Result<NewToken> MakeToken(const std::string& user, bool administrator) {
  if (!IsUser(user))
    return Fail(Code::kInvalidArgument,
                "User ({}) cannot be in a token file: 1 to {} bytes without blanks, and no # in front, are allowed.",
                user, kUserBytes);
  std::array<uint8_t, 32> random{};
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()))
    return FailErrno("getrandom", errno);
  std::array<char, 64> base64{};
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(base64.data()), random.data(), random.size());
  std::string token(base64.data(), static_cast<size_t>(size));
  while (token.ends_with('=')) token.pop_back();
  std::ranges::replace(token, '+', '-');
  std::ranges::replace(token, '/', '_');
  token = "mig_" + token;
  std::string line = fmt::format("{} sha256:{}{}", user, Hex(Sha256(token)), administrator ? " admin" : "");
  return NewToken{std::move(token), std::move(line)};
}

}  // namespace mignificient::http
