// Module scope: directives, variables, functions.
#include "driver/cpu/ptx/parser.h"

#include <bit>
#include <span>

#include "driver/cpu/ptx/cursor.h"

namespace mignificient::cpu::ptx {
namespace {

// Bits of `constant` at `type`, as memory holds them.
uint64_t BitsAt(Type type, const Constant& constant) {
  double number = 0;
  switch (constant.kind) {
    case Operand::Kind::kFloat:
      number = std::bit_cast<float>(static_cast<uint32_t>(constant.bits));
      break;
    case Operand::Kind::kDouble:
      number = std::bit_cast<double>(constant.bits);
      break;
    default:
      number = static_cast<double>(static_cast<int64_t>(constant.bits));
      break;
  }
  if (type == Type::kF32) {
    if (constant.kind == Operand::Kind::kFloat) return constant.bits;
    return std::bit_cast<uint32_t>(static_cast<float>(number));
  }
  if (type == Type::kF64) {
    if (constant.kind == Operand::Kind::kDouble) return constant.bits;
    return std::bit_cast<uint64_t>(number);
  }
  return constant.bits;
}

// "{1, 2, {3, 4}, symbol + 8, 0xFF00(symbol), generic(symbol)}" from `element` on; `strides` are the
// elements below each dimension.
Result<void> ParseInitial(Cursor& cursor, Variable& variable, std::span<const uint64_t> strides, uint64_t element) {
  if (cursor.Accept("{")) {
    const uint64_t stride = strides.empty() ? 1 : strides.front();
    const auto inner = strides.empty() ? strides : strides.subspan(1);
    while (!cursor.Accept("}")) {
      const bool nested = cursor.Peek().Is("{");
      MIG_TRY(ParseInitial(cursor, variable, inner, element));
      element += nested ? stride : 1;
      if (!cursor.Accept(",") && !cursor.Peek().Is("}")) return cursor.Expected(",");
    }
    return {};
  }
  Initial initial{.element = element};
  const bool masked = cursor.Peek().kind == Token::Kind::kInteger && cursor.Peek(1).Is("(");
  if (StartsConstant(cursor) && !masked) {
    MIG_ASSIGN(const Constant constant, ParseConstant(cursor));
    initial.bits = BitsAt(variable.type, constant);
  } else {
    if (masked) {
      initial.mask = cursor.Take().value;
      cursor.Take();
    }
    const bool generic = cursor.Peek().Is("generic") && cursor.Peek(1).Is("(");
    if (generic) {
      cursor.Take();
      cursor.Take();
    }
    MIG_ASSIGN(initial.symbol, cursor.Name("a constant or a symbol"));
    if (generic) MIG_TRY(cursor.Expect(")"));
    if (cursor.Peek().Is("+") || cursor.Peek().Is("-")) {
      MIG_ASSIGN(const Constant addend, ParseConstant(cursor));
      initial.bits = addend.bits;
    }
    if (masked) MIG_TRY(cursor.Expect(")"));
  }
  variable.initial.push_back(std::move(initial));
  return {};
}

Result<void> ParseDeclarator(Cursor& cursor, Variable& variable) {
  variable.line = cursor.Peek().line;
  MIG_ASSIGN(variable.name, cursor.Name("a variable's name"));
  if (cursor.Accept("<")) {
    if (cursor.Peek().kind != Token::Kind::kInteger || cursor.Peek().value > 1'000'000)
      return cursor.Expected("a count");
    variable.numbered = true;
    variable.count = cursor.Take().value;
    return cursor.Expect(">");
  }
  std::vector<uint64_t> dims;
  while (cursor.Accept("[")) {
    dims.push_back(0);
    if (cursor.Accept("]")) continue;
    MIG_ASSIGN(const Constant dim, ParseConstant(cursor));
    if (dim.bits > (uint64_t{1} << 40)) return cursor.Expected("a smaller array");
    dims.back() = dim.bits;
    MIG_TRY(cursor.Expect("]"));
  }
  std::vector<uint64_t> strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  for (const uint64_t dim : dims) {
    if (dim != 0 && variable.count > (uint64_t{1} << 40) / dim) return cursor.Expected("a smaller array");
    variable.count *= dim;
  }
  if (cursor.Accept("=")) {
    MIG_TRY(ParseInitial(cursor, variable, strides, 0));
    if (!dims.empty() && dims.front() == 0) {  // x[] = {...}: as long as its initialiser
      for (const Initial& item : variable.initial) variable.count = std::max(variable.count, item.element + 1);
    }
  }
  return {};
}

class ModuleParser {
 public:
  ModuleParser(std::string_view source, std::vector<Token> tokens) : cursor_(source, std::move(tokens)) {}

