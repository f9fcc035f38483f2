#include "http/auth.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include <boost/beast/core/string.hpp>

#include "base/log.h"

namespace mignificient::http {
namespace {

bool IsOpen(std::string_view target) {
  const std::string_view path = target.substr(0, target.find('?'));
  return path == "/healthz" || path == "/readyz";
}

std::unexpected<Reply> Unauthenticated(std::string_view challenge, std::string_view sentence) {
  Reply reply = ErrorReply(401, "unauthenticated", sentence);
  reply.headers.emplace_back("WWW-Authenticate", challenge);
  return std::unexpected(std::move(reply));
}

}  // namespace

Result<Authenticator> Authenticator::Create(const node::Config& config) {
  Authenticator made;
  made.path_ = config.auth.tokens;
  made.trust_socket_owner_ = config.auth.trust_socket_owner;
  if (made.path_.empty()) return made;
  made.stamp_ = StampOf(made.path_);
  MIG_ASSIGN(made.tokens_, ReadTokens(made.path_));
  log::Info("tokens_read", {{"file", made.path_}, {"tokens", made.tokens_.size()}});
  return made;
}

Admission Authenticator::Admit(std::string_view target, std::string_view authorization, const Peer& peer) const {
  if (!asks()) return Identity{};
  if (IsOpen(target)) return Identity{.user = {}, .administrator = false};
  constexpr std::string_view kScheme = "Bearer ";
  if (authorization.empty()) {
    if (trust_socket_owner_ && peer.uid && (*peer.uid == 0 || *peer.uid == ::geteuid())) return Identity{};
    return Unauthenticated("Bearer realm=\"mignificient\"",
                           "The request carries no token; a header `Authorization: Bearer TOKEN` is required.");
  }
  const bool bearer = boost::beast::iequals(authorization.substr(0, kScheme.size()), kScheme);
  if (bearer) {
    std::string_view token = authorization.substr(kScheme.size());
    token.remove_prefix(std::min(token.find_first_not_of(' '), token.size()));
    if (auto identity = tokens_.Find(token)) return *std::move(identity);
  }
  return Unauthenticated(
      "Bearer realm=\"mignificient\", error=\"invalid_token\"",
      bearer ? "The request's token is not known." : "The request's Authorization is no `Bearer TOKEN`.");
}

void Authenticator::Reread() {
  if (path_.empty()) return;
  stamp_ = StampOf(path_);
  auto read = ReadTokens(path_);
  if (!read) {
    log::Error("tokens_kept", {{"file", path_}, {"tokens", tokens_.size()}, {"error", read.error().message()}});
    return;
  }
  tokens_ = std::move(*read);
  log::Info("tokens_read", {{"file", path_}, {"tokens", tokens_.size()}});
}

void Authenticator::RereadIfChanged() {
  if (!path_.empty() && StampOf(path_) != stamp_) Reread();
}

Authenticator::Stamp Authenticator::StampOf(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return {};
  return {status.st_dev,         status.st_ino,          status.st_size,        status.st_mtim.tv_sec,
          status.st_ctim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_nsec};
}

}  // namespace mignificient::http
