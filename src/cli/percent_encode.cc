#include "cli/percent_encode.h"

#include <fmt/format.h>

namespace mignificient::cli {

std::string PercentEncode(std::string_view text) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
  std::string encoded;
  for (const char letter : text) {
    if (kPlain.find(letter) != kPlain.npos)
      encoded += letter;
    else
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(letter));
  }
  return encoded;
}

}  // namespace mignificient::cli