  Result<Module> Run() {
    while (cursor_.Peek().kind != Token::Kind::kEnd) MIG_TRY(Top());
    if (module_.version.empty()) return Fail(Code::kInvalidArgument, "The text has no .version: it is not PTX.");
    return std::move(module_);
  }

 private:
  void SkipLine() {
    const int line = cursor_.Peek().line;
    while (cursor_.Peek().line == line && cursor_.Peek().kind != Token::Kind::kEnd) cursor_.Take();
  }

  Result<void> SkipBraces() {
    while (!cursor_.Peek().Is("{")) {
      if (cursor_.Peek().kind == Token::Kind::kEnd) return cursor_.Expected("{");
      cursor_.Take();
    }
    int depth = 0;
    do {
      if (cursor_.Peek().kind == Token::Kind::kEnd) return cursor_.Expected("}");
      const Token& token = cursor_.Take();
      depth += token.Is("{") - token.Is("}");
    } while (depth > 0);
    return {};
  }

  Result<void> Top() {
    if (cursor_.Accept(".version")) {
      module_.version = cursor_.Take().text;
      while (cursor_.Peek().kind == Token::Kind::kDirective && std::isdigit(cursor_.Peek().text[1])) {
        module_.version += cursor_.Take().text;
      }
      return {};
    }
    if (cursor_.Accept(".target")) {
      MIG_ASSIGN(module_.target, cursor_.Name("a target"));
      while (cursor_.Accept(",")) cursor_.Take();
      return {};
    }
    if (cursor_.Accept(".address_size")) {
      if (cursor_.Take().value != 64) return Fail(Code::kInvalidArgument, "Only 64-bit PTX can run (.address_size).");
      return {};
    }
    if (cursor_.Peek().Is(".file") || cursor_.Peek().Is(".loc") || cursor_.Peek().Is("@")) {
      SkipLine();
      return {};
    }
    if (cursor_.Accept(".section")) return SkipBraces();
    if (cursor_.Accept(".pragma")) {
      while (!cursor_.Accept(";")) {
        if (cursor_.Take().kind == Token::Kind::kEnd) return cursor_.Expected(";");
      }
      return {};
    }
    if (cursor_.Accept(".alias")) {
      MIG_ASSIGN(auto name, cursor_.Name("a name"));
      MIG_TRY(cursor_.Expect(","));
      MIG_ASSIGN(auto aliasee, cursor_.Name("a name"));
      module_.aliases.emplace_back(std::move(name), std::move(aliasee));
      return cursor_.Expect(";");
    }
    if (cursor_.Accept(";")) return {};
    bool external = false;
    for (;;) {
      if (cursor_.Accept(".extern"))
        external = true;
      else if (!cursor_.Accept(".visible") && !cursor_.Accept(".weak") && !cursor_.Accept(".common"))
        break;
    }
    if (cursor_.Peek().Is(".entry") || cursor_.Peek().Is(".func")) return ParseFunction();
    if (!ParseSpace(cursor_.Peek().text)) return cursor_.Expected("a declaration");
    MIG_TRY(ParseVariables(cursor_, external, module_.variables));
    return cursor_.Expect(";");
  }

  Result<void> Sizes(std::array<uint32_t, 3>& out) {
    out = {1, 1, 1};
    size_t i = 0;
    do {
      MIG_ASSIGN(const Constant size, ParseConstant(cursor_));
      if (i < 3) out[i++] = static_cast<uint32_t>(size.bits);
    } while (cursor_.Accept(","));
    return {};
  }

