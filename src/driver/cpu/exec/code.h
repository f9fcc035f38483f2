// Decoded kernels: what lowering makes and the interpreter runs. Private to exec/.
//
// A warp's registers are rows: 32 lanes of 4 bytes (8, 16 and 32-bit values, zero extended) or of 8 bytes.
// Predicates are one 32-bit word, a bit per lane. Every operand is a byte offset from the frame of the
// function: registers, constants (materialised once per frame) and temporaries look alike.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "driver/cpu/exec/program.h"
#include "driver/cpu/ptx/type.h"

namespace mignificient::cpu {

struct Warp;
struct Inst;

// Executes `inst` for the lanes of `mask` (never empty) and returns the next one; null leaves the interpreter.
using Handler = const Inst* (*)(Warp& warp, const Inst* inst, uint32_t mask);

struct Extra;
struct Function;

struct alignas(64) Inst {
  Handler run = nullptr;
  uint32_t guard = 0;                   // offset of the guard's predicate word; kTrueWord when unguarded
  uint32_t guard_flip = 0;              // ~0 for @!p
  uint32_t d = 0, d2 = 0;               // results
  uint32_t a = 0, b = 0, c = 0, e = 0;  // sources
  uint32_t x = 0, y = 0;                // of the family: flags, sizes, flips of predicates
  int64_t imm = 0;                      // address offset, immediate
  const Extra* extra = nullptr;
};
static_assert(sizeof(Inst) == 64);

// Frame layout, bytes: scalars of the frame, then parameters, predicates and rows.
inline constexpr uint32_t kTrueWord = 0;        // always ~0
inline constexpr uint32_t kCarryWord = 4;       // condition code of add.cc ...
inline constexpr uint32_t kCallerFrame = 8;     // uint32_t: offset of the caller's frame
inline constexpr uint32_t kLocalBase = 12;      // uint32_t: where this frame's locals begin
inline constexpr uint32_t kReturnTo = 16;       // const Inst*: the call, null in a kernel
inline constexpr uint32_t kSinkWord = 24;       // a predicate nobody reads
inline constexpr uint32_t kFrameEnd = 28;       // uint32_t: offset of the first byte after this frame
inline constexpr uint32_t kFrameFunction = 32;  // const Function*
inline constexpr uint32_t kFrameHeader = 64;

// A per-lane block of bytes in a frame: lane i's part is at offset + i * stride.
struct ParamBlock {
  uint32_t offset = 0, stride = 0, size = 0;
};

struct Constant {
  uint32_t offset = 0;  // of its row
  bool wide = false;    // 8-byte lanes
  uint64_t bits = 0;
  int global = -1;  // adds the bound address of this global
};

enum class Builtin : uint8_t { kNone, kPrintf, kAssert, kMalloc, kFree };

// What an instruction needs beyond its words.
struct Extra {
  std::vector<uint32_t> rows;        // elements of vectors: memory, mov pack/unpack
  std::vector<uint8_t> wide;         // of each row
  std::vector<const Inst*> targets;  // brx.idx
  // calls
  const Function* callee = nullptr;  // null: indirect, address in row `a`
  Builtin builtin = Builtin::kNone;
  std::vector<ParamBlock> arguments, returns;
};

struct Function {
  std::string name;
  std::vector<Inst> code;
  std::vector<int> lines;  // of each instruction
  std::vector<Constant> constants;
  std::vector<ParamBlock> parameters, results;
  std::vector<std::unique_ptr<Extra>> extras;  // of the instructions
  uint32_t frame_bytes = kFrameHeader;
  uint32_t local_bytes = 0;
};

// Special registers, in the order of kSpecialNames.
inline constexpr const char* kSpecialNames[] = {"%tid.x",
                                                "%tid.y",
                                                "%tid.z",
                                                "%ntid.x",
                                                "%ntid.y",
                                                "%ntid.z",
                                                "%ctaid.x",
                                                "%ctaid.y",
                                                "%ctaid.z",
                                                "%nctaid.x",
                                                "%nctaid.y",
                                                "%nctaid.z",
                                                "%laneid",
                                                "%warpid",
                                                "%nwarpid",
                                                "%smid",
                                                "%nsmid",
                                                "%gridid",
                                                "%lanemask_eq",
                                                "%lanemask_le",
                                                "%lanemask_lt",
                                                "%lanemask_ge",
                                                "%lanemask_gt",
                                                "%clock",
                                                "%clock_hi",
                                                "%clock64",
                                                "%globaltimer",
                                                "%globaltimer_lo",
                                                "%globaltimer_hi",
                                                "%dynamic_smem_size",
                                                "%total_smem_size",
                                                "%aggr_smem_size",
                                                "%clusterid.x",
                                                "%clusterid.y",
                                                "%clusterid.z",
                                                "%nclusterid.x",
                                                "%nclusterid.y",
                                                "%nclusterid.z",
                                                "%cluster_ctaid.x",
                                                "%cluster_ctaid.y",
                                                "%cluster_ctaid.z",
                                                "%cluster_nctaid.x",
                                                "%cluster_nctaid.y",
                                                "%cluster_nctaid.z",
                                                "%cluster_ctarank",
                                                "%cluster_nctarank",
                                                "%is_explicit_cluster",
                                                "%current_graph_exec",
                                                "%reserved_smem_offset_begin",
                                                "%envreg1",
                                                "%envreg2",
                                                "%envreg"};

class KernelCode {
 public:
  const Function* entry = nullptr;
  std::vector<std::unique_ptr<Function>> owned;
  uint32_t stack_bytes = 0;                // local bytes per lane of the deepest path
  std::vector<const Function*> functions;  // reachable, entry included
  std::vector<const Function*> table;      // by function address, null if not callable here
  std::vector<int> used_globals;
  const Program* program = nullptr;
};

}  // namespace mignificient::cpu
