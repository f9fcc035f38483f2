// Matrix instructions against products computed here. Fragments are filled by hand from the PTX ISA's figures.
#include "driver/cpu/exec/fixture.h"

namespace mignificient::cpu {
namespace {

uint16_t Half(int value) {
  return std::bit_cast<uint16_t>(static_cast<_Float16>(value));
}
// Small numbers, so that every sum is exact in every type.
int A(uint32_t row, uint32_t k) {
  return static_cast<int>((row * 5 + k * 3) % 11) - 5;
}
int B(uint32_t k, uint32_t column) {
  return static_cast<int>((k * 7 + column * 2) % 13) - 6;
}
int C(uint32_t row, uint32_t column) {
  return static_cast<int>(row) - 3 * static_cast<int>(column);
}
int Product(uint32_t row, uint32_t column, uint32_t depth) {
  int sum = C(row, column);
  for (uint32_t k = 0; k < depth; ++k) sum += A(row, k) * B(k, column);
  return sum;
}

// in: a (count a), b, c words per lane; out: d words per lane.
std::string Kernel(std::string_view instruction, int a, int b, int c, int d) {
  const auto registers = [](char name, int count) {
    std::string list;
    for (int i = 0; i < count; ++i) list += fmt::format("{}%{}{}", i == 0 ? "" : ", ", name, i);
    return list;
  };
  std::string text = fmt::format(R"(.visible .entry k(.param .u64 in, .param .u64 out) {{
  .reg .b32 %a<8>, %b<8>, %c<8>, %d<8>, %t; .reg .b64 %q<4>;
  ld.param.u64 %q0, [in]; ld.param.u64 %q1, [out]; mov.u32 %t, %tid.x;
  mul.wide.u32 %q2, %t, {}; add.u64 %q0, %q0, %q2; mul.wide.u32 %q2, %t, {}; add.u64 %q1, %q1, %q2;
)",
                                 4 * (a + b + c), 4 * d);
  int at = 0;
  for (const auto& [name, count] : {std::pair('a', a), std::pair('b', b), std::pair('c', c)})
    for (int i = 0; i < count; ++i) text += fmt::format("  ld.global.u32 %{}{}, [%q0+{}];\n", name, i, 4 * at++);
  text += fmt::format("  {} {{{}}}, {{{}}}, {{{}}}, {{{}}};\n", instruction, registers('d', d), registers('a', a),
                      registers('b', b), registers('c', c));
  for (int i = 0; i < d; ++i) text += fmt::format("  st.global.u32 [%q1+{}], %d{};\n", 4 * i, i);
  return text + "  ret; }";
}

std::vector<uint32_t> Multiplied(const std::string& kernel, const std::vector<uint32_t>& in, size_t out_words) {
  Module module(kernel);
  std::vector<uint32_t> out(out_words);
  const auto ran =
      module.Run("k", {1}, {32}, Params().Add(AddressOf(in)).Add(AddressOf(out)), {ExtentOf(in), ExtentOf(out)});
  EXPECT_EQ(ran.result.status, LaunchStatus::kOk) << ran.result.message;
  return out;
}

TEST(MatrixTest, MmaOfHalvesHasTheFragmentsOfThePtxIsa) {
  std::vector<uint32_t> in;
  for (uint32_t lane = 0; lane < 32; ++lane) {
    const uint32_t g = lane / 4, t = lane % 4;
    const auto pair = [](int low, int high) { return Half(low) | static_cast<uint32_t>(Half(high)) << 16; };
    for (const auto& [row, k] : {std::pair(g, 2 * t), {g + 8, 2 * t}, {g, 2 * t + 8}, {g + 8, 2 * t + 8}})
      in.push_back(pair(A(row, k), A(row, k + 1)));
    for (const uint32_t k : {2 * t, 2 * t + 8}) in.push_back(pair(B(k, g), B(k + 1, g)));
    for (const auto& [row, column] : {std::pair(g, 2 * t), {g, 2 * t + 1}, {g + 8, 2 * t}, {g + 8, 2 * t + 1}})
      in.push_back(std::bit_cast<uint32_t>(static_cast<float>(C(row, column))));
  }
  const auto out = Multiplied(Kernel("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", 4, 2, 4, 4), in, 128);
  for (uint32_t lane = 0; lane < 32; ++lane) {
    const uint32_t g = lane / 4, t = lane % 4;
    const int expected[] = {Product(g, 2 * t, 16), Product(g, 2 * t + 1, 16), Product(g + 8, 2 * t, 16),
                            Product(g + 8, 2 * t + 1, 16)};
    for (uint32_t i = 0; i < 4; ++i)
      EXPECT_EQ(std::bit_cast<float>(out[4 * lane + i]), static_cast<float>(expected[i])) << lane << " " << i;
  }
}

TEST(MatrixTest, MmaOfBytesHasTheFragmentsOfThePtxIsa) {
  std::vector<uint32_t> in;
  for (uint32_t lane = 0; lane < 32; ++lane) {
    const uint32_t g = lane / 4, t = lane % 4;
    const auto four = [](auto value) {
      uint32_t word = 0;
      for (uint32_t j = 0; j < 4; ++j) word |= static_cast<uint32_t>(static_cast<uint8_t>(value(j))) << (8 * j);
      return word;
    };
    for (const auto& [row, k] : {std::pair(g, 4 * t), {g + 8, 4 * t}, {g, 4 * t + 16}, {g + 8, 4 * t + 16}})
      in.push_back(four([row = row, k = k](uint32_t j) { return A(row, k + j); }));
    for (const uint32_t k : {4 * t, 4 * t + 16}) in.push_back(four([=](uint32_t j) { return B(k + j, g); }));
    for (const auto& [row, column] : {std::pair(g, 2 * t), {g, 2 * t + 1}, {g + 8, 2 * t}, {g + 8, 2 * t + 1}})
      in.push_back(static_cast<uint32_t>(C(row, column)));
  }
  const auto out = Multiplied(Kernel("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32", 4, 2, 4, 4), in, 128);
  for (uint32_t lane = 0; lane < 32; ++lane) {
    const uint32_t g = lane / 4, t = lane % 4;
    EXPECT_EQ(static_cast<int>(out[4 * lane]), Product(g, 2 * t, 32));
    EXPECT_EQ(static_cast<int>(out[4 * lane + 3]), Product(g + 8, 2 * t + 1, 32));
  }
}

TEST(MatrixTest, MmaOfTf32LooksAtTenBitsOfFraction) {
  std::vector<uint32_t> in;
  const auto word = [](int value) { return std::bit_cast<uint32_t>(static_cast<float>(value)); };
  for (uint32_t lane = 0; lane < 32; ++lane) {
    const uint32_t g = lane / 4, t = lane % 4;
    for (const auto& [row, k] : {std::pair(g, t), {g + 8, t}, {g, t + 4}, {g + 8, t + 4}})
      in.push_back(word(A(row, k)) | 0x1fff);  // what is not looked at
    for (const uint32_t k : {t, t + 4}) in.push_back(word(B(k, g)));
    for (int i = 0; i < 4; ++i) in.push_back(0);
  }
  const auto out = Multiplied(Kernel("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32", 4, 2, 4, 4), in, 128);
  for (uint32_t lane = 0; lane < 32; ++lane) {
    const uint32_t g = lane / 4, t = lane % 4;
    EXPECT_EQ(std::bit_cast<float>(out[4 * lane]), static_cast<float>(Product(g, 2 * t, 8) - C(g, 2 * t)));
    EXPECT_EQ(std::bit_cast<float>(out[4 * lane + 2]), static_cast<float>(Product(g + 8, 2 * t, 8) - C(g + 8, 2 * t)));
  }
}

TEST(MatrixTest, WmmaLoadsMultipliesAndStores) {
  Module module(R"(.visible .entry k(.param .u64 a, .param .u64 b, .param .u64 d) {
  .reg .b32 %a<8>, %b<8>, %s; .reg .f32 %c<8>, %d<8>; .reg .b64 %q<4>; .shared .align 16 .b8 tile[512]; .reg .b32 %t<4>;
  ld.param.u64 %q0, [a]; ld.param.u64 %q1, [b]; ld.param.u64 %q2, [d]; mov.u32 %s, 24;
  wmma.load.a.sync.aligned.row.m16n16k16.global.f16 {%a0, %a1, %a2, %a3, %a4, %a5, %a6, %a7}, [%q0], %s;
  wmma.load.b.sync.aligned.col.m16n16k16.global.f16 {%b0, %b1, %b2, %b3, %b4, %b5, %b6, %b7}, [%q1];
  mov.f32 %c0, 0f3F800000; mov.f32 %c1, %c0; mov.f32 %c2, %c0; mov.f32 %c3, %c0; mov.f32 %c4, %c0; mov.f32 %c5, %c0;
  mov.f32 %c6, %c0; mov.f32 %c7, %c0;
  wmma.mma.sync.aligned.row.col.m16n16k16.f32.f32 {%d0, %d1, %d2, %d3, %d4, %d5, %d6, %d7},
    {%a0, %a1, %a2, %a3, %a4, %a5, %a6, %a7}, {%b0, %b1, %b2, %b3, %b4, %b5, %b6, %b7},
    {%c0, %c1, %c2, %c3, %c4, %c5, %c6, %c7};
  wmma.store.d.sync.aligned.row.m16n16k16.global.f32 [%q2], {%d0, %d1, %d2, %d3, %d4, %d5, %d6, %d7};
  ret; })");
  std::vector<uint16_t> a(16 * 24), b(256);
  for (uint32_t i = 0; i < 16; ++i) {
    for (uint32_t k = 0; k < 16; ++k) a[i * 24 + k] = Half(A(i, k)), b[i * 16 + k] = Half(B(k, i));
  }
  std::vector<float> d(256);
  const auto ran = module.Run("k", {1}, {32}, Params().Add(AddressOf(a)).Add(AddressOf(b)).Add(AddressOf(d)),
                              {ExtentOf(a), ExtentOf(b), ExtentOf(d)});
  ASSERT_EQ(ran.result.status, LaunchStatus::kOk) << ran.result.message;
  for (uint32_t i = 0; i < 256; ++i)
    EXPECT_EQ(d[i], static_cast<float>(Product(i / 16, i % 16, 16) - C(i / 16, i % 16) + 1)) << i;
}

