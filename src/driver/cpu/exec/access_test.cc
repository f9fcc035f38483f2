// Accesses as regular as kernels make them (neighbours, all at one place, by half warps), and nearly so: whatever way
// the engine takes for them, each lane gets its own.
#include <algorithm>
#include <array>

#include "driver/cpu/exec/fixture.h"

namespace mignificient::cpu {
namespace {

using Indices = std::array<uint32_t, 32>;

struct Element {
  const char* type;
  uint32_t bytes;
  bool is_signed;
};
constexpr Element kElements[] = {{"u8", 1, false},  {"s8", 1, true},  {"u16", 2, false}, {"s16", 2, true},
                                 {"u32", 4, false}, {"s32", 4, true}, {"b64", 8, false}};

// Which element each lane asks for, below 32.
std::vector<Indices> Patterns() {
  std::vector<Indices> all(8);
  for (uint32_t l = 0; l < 32; ++l) {
    all[0][l] = l;                             // neighbours
    all[1][l] = 5;                             // one
    all[2][l] = l % 16;                        // two rows of a 16 x 16 block
    all[3][l] = l / 16;                        // the same within each half
    all[4][l] = l < 16 ? l : (l * 7) % 32;     // only the first half is regular
    all[5][l] = l < 16 ? 3 : 31 - l % 16;      // one, then backwards
    all[6][l] = l == 31 ? 0 : l;               // all but the last
    all[7][l] = (l * 2654435761u >> 7) % 32u;  // anyhow
  }
  return all;
}

std::vector<uint8_t> Bytes() {
  std::vector<uint8_t> bytes(32 * 8);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 37 + 101);
  return bytes;
}

uint64_t Expected(const std::vector<uint8_t>& bytes, const Element& element, uint32_t index) {
  uint64_t value = 0;
  std::memcpy(&value, bytes.data() + size_t{index} * element.bytes, element.bytes);
  if (!element.is_signed) return value;
  const uint32_t shift = 64 - 8 * element.bytes;
  return static_cast<uint64_t>(static_cast<int64_t>(value << shift) >> shift);
}

// Before the access: %rd6 (global, shared64) or %r4 (shared32) is the address of the lane's element less 8, %p1 holds
// for the lanes that take part, shared memory holds the data.
std::string Kernel(const Element& element, std::string_view access) {
  return fmt::format(R"(.visible .entry k(.param .u64 out, .param .u64 data, .param .u64 idx, .param .u32 skip) {{
    .shared .align 8 .b8 tile[264]; .reg .b32 %r<9>; .reg .b64 %rd<12>; .reg .pred %p<2>;
    ld.param.u64 %rd1, [out]; ld.param.u64 %rd2, [data]; ld.param.u64 %rd3, [idx]; ld.param.u32 %r8, [skip];
    mov.u32 %r1, %tid.x; mul.wide.u32 %rd4, %r1, 8; add.u64 %rd1, %rd1, %rd4;
    add.u64 %rd5, %rd2, %rd4; ld.global.b64 %rd7, [%rd5]; mov.u64 %rd8, tile; add.u64 %rd9, %rd8, %rd4; st.shared.b64 [%rd9+8], %rd7;
    mul.wide.u32 %rd4, %r1, 4; add.u64 %rd5, %rd3, %rd4; ld.global.u32 %r2, [%rd5]; mul.lo.u32 %r3, %r2, {0}; cvt.u64.u32 %rd5, %r3;
    and.b32 %r5, %r1, %r8; setp.eq.u32 %p1, %r5, 0; mov.u64 %rd7, 77;
    {1}
    st.global.b64 [%rd1], %rd7; ret; }})",
                     element.bytes, access);
}

struct Space {
  const char* name;
  const char* address;  // code that makes it
  const char* operand;
};
constexpr Space kSpaces[] = {
    {"global", "add.u64 %rd6, %rd2, %rd5; sub.u64 %rd6, %rd6, 8;", "%rd6"},
    {"shared", "mov.u32 %r4, tile; add.u32 %r4, %r4, %r3;", "%r4"},
    {"shared", "add.u64 %rd6, %rd8, %rd5;", "%rd6"},
};

TEST(AccessTest, EveryLaneLoadsItsOwnElement) {
  const auto bytes = Bytes();
  for (const Element& element : kElements) {
    for (const Space& space : kSpaces) {
      // Into a register of its own, and into the one that holds the address.
      for (const char* target : {"%rd7", "%rd6"}) {
        Module module(Kernel(element, fmt::format("{} @%p1 ld.{}.{} {}, [{}+8]; @%p1 mov.b64 %rd7, {};", space.address,
                                                  space.name, element.type, target, space.operand, target)));
        for (const Indices& indices : Patterns()) {
          for (const uint32_t skip : {0u, 1u, 16u}) {
            std::vector<uint64_t> out(32);
            const std::vector<uint32_t> asked(indices.begin(), indices.end());
            const auto ran = module.Run(
                "k", {1}, {32}, Params().Add(AddressOf(out)).Add(AddressOf(bytes)).Add(AddressOf(asked)).Add(skip),
                {ExtentOf(out), ExtentOf(bytes), ExtentOf(asked)});
            ASSERT_EQ(ran.result.status, LaunchStatus::kOk) << ran.result.message;
            for (uint32_t l = 0; l < 32; ++l)
              ASSERT_EQ(out[l], l & skip ? 77 : Expected(bytes, element, indices[l]))
                  << element.type << " " << space.name << " " << target << " lane " << l;
          }
        }
      }
    }
  }
}

