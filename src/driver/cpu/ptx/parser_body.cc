// Function scope: statements and their operands.
#include "driver/cpu/ptx/cursor.h"

namespace mignificient::cpu::ptx {

std::string Cursor::TextSince(const Token& first) const {
  const char* begin = first.text.data();
  const char* end = at_ > 0 ? tokens_[at_ - 1].text.data() + tokens_[at_ - 1].text.size() : begin;
  std::string text;
  for (; begin < end; ++begin) {
    const bool blank = *begin == ' ' || *begin == '\t' || *begin == '\n' || *begin == '\r';
    if (!blank)
      text += *begin;
    else if (!text.empty() && text.back() != ' ')
      text += ' ';
  }
  return text;
}

namespace {

Result<Operand> ParseOperand(Cursor& cursor, int depth = 0);

Result<std::vector<Operand>> OperandsUntil(Cursor& cursor, std::string_view close, int depth) {
  std::vector<Operand> operands;
  while (!cursor.Accept(close)) {
    MIG_ASSIGN(auto operand, ParseOperand(cursor, depth + 1));
    operands.push_back(std::move(operand));
    if (!cursor.Accept(",") && !cursor.Peek().Is(close)) return cursor.Expected(close);
  }
  return operands;
}

Operand FromConstant(const Constant& constant) {
  Operand operand{.kind = constant.kind};
  operand.value = constant.bits;
  return operand;
}

// "[reg+4]", "[symbol]", "[0]", "[tex, {x, y}]"
Result<Operand> ParseAddress(Cursor& cursor, int depth) {
  Operand address{.kind = Operand::Kind::kAddress};
  if (cursor.Peek().kind == Token::Kind::kName) {
    address.name = cursor.Take().text;
    if (cursor.Accept("+")) {
      MIG_ASSIGN(const Constant offset, ParseConstant(cursor));
      address.offset = static_cast<int64_t>(offset.bits);
    } else if (cursor.Peek().Is("-")) {
      MIG_ASSIGN(const Constant offset, ParseConstant(cursor));
      address.offset = static_cast<int64_t>(offset.bits);
    }
  } else {
    MIG_ASSIGN(const Constant offset, ParseConstant(cursor));
    address.offset = static_cast<int64_t>(offset.bits);
  }
  if (cursor.Accept(",")) {
    MIG_ASSIGN(address.elements, OperandsUntil(cursor, "]", depth));
    return address;
  }
  MIG_TRY(cursor.Expect("]"));
  return address;
}

Result<Operand> ParseOperand(Cursor& cursor, int depth) {
  if (depth > 20) return cursor.Expected("a simpler operand");
  if (cursor.Accept("[")) return ParseAddress(cursor, depth);
  if (cursor.Peek().Is("{") || cursor.Peek().Is("(")) {
    const bool vector = cursor.Take().text == "{";
    Operand group{.kind = vector ? Operand::Kind::kVector : Operand::Kind::kList};
    MIG_ASSIGN(group.elements, OperandsUntil(cursor, vector ? "}" : ")", depth));
    return group;
  }
  if (StartsConstant(cursor)) {
    MIG_ASSIGN(const Constant constant, ParseConstant(cursor, false));
    return FromConstant(constant);
  }
  Operand operand;
  operand.negated = cursor.Accept("!");
  if (operand.negated && StartsConstant(cursor)) {
    MIG_ASSIGN(const Constant constant, ParseConstant(cursor, false));
    return FromConstant({Operand::Kind::kInteger, constant.bits == 0});
  }
  MIG_ASSIGN(operand.name, cursor.Name("an operand"));
  if (operand.name == "_") operand.kind = Operand::Kind::kSink;
  // "%tid.x", "%envreg", "vector.x"
  while (cursor.Peek().kind == Token::Kind::kDirective) operand.name += cursor.Take().text;
  if (cursor.Peek().Is("+") || cursor.Peek().Is("-")) {
    MIG_ASSIGN(const Constant offset, ParseConstant(cursor));
    operand.offset = static_cast<int64_t>(offset.bits);
  }
  if (cursor.Accept("|")) {
    Operand pair{.kind = Operand::Kind::kPair};
    MIG_ASSIGN(auto second, ParseOperand(cursor, depth + 1));
    pair.elements = {std::move(operand), std::move(second)};
    return pair;
  }
  return operand;
}

class BodyParser {
 public:
  explicit BodyParser(Cursor& cursor) : cursor_(cursor) {}