TEST(MatrixTest, LdmatrixDealsRowsOrColumns) {
  const auto kernel = [](std::string_view trans) {
    return fmt::format(R"(.visible .entry k(.param .u64 in, .param .u64 out) {{
  .shared .align 16 .b8 tile[256]; .reg .b32 %r<8>; .reg .b64 %q<4>; .reg .b32 %t;
  ld.param.u64 %q0, [in]; ld.param.u64 %q1, [out]; mov.u32 %t, %tid.x; mul.wide.u32 %q2, %t, 8; add.u64 %q0, %q0, %q2; add.u64 %q1, %q1, %q2;
  ld.global.u32 %r0, [%q0]; ld.global.u32 %r1, [%q0+4]; mov.u32 %r2, tile; shl.b32 %r3, %t, 3; add.u32 %r3, %r2, %r3;
  st.shared.u32 [%r3], %r0; st.shared.u32 [%r3+4], %r1; bar.sync 0;
  and.b32 %r4, %t, 15; shl.b32 %r4, %r4, 4; add.u32 %r4, %r2, %r4;
  ldmatrix.sync.aligned.m8n8.x2{}.shared.b16 {{%r5, %r6}}, [%r4];
  st.global.u32 [%q1], %r5; st.global.u32 [%q1+4], %r6; ret; }})",
                       trans);
  };
  std::vector<uint32_t> in(64);
  for (uint32_t i = 0; i < 64; ++i) in[i] = 2 * i | (2 * i + 1) << 16;  // 16 bits: their own number
  const auto rows = Multiplied(kernel(""), in, 64), columns = Multiplied(kernel(".trans"), in, 64);
  for (uint32_t lane = 0; lane < 32; ++lane) {
    for (uint32_t j = 0; j < 2; ++j) {
      const uint32_t line = lane / 4, along = 2 * (lane % 4), base = 64 * j;
      EXPECT_EQ(rows[2 * lane + j], (base + 8 * line + along) | (base + 8 * line + along + 1) << 16);
      EXPECT_EQ(columns[2 * lane + j], (base + 8 * along + line) | (base + 8 * (along + 1) + line) << 16);
    }
  }
}

}  // namespace
}  // namespace mignificient::cpu
