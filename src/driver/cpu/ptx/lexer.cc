#include "driver/cpu/ptx/lexer.h"

#include <bit>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <string>

namespace mignificient::cpu::ptx {
namespace {

bool IsNameStart(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '%';
}
bool IsNamePart(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$';
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  Result<std::vector<Token>> Run() {
    tokens_.reserve(source_.size() / 4);
    for (;;) {
      MIG_TRY(SkipBlanks());
      if (at_ >= source_.size() || source_[at_] == '\0') break;
      MIG_TRY(Next());
    }
    Push(Token::Kind::kEnd, at_);
    return std::move(tokens_);
  }

 private:
  char Peek(size_t ahead = 0) const { return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0'; }

  void Push(Token::Kind kind, size_t begin, uint64_t value = 0) {
    tokens_.push_back({kind, source_.substr(begin, at_ - begin), value, line_});
  }

  Result<void> SkipBlanks() {
    while (at_ < source_.size()) {
      const char c = source_[at_];
      if (c == '\n') {
        ++line_;
        ++at_;
      } else if (c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v') {
        ++at_;
      } else if (c == '/' && Peek(1) == '/') {
        while (at_ < source_.size() && source_[at_] != '\n') ++at_;
      } else if (c == '/' && Peek(1) == '*') {
        const size_t end = source_.find("*/", at_ + 2);
        if (end == source_.npos) return Fail(Code::kInvalidArgument, "Line {}: the comment has no end.", line_);
        for (; at_ < end + 2; ++at_) line_ += source_[at_] == '\n';
      } else {
        break;
      }
    }
    return {};
  }

  Result<void> Next() {
    const char c = Peek();
    const size_t begin = at_;
    if (std::isdigit(static_cast<unsigned char>(c))) return Number();
    if (IsNameStart(c) && (c != '%' || IsNamePart(Peek(1)))) {
      ++at_;
      while (IsNamePart(Peek())) ++at_;
      Push(Token::Kind::kName, begin);
      return {};
    }
    if (c == '.' && IsNamePart(Peek(1))) {
      ++at_;
      while (IsNamePart(Peek()) || (Peek() == ':' && Peek(1) == ':' && IsNamePart(Peek(2)))) {
        at_ += Peek() == ':' ? 2 : 1;
      }
      Push(Token::Kind::kDirective, begin);
      return {};
    }
    if (c == '"') return String();
    static constexpr std::string_view kTwo[] = {"<<", ">>", "<=", ">=", "==", "!=", "&&", "||"};
    for (const auto two : kTwo) {
      if (source_.substr(at_, 2) != two) continue;
      at_ += 2;
      Push(Token::Kind::kPunct, begin);
      return {};
    }
    static constexpr std::string_view kOne = "{}()[]<>,;:=+-*/%&|^~!@?.";
    if (kOne.find(c) == kOne.npos) {
      return Fail(Code::kInvalidArgument, "Line {}: the character [{}] does not belong to PTX.", line_, c);
    }
    ++at_;
    Push(Token::Kind::kPunct, begin);
    return {};
  }

  Result<void> String() {
    const size_t begin = ++at_;
    while (at_ < source_.size() && source_[at_] != '"' && source_[at_] != '\n') at_ += source_[at_] == '\\' ? 2 : 1;
    if (Peek() != '"') return Fail(Code::kInvalidArgument, "Line {}: the string has no end.", line_);
    Push(Token::Kind::kString, begin);
    ++at_;
    return {};
  }

  Result<void> HexFloat(unsigned digits) {
    const size_t begin = at_;
    at_ += 2;
    const std::string_view hex = source_.substr(at_, digits);
    uint64_t bits = 0;
    const auto parsed = std::from_chars(hex.data(), hex.data() + hex.size(), bits, 16);
    at_ += hex.size();
    if (hex.size() != digits || parsed.ptr != hex.data() + digits || IsNamePart(Peek())) return BadNumber(begin);
    Push(digits == 8 ? Token::Kind::kFloat : Token::Kind::kDouble, begin, bits);
    return {};
  }

  Result<void> Number() {
    const char kind = static_cast<char>(std::tolower(static_cast<unsigned char>(Peek(1))));
    if (Peek() == '0' && kind == 'f') return HexFloat(8);
    if (Peek() == '0' && kind == 'd') return HexFloat(16);
    const size_t begin = at_;
    int base = 10;
    if (Peek() == '0' && (kind == 'x' || kind == 'b')) {
      base = kind == 'x' ? 16 : 2;
      at_ += 2;
    } else if (Peek() == '0' && std::isdigit(static_cast<unsigned char>(Peek(1)))) {
      base = 8;
    }
    const size_t digits = at_;
    while (base == 16 ? std::isxdigit(static_cast<unsigned char>(Peek()))
                      : std::isdigit(static_cast<unsigned char>(Peek()))) {
      ++at_;
    }
    const bool decimal_point =
        base != 16 && base != 2 && Peek() == '.' && std::isdigit(static_cast<unsigned char>(Peek(1)));
    if (decimal_point || (base == 10 && (Peek() == 'e' || Peek() == 'E'))) return DecimalFloat(begin);
    uint64_t value = 0;
    const char* end = source_.data() + at_;
    const auto parsed = std::from_chars(source_.data() + digits, end, value, base);
    if (parsed.ec != std::errc() || parsed.ptr != end) return BadNumber(begin);
    if (Peek() == 'U' || Peek() == 'u') ++at_;
    // A name glued to a number is a name of its own only after a dot (".128B"); here it is an error.
    if (IsNamePart(Peek())) return BadNumber(begin);
    Push(Token::Kind::kInteger, begin, value);
    return {};
  }

  Result<void> DecimalFloat(size_t begin) {
    double value = 0;
    const auto parsed = std::from_chars(source_.data() + begin, source_.data() + source_.size(), value);
    if (parsed.ec != std::errc()) return BadNumber(begin);
    at_ = parsed.ptr - source_.data();
    if (IsNamePart(Peek())) return BadNumber(begin);
    Push(Token::Kind::kDouble, begin, std::bit_cast<uint64_t>(value));
    return {};
  }

  Result<void> BadNumber(size_t begin) const {
    return Fail(Code::kInvalidArgument, "Line {}: [{}] is not a number.", line_, source_.substr(begin, 24));
  }

  std::string_view source_;
  size_t at_ = 0;
  int line_ = 1;
  std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> Tokenize(std::string_view source) {
  return Lexer(source).Run();
}

}  // namespace mignificient::cpu::ptx
