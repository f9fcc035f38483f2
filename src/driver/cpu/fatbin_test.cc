#include "driver/cpu/fatbin.h"

#include <gtest/gtest.h>
#include <lz4.h>
#include <zstd.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

namespace mignificient::cpu {
namespace {

using abi::FatbinEntries;
using abi::FatbinEntry;

using Bytes = std::vector<std::byte>;

constexpr uint64_t kFlags = 0x11;
const std::string kPtx = ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k() { ret; }\n";

template <typename T>
void Append(Bytes& bytes, T value) {
  const auto* begin = reinterpret_cast<const std::byte*>(&value);
  bytes.insert(bytes.end(), begin, begin + sizeof(value));
}

enum class Packing { kNone, kLz4, kZstd };

std::string Pack(const std::string& text, Packing packing) {
  if (packing == Packing::kNone) return text;
  std::string packed(text.size() * 2 + 100, '\0');
  size_t bytes = 0;
  if (packing == Packing::kZstd) {
    bytes = ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 3);
  } else {
    bytes = LZ4_compress_default(text.data(), packed.data(), text.size(), packed.size());
  }
  packed.resize(bytes);
  return packed;
}

Bytes Entry(uint16_t kind, uint32_t sm, const std::string& text, Packing packing, uint64_t more_flags = 0) {
  std::string payload = Pack(text, packing);
  const bool packed = packing != Packing::kNone;
  const uint32_t compressed_bytes = packed ? payload.size() : 0;
  payload.resize((payload.size() + 8) / 8 * 8);
  const uint64_t packing_flag = packing == Packing::kLz4 ? 0x2000 : packing == Packing::kZstd ? 0x8000 : 0;
  Bytes entry;
  Append<uint16_t>(entry, kind);
  Append<uint16_t>(entry, 0x101);
  Append<uint32_t>(entry, 64);
  Append<uint64_t>(entry, payload.size());
  Append<uint32_t>(entry, compressed_bytes);
  Append<uint32_t>(entry, 0);
  Append<uint32_t>(entry, 0x90000);
  Append<uint32_t>(entry, sm);
  Append<uint64_t>(entry, 0);
  Append<uint64_t>(entry, kFlags | packing_flag | more_flags);
  Append<uint64_t>(entry, 0);
  Append<uint64_t>(entry, packed ? text.size() : 0);
  const auto* begin = reinterpret_cast<const std::byte*>(payload.data());
  entry.insert(entry.end(), begin, begin + payload.size());
  return entry;
}

Bytes Fatbin(const std::vector<Bytes>& entries) {
  Bytes all;
  for (const auto& entry : entries) all.insert(all.end(), entry.begin(), entry.end());
  Bytes fatbin;
  Append<uint32_t>(fatbin, abi::kFatbinMagic);
  Append<uint16_t>(fatbin, 1);
  Append<uint16_t>(fatbin, 16);
  Append<uint64_t>(fatbin, all.size());
  fatbin.insert(fatbin.end(), all.begin(), all.end());
  return fatbin;
}

Result<std::string> Extract(std::span<const std::byte> bytes, uint32_t sm = 90) {
  MIG_ASSIGN(const auto image, abi::FindImage(bytes));
  return ExtractPtx(image, sm);
}

std::string Named(const std::string& name) {
  return kPtx + "// " + name + "\n";
}

class PackingTest : public testing::TestWithParam<Packing> {};

TEST_P(PackingTest, PtxComesOutAsItWentIn) {
  const auto ptx = Extract(Fatbin({Entry(FatbinEntry::kElf, 90,
                                         "\x7f"
                                         "ELF",
                                         Packing::kNone),
                                   Entry(FatbinEntry::kPtx, 90, kPtx, GetParam())}));
  ASSERT_TRUE(ptx) << ptx.error().message();
  EXPECT_EQ(*ptx, kPtx);
}

TEST_P(PackingTest, TruncationAtEveryLengthIsAnErrorAndNoCrash) {
  const auto fatbin = Fatbin({Entry(FatbinEntry::kPtx, 75, kPtx, GetParam())});
  for (size_t length = 0; length < fatbin.size(); ++length) {
    const Bytes cut(fatbin.begin(), fatbin.begin() + length);  // exactly as long, so that ASan sees a step too far
    EXPECT_FALSE(Extract(cut)) << length;
  }
}

TEST_P(PackingTest, DamagedBytesNeverCrash) {
  const auto fatbin =
      Fatbin({Entry(FatbinEntry::kPtx, 75, kPtx, GetParam()), Entry(FatbinEntry::kElf, 90, "x", Packing::kNone)});
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    Bytes damaged = fatbin;
    for (int i = 0; i <= round % 4; ++i) damaged[random() % damaged.size()] = std::byte(random());
    (void)Extract(damaged);
  }
}

INSTANTIATE_TEST_SUITE_P(Packings, PackingTest, testing::Values(Packing::kNone, Packing::kLz4, Packing::kZstd));