TEST(AccessTest, EveryLaneStoresToItsOwnElement) {
  for (const Element& element : kElements) {
    for (const Space& space : kSpaces) {
      const std::string value = element.bytes == 8 ? "%rd11" : "%r6";
      const std::string type = fmt::format("b{}", 8 * element.bytes);
      // What was stored is loaded again, by lane l from element l.
      Module module(Kernel(
          element,
          fmt::format("{0} add.u32 %r6, %r1, 1; cvt.u64.u32 %rd11, %r6; @%p1 st.{1}.{2} [{3}+8], {4}; mul.lo.u32 %r3, "
                      "%r1, {5}; cvt.u64.u32 %rd5, %r3; {0} ld.{1}.{6} %rd7, [{3}+8];",
                      space.address, space.name, type, space.operand, value, element.bytes, element.type)));
      for (const Indices& indices : Patterns()) {
        for (const uint32_t skip : {0u, 1u, 16u}) {
          std::vector<uint64_t> out(32);
          auto bytes = Bytes();
          const auto before = bytes;
          const std::vector<uint32_t> asked(indices.begin(), indices.end());
          const auto ran = module.Run(
              "k", {1}, {32}, Params().Add(AddressOf(out)).Add(AddressOf(bytes)).Add(AddressOf(asked)).Add(skip),
              {ExtentOf(out), ExtentOf(bytes), ExtentOf(asked)});
          ASSERT_EQ(ran.result.status, LaunchStatus::kOk) << ran.result.message;
          for (uint32_t l = 0; l < 32; ++l) {
            std::vector<uint64_t> allowed;  // any of the lanes that stored there
            for (uint32_t k = 0; k < 32; ++k) {
              if (indices[k] == l && !(k & skip)) allowed.push_back(k + 1);
            }
            if (allowed.empty()) allowed.push_back(Expected(before, element, l));
            ASSERT_THAT(allowed, testing::Contains(out[l])) << element.type << " " << space.name << " lane " << l;
          }
        }
      }
    }
  }
}

TEST(AccessTest, VectorsOfNeighboursAreTakenApart) {
  for (const auto& [type, words, count] : {std::tuple{"u32", 1u, 2u}, {"u32", 1u, 4u}, {"u64", 2u, 2u}}) {
    const std::string registers = words == 2 ? "%rd{}" : "%r1{}";
    std::string list;
    for (uint32_t k = 0; k < count; ++k)
      list = (k ? list + ", " : "") + fmt::format(fmt::runtime(registers), k + (words == 2 ? 10 : 0));
    Module module(
        fmt::format(R"(.visible .entry k(.param .u64 from, .param .u64 to) {{ .reg .b32 %r<16>; .reg .b64 %rd<20>;
      ld.param.u64 %rd1, [from]; ld.param.u64 %rd2, [to]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd3, %r1, {0};
      add.u64 %rd1, %rd1, %rd3; add.u64 %rd2, %rd2, %rd3; ld.global.v{1}.{2} {{{3}}}, [%rd1]; st.global.v{1}.{2} [%rd2], {{{3}}}; ret; }})",
                    4 * words * count, count, type, list));
    std::vector<uint32_t> from(32 * words * count), to(from.size());
    for (uint32_t i = 0; i < from.size(); ++i) from[i] = i * 0x9e3779b1u;
    const auto ran =
        module.Run("k", {1}, {32}, Params().Add(AddressOf(from)).Add(AddressOf(to)), {ExtentOf(from), ExtentOf(to)});
    ASSERT_EQ(ran.result.status, LaunchStatus::kOk) << ran.result.message;
    EXPECT_EQ(from, to) << type << " v" << count;
  }
}

