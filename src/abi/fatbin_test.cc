#include "abi/fatbin.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>

namespace mignificient::abi {
namespace {

constexpr uint32_t kEntryHeaderBytes = 64;

std::string Entry(uint16_t kind, uint32_t sm, const std::string& payload) {
  std::string entry(kEntryHeaderBytes, '\0');
  const uint32_t header_bytes = kEntryHeaderBytes;
  const uint64_t payload_bytes = payload.size();
  std::memcpy(entry.data(), &kind, 2);
  std::memcpy(entry.data() + 4, &header_bytes, 4);
  std::memcpy(entry.data() + 8, &payload_bytes, 8);
  std::memcpy(entry.data() + 28, &sm, 4);
  return entry + payload;
}

std::string Fatbin(const std::string& entries, uint16_t header_bytes = kFatbinHeaderBytes) {
  std::string fatbin(header_bytes, '\0');
  const uint16_t version = 1;
  const uint64_t bytes = entries.size();
  std::memcpy(fatbin.data(), &kFatbinMagic, 4);
  std::memcpy(fatbin.data() + 4, &version, 2);
  std::memcpy(fatbin.data() + 6, &header_bytes, 2);
  std::memcpy(fatbin.data() + 8, &bytes, 8);
  return fatbin + entries;
}

// What the pieces of `fatbin` are for a device of that major version.
std::string For(uint32_t major, const std::string& fatbin) {
  const Image image = FindImage(std::as_bytes(std::span(fatbin))).value();
  const DevicePieces code(image, major);
  std::string joined;
  for (const auto piece : code.pieces()) joined.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  EXPECT_EQ(code.bytes(), joined.size());
  return joined;
}

const std::string kElf80 = Entry(FatbinEntry::kElf, 80, std::string(24, 'a'));
const std::string kElf86 = Entry(FatbinEntry::kElf, 86, std::string(8, 'b'));
const std::string kElf90 = Entry(FatbinEntry::kElf, 90, std::string(40, 'c'));
const std::string kElf100 = Entry(FatbinEntry::kElf, 100, std::string(16, 'd'));
const std::string kPtx120 = Entry(FatbinEntry::kPtx, 120, std::string(32, 'e'));
const std::string kUnknown = Entry(7, 0, std::string(8, 'f'));

TEST(FatbinTest, CodeForOtherMajorVersionsIsLeftOutAndTheRestIsAsItWas) {
  const std::string all = Fatbin(kElf80 + kElf86 + kPtx120 + kElf90 + kUnknown + kElf100);
  EXPECT_EQ(For(9, all), Fatbin(kPtx120 + kElf90 + kUnknown));
  EXPECT_EQ(For(8, all), Fatbin(kElf80 + kElf86 + kPtx120 + kUnknown));
  EXPECT_EQ(For(10, all), Fatbin(kPtx120 + kUnknown + kElf100));
}

TEST(FatbinTest, NothingIsChangedWhereAllCanRun) {
  EXPECT_EQ(For(9, Fatbin(kElf90 + kPtx120)), Fatbin(kElf90 + kPtx120));
}

// The driver then says that there is no code for its device, not that the image is none.
TEST(FatbinTest, NothingIsChangedWhereNothingCanRun) {
  EXPECT_EQ(For(12, Fatbin(kElf80 + kElf90)), Fatbin(kElf80 + kElf90));
}

TEST(FatbinTest, NothingIsChangedWhereWeDoNotUnderstandIt) {
  const std::string longer = Fatbin(kElf80 + kElf90, 24);
  EXPECT_EQ(For(9, longer), longer);
  std::string malformed = Fatbin(kElf80 + kElf90);
  malformed[kFatbinHeaderBytes + kElf80.size() + 8] = '\x7f';  // the payload of the second is longer than the rest
  EXPECT_EQ(For(9, malformed), malformed);
  const std::string ptx = ".version 8.0\n";
  EXPECT_EQ(For(9, ptx + '\0'), ptx + '\0');
}

TEST(FatbinTest, EntriesTellWhatTheirHeadersSay) {
  const std::string fatbin = Fatbin(kElf90 + kPtx120);
  const auto entries = FatbinEntries(std::as_bytes(std::span(fatbin))).value();
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].kind, FatbinEntry::kElf);
  EXPECT_EQ(entries[0].sm, 90u);
  EXPECT_EQ(entries[0].payload.size(), 40u);
  EXPECT_EQ(entries[0].whole.size(), kElf90.size());
  EXPECT_EQ(entries[1].kind, FatbinEntry::kPtx);
}

TEST(FatbinTest, DamagedOnesAreRefusedOrListedButNeverReadPastTheirEnd) {
  std::mt19937 random(1);
  const std::string good = Fatbin(kElf80 + kPtx120 + kElf90);
  for (int round = 0; round < 20'000; ++round) {
    std::string bad = good;
    for (int i = 0; i < 3; ++i) bad[random() % bad.size()] = static_cast<char>(random());
    bad.resize(random() % 4 == 0 ? random() % bad.size() : bad.size());
    const auto image = FindImage(std::as_bytes(std::span(bad)));
    if (!image) continue;
    const DevicePieces code(*image, 9);
    EXPECT_LE(code.bytes(), bad.size());
  }
}

}  // namespace
}  // namespace mignificient::abi