TEST(FatbinTest, NewestPtxThatTheDeviceRunsIsChosen) {
  const auto fatbin = Fatbin({Entry(1, 120, Named("120"), Packing::kNone), Entry(1, 75, Named("75"), Packing::kNone),
                              Entry(1, 86, Named("86"), Packing::kZstd), Entry(1, 100, Named("100"), Packing::kNone)});
  EXPECT_EQ(Extract(fatbin, 90).value(), Named("86"));
  EXPECT_EQ(Extract(fatbin, 75).value(), Named("75"));
  EXPECT_EQ(Extract(fatbin, 130).value(), Named("120"));
}

TEST(FatbinTest, OldestNewerPtxIsTriedWhereNoneIsOldEnough) {
  const auto fatbin =
      Fatbin({Entry(1, 120, Named("120"), Packing::kNone), Entry(1, 100, Named("100"), Packing::kNone)});
  EXPECT_EQ(Extract(fatbin, 90).value(), Named("100"));
}

TEST(FatbinTest, PlainPtxIsPreferredToArchitectureSpecific) {
  const auto fatbin = Fatbin({Entry(1, 90, Named("90a"), Packing::kNone, FatbinEntry::kFlagArchitectureSpecific),
                              Entry(1, 90, Named("90"), Packing::kNone)});
  EXPECT_EQ(Extract(fatbin).value(), Named("90"));
}

TEST(FatbinTest, MachineCodeAloneIsNotFound) {
  const auto ptx = Extract(Fatbin({Entry(FatbinEntry::kElf, 90, "code", Packing::kNone)}));
  ASSERT_FALSE(ptx);
  EXPECT_EQ(ptx.error().code(), Code::kNotFound);
}

TEST(FatbinTest, AClaimOfHugeContentIsRefusedBeforeItIsAllocated) {
  Bytes entry = Entry(FatbinEntry::kPtx, 90, kPtx, Packing::kZstd);
  const uint64_t huge = uint64_t{1} << 60;
  std::memcpy(entry.data() + 56, &huge, sizeof(huge));
  EXPECT_FALSE(Extract(Fatbin({entry})));
}

struct Wrapper {
  uint32_t magic = abi::kFatbinWrapperMagic;
  uint32_t version = 1;
  const void* data = nullptr;
  const void* const* prelinked = nullptr;
};

Result<std::string> ExtractWrapped(const Wrapper& wrapper) {
  MIG_ASSIGN(const auto image, abi::FindImage(&wrapper));
  return ExtractPtx(image, 90);
}

TEST(FatbinTest, AWrapperLeadsToItsFatBinary) {
  const auto fatbin = Fatbin({Entry(1, 90, kPtx, Packing::kZstd)});
  EXPECT_EQ(ExtractWrapped({.data = fatbin.data()}).value(), kPtx);
}

TEST(FatbinTest, PtxOfTheOneRelocatableObjectIsFound) {
  const auto linked = Fatbin({Entry(FatbinEntry::kElf, 90, "code", Packing::kNone)});
  const auto object = Fatbin({Entry(1, 90, kPtx, Packing::kZstd)});
  const void* one[] = {linked.data(), object.data(), nullptr};
  EXPECT_EQ(ExtractWrapped({.version = 2, .data = linked.data(), .prelinked = one}).value(), kPtx);
  const void* two[] = {object.data(), object.data(), nullptr};
  const auto refused = ExtractWrapped({.version = 2, .data = linked.data(), .prelinked = two});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kUnsupported);
}

class NvccTest : public testing::TestWithParam<const char*> {
 protected:
  static Result<std::string> ExtractFile(const std::string& name) {
#ifdef MIG_NVCC_FATBINS
    std::ifstream file(std::string(MIG_NVCC_FATBINS) + "/" + name + ".fatbin", std::ios::binary);
    const std::string content(std::istreambuf_iterator<char>(file), {});
    return Extract(std::as_bytes(std::span(content)));
#else
    return Fail(Code::kUnavailable, "[{}] was not built.", name);
#endif
  }
  void SetUp() override {
#ifndef MIG_NVCC_FATBINS
    GTEST_SKIP() << "nvcc was not found when the build was configured.";
#endif
  }
};

TEST_P(NvccTest, RealFatBinariesHoldTheKernel) {
  const auto ptx = ExtractFile(GetParam());
  ASSERT_TRUE(ptx) << ptx.error().message();
  EXPECT_NE(ptx->find(".entry scale("), std::string::npos);
}

TEST_F(NvccTest, RealMachineCodeAloneIsNotFound) {
  const auto ptx = ExtractFile("machine_code_only");
  ASSERT_FALSE(ptx);
  EXPECT_EQ(ptx.error().code(), Code::kNotFound);
}

INSTANTIATE_TEST_SUITE_P(Modes, NvccTest,
                         testing::Values("default", "none", "size", "speed", "balance", "compress_all", "several",
                                         "newer", "specific"));

}  // namespace
}  // namespace mignificient::cpu