  // What may stand between a function's parameters and its body.
  Result<void> Attributes(Function& function) {
    for (;;) {
      if (cursor_.Accept(".maxntid")) {
        MIG_TRY(Sizes(function.max_threads));
      } else if (cursor_.Accept(".reqntid")) {
        MIG_TRY(Sizes(function.required_threads));
      } else if (cursor_.Accept(".pragma")) {
        while (!cursor_.Accept(";")) {
          if (cursor_.Take().kind == Token::Kind::kEnd) return cursor_.Expected(";");
        }
      } else if (cursor_.Peek().kind == Token::Kind::kDirective) {
        cursor_.Take();  // .noreturn, .maxnreg n, .minnctapersm n, .reqnctapercluster x, y, z ...
        while (cursor_.Peek().kind == Token::Kind::kInteger || cursor_.Peek().Is(",")) cursor_.Take();
        if (cursor_.Accept("(")) {
          while (!cursor_.Accept(")")) {
            if (cursor_.Take().kind == Token::Kind::kEnd) return cursor_.Expected(")");
          }
        }
      } else {
        return {};
      }
    }
  }

  Result<void> ParseFunction() {
    Function function{.entry = cursor_.Peek().Is(".entry"), .line = cursor_.Peek().line};
    cursor_.Take();
    if (cursor_.Accept(".attribute")) MIG_TRY(SkipParentheses());
    if (cursor_.Peek().Is("(")) {
      MIG_ASSIGN(function.results, ParseParameters(cursor_));
    }
    MIG_ASSIGN(function.name, cursor_.Name("a function's name"));
    if (cursor_.Peek().Is("(")) {
      MIG_ASSIGN(function.parameters, ParseParameters(cursor_));
    }
    MIG_TRY(Attributes(function));
    if (!cursor_.Accept(";")) {
      function.defined = true;
      auto body = ParseBody(cursor_);
      if (!body) return std::unexpected(body.error().While(fmt::format("parsing [{}]", function.name)));
      function.body = std::move(*body);
    }
    module_.functions.push_back(std::move(function));
    return {};
  }

  Result<void> SkipParentheses() {
    MIG_TRY(cursor_.Expect("("));
    while (!cursor_.Accept(")")) {
      if (cursor_.Take().kind == Token::Kind::kEnd) return cursor_.Expected(")");
    }
    return {};
  }

  Cursor cursor_;
  Module module_;
};

}  // namespace

Result<void> ParseVariables(Cursor& cursor, bool external, std::vector<Variable>& out) {
  Variable variable{.external = external};
  variable.space = *ParseSpace(cursor.Take().text);
  while (cursor.Peek().kind == Token::Kind::kDirective) {
    const std::string_view word = cursor.Take().text;
    if (word == ".align") {
      MIG_ASSIGN(const Constant align, ParseConstant(cursor));
      if (!std::has_single_bit(align.bits) || align.bits > 4096)
        return cursor.Expected("an alignment that is a power of two");
      variable.align = static_cast<uint32_t>(align.bits);
    } else if (word == ".ptr") {  // .ptr .space .align n says what a pointer parameter points to
      if (ParseSpace(cursor.Peek().text)) cursor.Take();
      if (cursor.Accept(".align")) cursor.Take();
    } else if (word == ".v2" || word == ".v4" || word == ".v8") {
      variable.vector = word[2] - '0';
    } else if (word == ".attribute") {
      while (!cursor.Accept(")")) {
        if (cursor.Take().kind == Token::Kind::kEnd) return cursor.Expected(")");
      }
    } else if (const auto type = ParseType(word)) {
      variable.type = *type;
    } else {
      return cursor.Expected(fmt::format("a type instead of {}", word));
    }
  }
  do {
    Variable one = variable;
    MIG_TRY(ParseDeclarator(cursor, one));
    out.push_back(std::move(one));
  } while (cursor.Peek(1).kind == Token::Kind::kName && cursor.Accept(","));
  return {};
}

Result<std::vector<Variable>> ParseParameters(Cursor& cursor) {
  std::vector<Variable> parameters;
  MIG_TRY(cursor.Expect("("));
  while (!cursor.Accept(")")) {
    if (!ParseSpace(cursor.Peek().text)) return cursor.Expected("a parameter");
    MIG_TRY(ParseVariables(cursor, false, parameters));
    if (!cursor.Accept(",") && !cursor.Peek().Is(")")) return cursor.Expected(",");
  }
  return parameters;
}

Result<Module> Parse(std::string_view source) {
  MIG_ASSIGN(auto tokens, Tokenize(source));
  return ModuleParser(source, std::move(tokens)).Run();
}

}  // namespace mignificient::cpu::ptx
