#include "http/acting_user.h"

#include "node/fields.h"

namespace mignificient::http {
namespace {

constexpr std::string_view kDefaultUser = "default";

}  // namespace

Result<> CheckMay(const Identity& identity, const std::string& user) {
  if (identity.May(user)) return {};
  return Fail(Code::kForbidden, "User [{}] may not act for user [{}].", identity.user, user);
}

Result<std::string> ActingUser(const Identity& identity, const std::optional<std::string>& named) {
  if (!named) return identity.user.empty() ? std::string(kDefaultUser) : identity.user;
  MIG_TRY(node::CheckName("user", *named));
  MIG_TRY(CheckMay(identity, *named));
  return *named;
}

Result<std::string> ListedUser(const Identity& identity, const std::optional<std::string>& named) {
  if (!named && identity.administrator) return std::string();
  return ActingUser(identity, named);
}

}  // namespace mignificient::http
