#include "abi/image.h"

#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>

namespace mignificient::abi {
namespace {

std::vector<std::byte> Fatbin(uint64_t payload_bytes) {
  std::vector<std::byte> fatbin(kFatbinHeaderBytes + payload_bytes);
  const uint16_t version = 1, header = kFatbinHeaderBytes;
  std::memcpy(fatbin.data(), &kFatbinMagic, 4);
  std::memcpy(fatbin.data() + 4, &version, 2);
  std::memcpy(fatbin.data() + 6, &header, 2);
  std::memcpy(fatbin.data() + 8, &payload_bytes, 8);
  return fatbin;
}

// Header, 100 bytes of a section, and the section table in front of them.
std::vector<std::byte> Elf() {
  std::vector<std::byte> elf(sizeof(Elf64_Ehdr) + sizeof(Elf64_Shdr) + 100);
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_shoff = sizeof(Elf64_Ehdr);
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = 1;
  Elf64_Shdr section{};
  section.sh_type = SHT_PROGBITS;
  section.sh_offset = sizeof(Elf64_Ehdr) + sizeof(Elf64_Shdr);
  section.sh_size = 100;
  std::memcpy(elf.data(), &header, sizeof(header));
  std::memcpy(elf.data() + sizeof(header), &section, sizeof(section));
  return elf;
}

TEST(ImageTest, SizeOfAFatBinaryIsHeaderAndPayload) {
  EXPECT_EQ(ImageSize(Fatbin(200).data()).value(), 216u);
}

TEST(ImageTest, SizeOfPtxIncludesTheZeroByte) {
  const std::string ptx = "//\n.version 8.0\n";
  EXPECT_EQ(ImageSize(ptx.c_str()).value(), ptx.size() + 1);
  EXPECT_EQ(FindImage(ptx.c_str()).value().kind, ImageKind::kPtx);
}

TEST(ImageTest, SizeOfAnElfImageIsTheEndOfItsLastSection) {
  const auto elf = Elf();
  EXPECT_EQ(ImageSize(elf.data()).value(), elf.size());
  EXPECT_EQ(FindImage(elf).value().kind, ImageKind::kElf);
}

TEST(ImageTest, SizeBehindAWrapperIsThatOfItsFatBinary) {
  const auto fatbin = Fatbin(40);
  struct {
    uint32_t magic = kFatbinWrapperMagic, version = 1;
    const void* data;
    void* extra = nullptr;
  } wrapper{.data = fatbin.data()};
  const auto image = FindImage(&wrapper);
  ASSERT_TRUE(image);
  EXPECT_EQ(image->bytes.data(), fatbin.data());
  EXPECT_EQ(image->bytes.size(), fatbin.size());
  wrapper.version = 3;
  EXPECT_FALSE(FindImage(&wrapper));
}

TEST(ImageTest, AWrapperOfAnotherProcessIsRefused) {
  std::vector<std::byte> bytes(24);
  std::memcpy(bytes.data(), &kFatbinWrapperMagic, 4);
  EXPECT_FALSE(FindImage(std::span<const std::byte>(bytes)));
}

TEST(ImageTest, NothingUnknownIsAnImage) {
  EXPECT_FALSE(ImageSize(nullptr));
  EXPECT_FALSE(ImageSize(""));
  EXPECT_FALSE(ImageSize("garbage"));
}

TEST(ImageTest, TruncatedImagesAreRefusedAtEveryLength) {
  for (const auto& whole : {Fatbin(64), Elf()}) {
    for (size_t length = 0; length < whole.size(); ++length) {
      const std::vector<std::byte> cut(whole.begin(), whole.begin() + length);
      EXPECT_FALSE(FindImage(std::span<const std::byte>(cut))) << length;
    }
  }
}

TEST(ImageTest, DamagedImagesNeverLeadOutsideTheirBytes) {
  std::mt19937 random(3);
  for (int round = 0; round < 50000; ++round) {
    auto bytes = round % 2 == 0 ? Fatbin(64) : Elf();
    for (int i = 0; i <= round % 5; ++i) bytes[random() % bytes.size()] = std::byte(random());
    const auto image = FindImage(std::span<const std::byte>(bytes));
    EXPECT_TRUE(!image || image->bytes.size() <= bytes.size());
  }
}

}  // namespace
}  // namespace mignificient::abi
