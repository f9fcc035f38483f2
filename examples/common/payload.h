// Reads the payload of an example: a flat JSON object of whole numbers, such as {"vec-elements": 1024, "seed": 7}.
// Small on purpose: an example should show CUDA, not a JSON library.
#pragma once

#include <cctype>
#include <charconv>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace example {

class Payload {
 public:
  // nullopt when `text` is not such an object. Nothing but white space is an empty object.
  static std::optional<Payload> Parse(std::string_view text) {
    Payload payload;
    Scanner in{text};
    in.SkipSpace();
    if (in.AtEnd()) return payload;
    if (!in.Take('{')) return std::nullopt;
    if (!in.Take('}')) {
      do {
        std::string key;
        long long value = 0;
        if (!in.TakeKey(key) || !in.Take(':') || !in.TakeNumber(value)) return std::nullopt;
        payload.numbers_[key] = value;
      } while (in.Take(','));
      if (!in.Take('}')) return std::nullopt;
    }
    in.SkipSpace();
    if (!in.AtEnd()) return std::nullopt;
    return payload;
  }

  // The number under `key`, or `otherwise` where the payload does not name it.
  long long Number(const std::string& key, long long otherwise) const {
    const auto found = numbers_.find(key);
    return found == numbers_.end() ? otherwise : found->second;
  }

 private:
  struct Scanner {
    std::string_view rest;

    bool AtEnd() const { return rest.empty(); }
    void SkipSpace() {
      while (!rest.empty() && std::isspace(static_cast<unsigned char>(rest.front()))) rest.remove_prefix(1);
    }
    bool Take(char wanted) {
      SkipSpace();
      if (rest.empty() || rest.front() != wanted) return false;
      rest.remove_prefix(1);
      return true;
    }
    bool TakeKey(std::string& key) {
      if (!Take('"')) return false;
      const size_t end = rest.find('"');
      if (end == std::string_view::npos) return false;
      key = std::string(rest.substr(0, end));
      rest.remove_prefix(end + 1);
      return true;
    }
    bool TakeNumber(long long& value) {
      SkipSpace();
      const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
      if (error != std::errc{}) return false;
      rest.remove_prefix(static_cast<size_t>(end - rest.data()));
      return true;
    }
  };

  std::map<std::string, long long> numbers_;
};

}  // namespace example
