// The parser's place in the tokens. Private to ptx/.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "driver/cpu/ptx/ast.h"
#include "driver/cpu/ptx/lexer.h"

namespace mignificient::cpu::ptx {

class Cursor {
 public:
  Cursor(std::string_view source, std::vector<Token> tokens) : source_(source), tokens_(std::move(tokens)) {}

  const Token& Peek(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  const Token& Take() {
    const Token& token = Peek();
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  bool Accept(std::string_view text) {
    if (!Peek().Is(text)) return false;
    Take();
    return true;
  }
  Result<void> Expect(std::string_view text) {
    if (Accept(text)) return {};
    return Expected(text);
  }
  // "Line 7: expected [;] before [add.u32 ...]."
  std::unexpected<Error> Expected(std::string_view what) const {
    const Token& token = Peek();
    if (token.kind == Token::Kind::kEnd) {
      return Fail(Code::kInvalidArgument, "Line {}: expected [{}] before the end of the text.", token.line, what);
    }
    const size_t begin = token.text.data() - source_.data();
    const std::string_view rest = source_.substr(begin, std::min<size_t>(60, source_.find('\n', begin) - begin));
    return Fail(Code::kInvalidArgument, "Line {}: expected [{}] before [{}].", token.line, what, rest);
  }
  // Source text from `first` up to the current token, blanks collapsed.
  std::string TextSince(const Token& first) const;

  Result<std::string> Name(std::string_view what) {
    if (Peek().kind != Token::Kind::kName) return Expected(what);
    return std::string(Take().text);
  }

 private:
  std::string_view source_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
};

// A constant as written: an integer expression or one float, bits as in Operand.
struct Constant {
  Operand::Kind kind = Operand::Kind::kInteger;
  uint64_t bits = 0;
};
// With `pipe` false a `|` ends the expression instead of joining bits.
Result<Constant> ParseConstant(Cursor& cursor, bool pipe = true);
bool StartsConstant(const Cursor& cursor);

// One declaration after its linkage words: ".reg .b32 %r<5>, x" gives several.
Result<void> ParseVariables(Cursor& cursor, bool external, std::vector<Variable>& out);
// "{ ... }" of a function.
Result<std::vector<Statement>> ParseBody(Cursor& cursor);
Result<std::vector<Variable>> ParseParameters(Cursor& cursor);

}  // namespace mignificient::cpu::ptx
