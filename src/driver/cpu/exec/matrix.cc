#include "driver/cpu/exec/matrix.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "driver/cpu/exec/device_address.h"

namespace mignificient::cpu {
namespace {

MatrixWords WordsOf(const Inst* inst) {
  MatrixWords words;
  std::memcpy(static_cast<void*>(&words), &inst->imm, sizeof words);
  return words;
}

MatrixType TypeOf(const MatrixWords& words, MatrixOperand operand) {
  return operand == MatrixOperand::kA ? words.a : operand == MatrixOperand::kB ? words.b : words.c;
}

struct Place {
  uint32_t row, column;
};

// Where element `i` of a lane's fragment lies in the matrix. PTX ISA, "Matrix Fragments for mma": lanes form eight
// groups of four; a register holds `packed` neighbours along k, or along n for c.
Place PlaceOf(const MatrixWords& words, MatrixOperand operand, uint32_t lane, uint32_t i) {
  const MatrixShape shape = ShapeOf(words, operand);
  if (words.wmma) {
    const uint32_t element = lane * shape.per_lane() + i;
    return {element / shape.columns, element % shape.columns};
  }
  const uint32_t group = lane / 4, in_group = lane % 4;
  if (operand == MatrixOperand::kC) return {group + 8 * (i / 2), 2 * in_group + i % 2};
  const uint32_t bits = BitsOf(TypeOf(words, operand));
  const uint32_t packed = bits >= 32 ? 1 : 32 / bits;
  const uint32_t reg = i / packed, along = in_group * packed + i % packed;
  if (operand == MatrixOperand::kB) return {along + reg * 4 * packed, group};
  if (words.m == 8) return {group, along};
  return {group + 8 * (reg % 2), along + (reg / 2) * 4 * packed};
}

double Decode(MatrixType type, uint64_t bits) {
  switch (type) {
    case MatrixType::kF16:
      return static_cast<double>(std::bit_cast<_Float16>(static_cast<uint16_t>(bits)));
    case MatrixType::kBf16:
      return static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(bits << 16)));
    case MatrixType::kTf32:  // the last 13 bits of fraction are not looked at
      return static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(bits) & 0xffffe000u));
    case MatrixType::kF32:
      return static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(bits)));
    case MatrixType::kF64:
      return std::bit_cast<double>(bits);
    case MatrixType::kS8:
      return static_cast<int8_t>(bits);
    case MatrixType::kU8:
      return static_cast<uint8_t>(bits);
    case MatrixType::kS32:
      return static_cast<int32_t>(bits);
  }
  return 0;
}

uint64_t Encode(MatrixType type, double value) {
  switch (type) {
    case MatrixType::kF16:
      return std::bit_cast<uint16_t>(static_cast<_Float16>(value));
    case MatrixType::kF64:
      return std::bit_cast<uint64_t>(value);
    case MatrixType::kS32:  // wraps, as without .satfinite
      return static_cast<uint32_t>(static_cast<int64_t>(value));
    default:
      return std::bit_cast<uint32_t>(static_cast<float>(value));
  }
}

// The bits of element `i` in the registers that begin at extra row `first`.
uint64_t ElementBits(Warp& warp, const Inst* inst, size_t first, MatrixType type, uint32_t lane, uint32_t i) {
  const auto& rows = inst->extra->rows;
  if (type == MatrixType::kF64) return warp.Row<uint64_t>(rows[first + i])[lane];
  const uint32_t bits = BitsOf(type), packed = 32 / bits;
  const uint32_t word = warp.Row<uint32_t>(rows[first + i / packed])[lane];
  return bits == 32 ? word : (word >> (i % packed * bits)) & ((1u << bits) - 1);
}

void SetElementBits(Warp& warp, const Inst* inst, size_t first, MatrixType type, uint32_t lane, uint32_t i,
                    uint64_t value) {
  const auto& rows = inst->extra->rows;
  if (type == MatrixType::kF64) {
    warp.Row<uint64_t>(rows[first + i])[lane] = value;
    return;
  }
  const uint32_t bits = BitsOf(type), packed = 32 / bits;
  uint32_t& word = warp.Row<uint32_t>(rows[first + i / packed])[lane];
  const uint32_t mask = bits == 32 ? ~0u : ((1u << bits) - 1) << (i % packed * bits);
  word = (word & ~mask) | (static_cast<uint32_t>(value) << (i % packed * bits) & mask);
}

class Matrix {
 public:
  Matrix(Warp& warp, const Inst* inst, size_t first, const MatrixWords& words, MatrixOperand operand)
      : shape_(ShapeOf(words, operand)), elements_(size_t{shape_.rows} * shape_.columns) {
    const MatrixType type = TypeOf(words, operand);
    for (uint32_t lane = 0; lane < 32; ++lane) {
      for (uint32_t i = 0; i < shape_.per_lane(); ++i) {
        const Place place = PlaceOf(words, operand, lane, i);
        At(place.row, place.column) = Decode(type, ElementBits(warp, inst, first, type, lane, i));
      }
    }
  }
  double& At(uint32_t row, uint32_t column) { return elements_[size_t{row} * shape_.columns + column]; }

 private:
  MatrixShape shape_;
  std::vector<double> elements_;
};

