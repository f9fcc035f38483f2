// Matrix instructions of a warp: mma.sync, wmma.load, wmma.mma, wmma.store, ldmatrix. Fragments of mma.sync and
// ldmatrix are laid out as the PTX ISA's figures show; how wmma lays out its own is not documented, and ours is our
// own. Sums are taken in double precision and rounded once, where tensor cores round in an order that is not
// documented.
//
// Rows of the operands are in extra, in the order d, a, b, c; each operand has as many as its fragment needs.
#pragma once

#include <cstdint>

#include "driver/cpu/exec/code.h"

namespace mignificient::cpu {

enum class MatrixType : uint8_t { kF16, kBf16, kTf32, kF32, kF64, kS8, kU8, kS32 };
uint32_t BitsOf(MatrixType type);

enum class MatrixOperand : uint8_t { kA, kB, kC };  // d is laid out as c

// Words of an Inst, as the handlers read them.
struct MatrixWords {
  uint8_t m = 0, n = 0, k = 0;
  MatrixType a = MatrixType::kF16, b = MatrixType::kF16, c = MatrixType::kF32, d = MatrixType::kF32;
  bool wmma = false;
};
static_assert(sizeof(MatrixWords) == 8);

struct MatrixShape {
  uint32_t rows, columns;
  uint32_t per_lane() const { return rows * columns / 32; }
  // 32-bit registers of a fragment; 64-bit ones for f64.
  uint32_t registers(MatrixType type) const {
    return type == MatrixType::kF64 ? per_lane() : (per_lane() * BitsOf(type) + 31) / 32;
  }
};
MatrixShape ShapeOf(const MatrixWords& words, MatrixOperand operand);

const Inst* MultiplyMatrices(Warp& warp, const Inst* inst, uint32_t mask);

// wmma.load and wmma.store of an operand: row a is the address, row b the stride in elements; y: MatrixOperand, and
// 0x100 for column-major, 0x200 for shared memory.
const Inst* LoadMatrix(Warp& warp, const Inst* inst, uint32_t mask);
const Inst* StoreMatrix(Warp& warp, const Inst* inst, uint32_t mask);

// ldmatrix of 8 x 8 matrices of 16 bits: row a is the address; x: their number, 0x100 transposed.
const Inst* LoadMatrices8x8(Warp& warp, const Inst* inst, uint32_t mask);

}  // namespace mignificient::cpu