  Result<std::vector<Statement>> Run() {
    MIG_TRY(cursor_.Expect("{"));
    int depth = 1;
    while (depth > 0) {
      if (cursor_.Peek().kind == Token::Kind::kEnd) return cursor_.Expected("}");
      if (cursor_.Accept("{")) {
        ++depth;
        Add(Statement::Kind::kOpen);
      } else if (cursor_.Accept("}")) {
        if (--depth > 0) Add(Statement::Kind::kClose);
      } else {
        MIG_TRY(One());
      }
    }
    return std::move(body_);
  }

 private:
  Statement& Add(Statement::Kind kind) {
    body_.emplace_back();
    body_.back().kind = kind;
    return body_.back();
  }

  void SkipLine() {
    const int line = cursor_.Peek().line;
    while (cursor_.Peek().line == line && cursor_.Peek().kind != Token::Kind::kEnd) cursor_.Take();
  }

  Result<void> One() {
    const Token& token = cursor_.Peek();
    if (cursor_.Accept(";")) return {};
    if (token.Is(".loc") || token.Is(".file")) {
      SkipLine();
      return {};
    }
    if (cursor_.Accept(".pragma")) {
      while (!cursor_.Accept(";")) {
        if (cursor_.Take().kind == Token::Kind::kEnd) return cursor_.Expected(";");
      }
      return {};
    }
    if (token.kind == Token::Kind::kDirective) {
      bool external = false;
      while (cursor_.Peek().Is(".extern") || cursor_.Peek().Is(".visible") || cursor_.Peek().Is(".weak")) {
        external |= cursor_.Take().Is(".extern");
      }
      if (!ParseSpace(cursor_.Peek().text)) return cursor_.Expected("a statement");
      std::vector<Variable> variables;
      MIG_TRY(ParseVariables(cursor_, external, variables));
      for (auto& variable : variables) Add(Statement::Kind::kVariable).variable = std::move(variable);
      return cursor_.Expect(";");
    }
    if (token.kind == Token::Kind::kName && cursor_.Peek(1).Is(":")) return Label();
    return OneInstruction();
  }

  // "L:", "table: .branchtargets a, b;", "p: .callprototype (...) _ (...);"
  Result<void> Label() {
    std::string name(cursor_.Take().text);
    cursor_.Take();
    if (cursor_.Accept(".branchtargets") || cursor_.Accept(".calltargets")) {
      auto& targets = Add(Statement::Kind::kTargets);
      targets.name = std::move(name);
      do {
        MIG_ASSIGN(auto target, cursor_.Name("a label"));
        targets.names.push_back(std::move(target));
      } while (cursor_.Accept(","));
      return cursor_.Expect(";");
    }
    if (cursor_.Accept(".callprototype")) {
      auto& prototype = Add(Statement::Kind::kPrototype);
      prototype.name = std::move(name);
      if (cursor_.Peek().Is("(")) {
        MIG_ASSIGN(prototype.results, ParseParameters(cursor_));
      }
      MIG_TRY(cursor_.Name("_"));
      if (cursor_.Peek().Is("(")) {
        MIG_ASSIGN(prototype.parameters, ParseParameters(cursor_));
      }
      while (!cursor_.Accept(";")) {
        if (cursor_.Take().kind == Token::Kind::kEnd) return cursor_.Expected(";");
      }
      return {};
    }
    Add(Statement::Kind::kLabel).name = std::move(name);
    return {};
  }

  Result<void> OneInstruction() {
    const Token& first = cursor_.Peek();
    Instruction instruction{.line = first.line};
    if (cursor_.Accept("@")) {
      instruction.guard_negated = cursor_.Accept("!");
      MIG_ASSIGN(instruction.guard, cursor_.Name("a predicate"));
    }
    MIG_ASSIGN(instruction.opcode, cursor_.Name("an instruction"));
    while (cursor_.Peek().kind == Token::Kind::kDirective) instruction.modifiers.emplace_back(cursor_.Take().text);
    while (!cursor_.Peek().Is(";")) {
      MIG_ASSIGN(auto operand, ParseOperand(cursor_));
      instruction.operands.push_back(std::move(operand));
      if (!cursor_.Accept(",") && !cursor_.Peek().Is(";")) return cursor_.Expected(";");
    }
    instruction.text = cursor_.TextSince(first);
    cursor_.Take();
    Add(Statement::Kind::kInstruction).instruction = std::move(instruction);
    return {};
  }

  Cursor& cursor_;
  std::vector<Statement> body_;
};

}  // namespace

Result<std::vector<Statement>> ParseBody(Cursor& cursor) {
  return BodyParser(cursor).Run();
}

}  // namespace mignificient::cpu::ptx