// Calls `body(address, lane, i)` for each element of a fragment in memory; false: a fault is recorded.
template <typename Body>
bool EachInMemory(Warp& warp, const Inst* inst, Body body) {
  const MatrixWords words = WordsOf(inst);
  const auto operand = static_cast<MatrixOperand>(inst->y & 0xff);
  const bool by_column = (inst->y & 0x100) != 0, shared = (inst->y & 0x200) != 0;
  const uint32_t bytes = BitsOf(TypeOf(words, operand)) / 8;
  for (uint32_t lane = 0; lane < 32; ++lane) {
    uint64_t base = warp.Row<uint64_t>(inst->a)[lane];
    if (shared && base < kSharedWindow) base += kSharedWindow;
    const uint64_t stride = warp.Row<uint32_t>(inst->b)[lane];
    for (uint32_t i = 0; i < ShapeOf(words, operand).per_lane(); ++i) {
      const Place place = PlaceOf(words, operand, lane, i);
      const uint64_t element = by_column ? place.column * stride + place.row : place.row * stride + place.column;
      char* const at = HostAddress(warp, base + element * bytes, bytes, lane);
      if (at == nullptr) {
        warp.Fault(inst, LaunchStatus::kIllegalAddress, lane, "reaches a matrix at an illegal address");
        return false;
      }
      body(at, bytes, lane, i);
    }
  }
  return true;
}

}  // namespace

uint32_t BitsOf(MatrixType type) {
  switch (type) {
    case MatrixType::kS8:
    case MatrixType::kU8:
      return 8;
    case MatrixType::kF16:
    case MatrixType::kBf16:
      return 16;
    case MatrixType::kF64:
      return 64;
    default:
      return 32;
  }
}

MatrixShape ShapeOf(const MatrixWords& words, MatrixOperand operand) {
  switch (operand) {
    case MatrixOperand::kA:
      return {words.m, words.k};
    case MatrixOperand::kB:
      return {words.k, words.n};
    default:
      return {words.m, words.n};
  }
}

const Inst* MultiplyMatrices(Warp& warp, const Inst* inst, uint32_t) {
  const MatrixWords words = WordsOf(inst);
  const MatrixShape d = ShapeOf(words, MatrixOperand::kC);
  size_t first = inst->x;  // where a begins; d may have more registers than elements need
  Matrix a(warp, inst, first, words, MatrixOperand::kA);
  first = inst->y & 0xffff;
  Matrix b(warp, inst, first, words, MatrixOperand::kB);
  Matrix c(warp, inst, inst->y >> 16, words, MatrixOperand::kC);
  for (uint32_t lane = 0; lane < 32; ++lane) {
    for (uint32_t i = 0; i < d.per_lane(); ++i) {
      const Place place = PlaceOf(words, MatrixOperand::kC, lane, i);
      double sum = c.At(place.row, place.column);
      for (uint32_t k = 0; k < words.k; ++k) sum += a.At(place.row, k) * b.At(k, place.column);
      SetElementBits(warp, inst, 0, words.d, lane, i, Encode(words.d, sum));
    }
  }
  return inst + 1;
}

const Inst* LoadMatrix(Warp& warp, const Inst* inst, uint32_t) {
  const MatrixWords words = WordsOf(inst);
  const MatrixType type = TypeOf(words, static_cast<MatrixOperand>(inst->y & 0xff));
  const bool done = EachInMemory(warp, inst, [&](const char* at, uint32_t bytes, uint32_t lane, uint32_t i) {
    uint64_t bits = 0;
    std::memcpy(&bits, at, bytes);
    SetElementBits(warp, inst, 0, type, lane, i, bits);
  });
  return done ? inst + 1 : nullptr;
}

const Inst* StoreMatrix(Warp& warp, const Inst* inst, uint32_t) {
  const MatrixWords words = WordsOf(inst);
  const MatrixType type = TypeOf(words, static_cast<MatrixOperand>(inst->y & 0xff));
  const bool done = EachInMemory(warp, inst, [&](char* at, uint32_t bytes, uint32_t lane, uint32_t i) {
    const uint64_t bits = ElementBits(warp, inst, 0, type, lane, i);
    std::memcpy(at, &bits, bytes);
  });
  return done ? inst + 1 : nullptr;
}

// Lanes 8j to 8j + 7 give the rows of matrix j. Lane l receives two neighbours of row l / 4, or of column l / 4.
const Inst* LoadMatrices8x8(Warp& warp, const Inst* inst, uint32_t) {
  const uint32_t count = inst->x & 0xff;
  const bool transposed = (inst->x & 0x100) != 0;
  for (uint32_t j = 0; j < count; ++j) {
    uint16_t matrix[8][8];
    for (uint32_t row = 0; row < 8; ++row) {
      const uint32_t lane = 8 * j + row;
      uint64_t address = warp.Row<uint64_t>(inst->a)[lane] + static_cast<uint64_t>(inst->imm);
      if (address < kSharedWindow) address += kSharedWindow;
      const char* const at = HostAddress(warp, address, sizeof matrix[row], lane);
      if (at == nullptr || address % sizeof matrix[row] != 0)
        return warp.Fault(inst, at == nullptr ? LaunchStatus::kIllegalAddress : LaunchStatus::kMisaligned, lane,
                          "loads a row of a matrix from a bad address");
      std::memcpy(matrix[row], at, sizeof matrix[row]);
    }
    for (uint32_t lane = 0; lane < 32; ++lane) {
      const uint32_t line = lane / 4, along = 2 * (lane % 4);
      const uint32_t low = transposed ? matrix[along][line] : matrix[line][along];
      const uint32_t high = transposed ? matrix[along + 1][line] : matrix[line][along + 1];
      warp.Row<uint32_t>(inst->extra->rows[j])[lane] = low | high << 16;
    }
  }
  return inst + 1;
}

}  // namespace mignificient::cpu
