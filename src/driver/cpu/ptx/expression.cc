// Constant expressions of PTX: 64-bit integers with C's operators and precedence, or one float literal.
#include <algorithm>

#include "driver/cpu/ptx/cursor.h"

namespace mignificient::cpu::ptx {
namespace {

int Precedence(std::string_view op, bool pipe) {
  if (op == "*" || op == "/" || op == "%") return 10;
  if (op == "+" || op == "-") return 9;
  if (op == "<<" || op == ">>") return 8;
  if (op == "<" || op == ">" || op == "<=" || op == ">=") return 7;
  if (op == "==" || op == "!=") return 6;
  if (op == "&") return 5;
  if (op == "^") return 4;
  if (op == "|") return pipe ? 3 : 0;
  if (op == "&&") return 2;
  if (op == "||") return 1;
  return 0;
}

Result<uint64_t> Apply(std::string_view op, uint64_t left, uint64_t right, int line) {
  const auto a = static_cast<int64_t>(left);
  const auto b = static_cast<int64_t>(right);
  if (op == "/" || op == "%") {
    if (b == 0) return Fail(Code::kInvalidArgument, "Line {}: a constant expression divides by zero.", line);
    if (b == -1) return op == "/" ? 0 - left : 0;
    return static_cast<uint64_t>(op == "/" ? a / b : a % b);
  }
  if (op == "*") return left * right;
  if (op == "+") return left + right;
  if (op == "-") return left - right;
  if (op == "<<") return right < 64 ? left << right : 0;
  if (op == ">>") return static_cast<uint64_t>(a >> std::min<uint64_t>(right, 63));
  if (op == "<") return a < b;
  if (op == ">") return a > b;
  if (op == "<=") return a <= b;
  if (op == ">=") return a >= b;
  if (op == "==") return a == b;
  if (op == "!=") return a != b;
  if (op == "&") return left & right;
  if (op == "^") return left ^ right;
  if (op == "|") return left | right;
  if (op == "&&") return a && b;
  return a || b;
}

constexpr int kMaxNesting = 200;  // the text's length alone would not bound the stack

Result<uint64_t> Integer(Cursor& cursor, int least, bool pipe, int nesting);

Result<uint64_t> Primary(Cursor& cursor, int nesting) {
  if (++nesting > kMaxNesting) return cursor.Expected("a simpler expression");
  if (cursor.Accept("-")) {
    MIG_ASSIGN(const uint64_t value, Primary(cursor, nesting));
    return 0 - value;
  }
  if (cursor.Accept("+")) return Primary(cursor, nesting);
  if (cursor.Accept("~")) {
    MIG_ASSIGN(const uint64_t value, Primary(cursor, nesting));
    return ~value;
  }
  if (cursor.Accept("!")) {
    MIG_ASSIGN(const uint64_t value, Primary(cursor, nesting));
    return !value;
  }
  if (cursor.Accept("(")) {
    if (cursor.Peek().kind == Token::Kind::kDirective) {  // a cast: (.s64) or (.u64)
      cursor.Take();
      MIG_TRY(cursor.Expect(")"));
      return Primary(cursor, nesting);
    }
    MIG_ASSIGN(const uint64_t value, Integer(cursor, 1, true, nesting));
    MIG_TRY(cursor.Expect(")"));
    return value;
  }
  if (cursor.Accept("WARP_SZ")) return 32;
  if (cursor.Peek().kind != Token::Kind::kInteger) return cursor.Expected("a number");
  return cursor.Take().value;
}

Result<uint64_t> Integer(Cursor& cursor, int least, bool pipe, int nesting) {
  MIG_ASSIGN(uint64_t left, Primary(cursor, nesting));
  for (;;) {
    const Token& token = cursor.Peek();
    const int precedence = token.kind == Token::Kind::kPunct ? Precedence(token.text, pipe) : 0;
    if (precedence < least || precedence == 0) return left;
    const std::string_view op = cursor.Take().text;
    MIG_ASSIGN(const uint64_t right, Integer(cursor, precedence + 1, pipe, nesting));
    MIG_ASSIGN(left, Apply(op, left, right, token.line));
  }
}

bool IsFloatToken(const Token& token) {
  return token.kind == Token::Kind::kFloat || token.kind == Token::Kind::kDouble;
}

}  // namespace

bool StartsConstant(const Cursor& cursor) {
  const Token& token = cursor.Peek();
  return token.kind == Token::Kind::kInteger || IsFloatToken(token) || token.Is("-") || token.Is("+") ||
         token.Is("~") || token.Is("WARP_SZ");
}

Result<Constant> ParseConstant(Cursor& cursor, bool pipe) {
  const bool minus = cursor.Peek().Is("-") && IsFloatToken(cursor.Peek(1));
  if (minus) cursor.Take();
  if (IsFloatToken(cursor.Peek())) {
    const Token& token = cursor.Take();
    const bool single = token.kind == Token::Kind::kFloat;
    const uint64_t sign = minus ? uint64_t{1} << (single ? 31 : 63) : 0;
    return Constant{single ? Operand::Kind::kFloat : Operand::Kind::kDouble, token.value ^ sign};
  }
  MIG_ASSIGN(const uint64_t value, Integer(cursor, 1, pipe, 0));
  if (cursor.Accept("?")) {
    MIG_ASSIGN(const uint64_t yes, Integer(cursor, 1, pipe, 0));
    MIG_TRY(cursor.Expect(":"));
    MIG_ASSIGN(const uint64_t no, Integer(cursor, 1, pipe, 0));
    return Constant{Operand::Kind::kInteger, value ? yes : no};
  }
  return Constant{Operand::Kind::kInteger, value};
}

}  // namespace mignificient::cpu::ptx