// More arrays than the engine remembers, used in turns.
TEST(AccessTest, ManyAllocationsInTurn) {
  constexpr size_t kArrays = 7;
  std::vector<std::vector<uint32_t>> arrays(kArrays, std::vector<uint32_t>(32, 3));
  std::string code;
  Params params;
  std::vector<MemoryMap::Extent> extents;
  for (size_t i = 0; i < kArrays; ++i) {
    code += fmt::format(
        "ld.param.u64 %rd1, [p+{}]; add.u64 %rd1, %rd1, %rd2; ld.global.u32 %r2, [%rd1]; add.u32 %r3, %r3, %r2;"
        "add.u32 %r4, %r3, %r1; st.global.u32 [%rd1], %r4;",
        8 * i);
    params.Add(AddressOf(arrays[i]));
    extents.push_back(ExtentOf(arrays[i]));
  }
  Module module(fmt::format(R"(.visible .entry k(.param .align 8 .b8 p[{}]) {{ .reg .b32 %r<5>; .reg .b64 %rd<3>;
    mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 4; mov.u32 %r3, 0; {} ret; }})",
                            8 * kArrays, code));
  const auto ran = module.Run("k", {1}, {32}, params, extents);
  ASSERT_EQ(ran.result.status, LaunchStatus::kOk) << ran.result.message;
  for (uint32_t i = 0; i < kArrays; ++i) {
    for (uint32_t l = 0; l < 32; ++l) EXPECT_EQ(arrays[i][l], 3 * (i + 1) + l);
  }
}

// A run that leaves its array: the lane that is outside is named, in every space.
TEST(AccessTest, ARunThatLeavesItsMemoryNamesTheLane) {
  std::vector<uint32_t> memory(256, 1);
  const std::vector<MemoryMap::Extent> extents = {{AddressOf(memory), AddressOf(memory) + 4 * 30}};
  const auto run = [&](std::string_view body) {
    Module module(fmt::format(
        R"(.visible .entry k(.param .u64 out) {{ .shared .align 4 .b8 tile[120]; .reg .b32 %r<5>; .reg .b64 %rd<4>;
      ld.param.u64 %rd1, [out]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 4; add.u64 %rd3, %rd1, %rd2; mov.u32 %r4, tile; shl.b32 %r2, %r1, 2; add.u32 %r2, %r2, %r4; {} ret; }})",
        body));
    const auto ran = module.Run("k", {1}, {32}, Params().Add(AddressOf(memory)), extents);
    EXPECT_EQ(ran.result.status, LaunchStatus::kIllegalAddress);
    return ran.result.message;
  };
  EXPECT_THAT(run("ld.global.u32 %r3, [%rd3];"), testing::HasSubstr("thread (30,0,0)"));
  EXPECT_THAT(run("st.global.u32 [%rd3], %r1;"), testing::HasSubstr("thread (30,0,0)"));
  // The engine gives shared variables room in units of 16 bytes: 128 here.
  EXPECT_THAT(run("ld.shared.u32 %r3, [%r2+8];"), testing::HasSubstr("thread (30,0,0)"));
  EXPECT_THAT(run("st.shared.u32 [%r2+8], %r1;"), testing::HasSubstr("thread (30,0,0)"));
  EXPECT_THAT(run("ld.shared.u32 %r3, [%r2+-4];"), testing::HasSubstr("thread (0,0,0)"));
}

// Lanes that add to one place each find another value there, whichever way round, and the sum is right.
TEST(AccessTest, AdditionsToOnePlaceAreToldApart) {
  for (const char* space : {"global", "shared"}) {
    for (const uint32_t skip : {0u, 4u}) {
      std::vector<uint32_t> out(33);
      Module module(fmt::format(R"(.visible .entry k(.param .u64 out, .param .u32 skip) {{
        .shared .align 4 .b32 cell; .reg .b32 %r<8>; .reg .b64 %rd<8>; .reg .pred %p<3>;
        ld.param.u64 %rd1, [out]; ld.param.u32 %r7, [skip]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 4; add.u64 %rd3, %rd1, %rd2;
        mov.u32 %r5, cell; cvt.u64.u32 %rd4, %r5; st.shared.u32 [%r5], 0; and.b32 %r2, %r1, %r7; setp.eq.u32 %p1, %r2, 0; mov.u32 %r4, 1000;
        @%p1 atom.{0}.add.u32 %r4, [{1}], 2; st.global.u32 [%rd3], %r4; setp.eq.u32 %p2, %r1, 0; ld.{0}.u32 %r6, [{1}];
        @%p2 st.global.u32 [%rd1+128], %r6; ret; }})",
                                space, std::string_view(space) == "global" ? "%rd1+128" : "%r5"));
      const auto ran = module.Run("k", {1}, {32}, Params().Add(AddressOf(out)).Add(skip), {ExtentOf(out)});
      ASSERT_EQ(ran.result.status, LaunchStatus::kOk) << ran.result.message;
      std::vector<uint32_t> found;
      for (uint32_t l = 0; l < 32; ++l) {
        if (l & skip)
          EXPECT_EQ(out[l], 1000u);
        else
          found.push_back(out[l]);
      }
      EXPECT_EQ(out[32], 2 * found.size());
      std::ranges::sort(found);
      for (uint32_t k = 0; k < found.size(); ++k) EXPECT_EQ(found[k], 2 * k);
    }
  }
}

}  // namespace
}  // namespace mignificient::cpu
