// A PTX module as text says it: declarations and statements, nothing resolved or checked for meaning.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "driver/cpu/ptx/type.h"

namespace mignificient::cpu::ptx {

struct Operand {
  enum class Kind : uint8_t {
    kName,     // register, variable, label, function, special register with its ".x"; may have an offset
    kInteger,  // value holds 64 bits, sign extended
    kFloat,    // value holds the bits of an f32
    kDouble,   // value holds the bits of an f64
    kAddress,  // [name + offset], [integer]; further tensor coordinates in elements
    kVector,   // {a, b, ...} in elements
    kList,     // (a, b, ...) of a call, in elements
    kPair,     // a|b in elements
    kSink,     // _
  };
  Kind kind = Kind::kName;
  bool negated = false;  // !p
  std::string name;      // kName, kAddress; empty for an absolute address
  int64_t offset = 0;    // of a name or an address
  uint64_t value = 0;
  std::vector<Operand> elements;
};

// One item of an initialiser: a number's bits at the variable's type, or a symbol's address.
struct Initial {
  uint64_t element = 0;  // index in the flattened array
  uint64_t bits = 0;     // the number, or what is added to the address
  std::string symbol;
  uint64_t mask = 0;  // of `0xFF00(symbol)`: take these bits of the address; 0 is all
};

struct Variable {
  Space space = Space::kReg;
  Type type = Type::kNone;
  uint32_t vector = 1;  // .v2, .v4
  uint32_t align = 0;   // bytes; 0: natural
  std::string name;
  uint64_t count = 1;     // elements; 0 for `x[]`
  bool numbered = false;  // %r<count>: registers name0 .. name(count-1)
  bool external = false;
  std::vector<Initial> initial;
  int line = 0;

  uint32_t ElementBytes() const { return SizeOf(type) * vector; }
  uint64_t Bytes() const { return ElementBytes() * count; }
  uint32_t Align() const { return align ? align : ElementBytes() ? ElementBytes() : 1; }
};

struct Instruction {
  std::string guard;  // predicate register of @p, empty for none
  bool guard_negated = false;
  std::string opcode;                  // "add"
  std::vector<std::string> modifiers;  // ".rn", ".f32"
  std::vector<Operand> operands;
  std::string text;  // as written, one line
  int line = 0;
};

struct Statement {
  enum class Kind : uint8_t { kInstruction, kLabel, kVariable, kOpen, kClose, kTargets, kPrototype };
  Kind kind = Kind::kInstruction;
  Instruction instruction;
  Variable variable;
  std::string name;                           // of a label, or what stands before .branchtargets
  std::vector<std::string> names;             // kTargets
  std::vector<Variable> results, parameters;  // kPrototype
};

struct Function {
  bool entry = false;
  bool defined = false;
  std::string name;
  std::vector<Variable> results;
  std::vector<Variable> parameters;
  std::vector<Statement> body;
  std::array<uint32_t, 3> max_threads{0, 0, 0};       // .maxntid
  std::array<uint32_t, 3> required_threads{0, 0, 0};  // .reqntid
  int line = 0;
};

struct Module {
  std::string version;  // "9.0"
  std::string target;   // "sm_90a"
  std::vector<Variable> variables;
  std::vector<Function> functions;                           // a declaration and a definition are two entries
  std::vector<std::pair<std::string, std::string>> aliases;  // name, what it stands for
};

}  // namespace mignificient::cpu::ptx
