#include "cli/read_file.h"

#include <cerrno>
#include <memory>

namespace mignificient::cli {

Result<std::string> ReadAll(std::FILE* stream) {
  std::string text;
  char block[1 << 16];
  size_t got = 0;
  while ((got = std::fread(block, 1, sizeof block, stream)) > 0) text.append(block, got);
  if (std::ferror(stream) != 0) return FailErrno("read", errno);
  return text;
}

Result<std::string> ReadFile(const std::filesystem::path& file) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream(std::fopen(file.c_str(), "rbe"), &std::fclose);
  if (stream == nullptr) {
    if (errno == ENOENT) return Fail(Code::kInvalidArgument, "File ({}) does not exist.", file.string());
    return std::unexpected(FailErrno("open", errno).error().While(fmt::format("reading file ({})", file.string())));
  }
  auto text = ReadAll(stream.get());
  if (!text) return std::unexpected(text.error().While(fmt::format("reading file ({})", file.string())));
  return text;
}

Result<std::string> ReadPayload(const std::string& given) {
  if (given == "@-") return ReadAll(stdin);
  if (given.starts_with('@')) return ReadFile(given.substr(1));
  return given;
}

}  // namespace mignificient::cli
