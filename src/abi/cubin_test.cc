#include "abi/cubin.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>

namespace mignificient::abi {
namespace {

constexpr unsigned char kKernel = 0x10, kDeviceFunction = 0;

struct Symbol {
  std::string name;
  unsigned char other = kKernel;
};

// Header, sections [none, strings, symbols], strings, symbols: as nvcc's, as far as anybody looks.
std::vector<std::byte> Image(const std::vector<Symbol>& symbols, uint32_t flags = 0x6005a04) {
  std::string strings(1, '\0');
  std::vector<Elf64_Sym> table(1);
  for (const Symbol& symbol : symbols) {
    Elf64_Sym entry{};
    entry.st_name = static_cast<uint32_t>(strings.size());
    entry.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
    entry.st_other = symbol.other;
    table.push_back(entry);
    strings += symbol.name + '\0';
  }
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_OSABI] = 0x41;
  header.e_ident[EI_ABIVERSION] = 8;
  header.e_type = ET_EXEC;
  header.e_machine = 190;
  header.e_flags = flags;
  header.e_shoff = sizeof header;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = 3;
  Elf64_Shdr sections[3]{};
  sections[1].sh_type = SHT_STRTAB;
  sections[1].sh_offset = sizeof header + sizeof sections;
  sections[1].sh_size = strings.size();
  sections[2].sh_type = SHT_SYMTAB;
  sections[2].sh_offset = sections[1].sh_offset + strings.size();
  sections[2].sh_size = table.size() * sizeof(Elf64_Sym);
  sections[2].sh_link = 1;
  std::vector<std::byte> image;
  const auto append = [&image](const void* from, size_t bytes) {
    const auto* begin = static_cast<const std::byte*>(from);
    image.insert(image.end(), begin, begin + bytes);
  };
  append(&header, sizeof header);
  append(sections, sizeof sections);
  append(strings.data(), strings.size());
  append(table.data(), table.size() * sizeof(Elf64_Sym));
  return image;
}

TEST(CubinTest, KernelsAreTheEntriesAmongItsFunctions) {
  const auto image = Image({{"alpha"}, {"helper", kDeviceFunction}, {"_Z4betaILi3EEvPi"}});
  const auto cubin = ReadCubin(image);
  ASSERT_TRUE(cubin);
  EXPECT_EQ(cubin->sm, 90u);
  EXPECT_THAT(cubin->kernels, testing::ElementsAre("alpha", "_Z4betaILi3EEvPi"));
}

TEST(CubinTest, TheOlderFormHasItsArchitectureElsewhere) {
  auto image = Image({{"alpha"}}, 0x5a055a);
  auto& header = *reinterpret_cast<Elf64_Ehdr*>(image.data());
  header.e_ident[EI_OSABI] = 0x33;
  header.e_ident[EI_ABIVERSION] = 7;
  const auto cubin = ReadCubin(image);
  ASSERT_TRUE(cubin);
  EXPECT_EQ(cubin->sm, 90u);
  EXPECT_THAT(cubin->kernels, testing::ElementsAre("alpha"));
}

TEST(CubinTest, RunsWithinItsMajorVersion) {
  const auto sm_86 = ReadCubin(Image({}, 0x6005604));
  ASSERT_TRUE(sm_86);
  EXPECT_TRUE(RunsOn(*sm_86, 8, 6));
  EXPECT_TRUE(RunsOn(*sm_86, 8, 9));
  EXPECT_FALSE(RunsOn(*sm_86, 8, 0));
  EXPECT_FALSE(RunsOn(*sm_86, 9, 0));
}

TEST(CubinTest, WhatIsNoExecutableOfTheKnownFormIsLeftToTheDriver) {
  auto image = Image({{"alpha"}});
  auto& header = *reinterpret_cast<Elf64_Ehdr*>(image.data());
  header.e_type = ET_REL;
  EXPECT_FALSE(ReadCubin(image));
  header.e_type = ET_EXEC;
  header.e_ident[EI_ABIVERSION] = 7;  // flags of another form
  EXPECT_FALSE(ReadCubin(image));
  header.e_ident[EI_ABIVERSION] = 8;
  header.e_machine = EM_X86_64;
  EXPECT_FALSE(ReadCubin(image));
}

TEST(CubinTest, OfAnImageThatIsCutNothingIsReadOutsideAndNothingBelieved) {
  const auto whole = Image({{"alpha"}, {"beta"}});
  const size_t symbols = whole.size() - 3 * sizeof(Elf64_Sym);
  for (size_t bytes = 0; bytes < whole.size(); ++bytes) {
    const std::vector<std::byte> cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(bytes));
    EXPECT_FALSE(ReadCubin(cut)) << bytes << " of " << whole.size() << ", symbols from " << symbols;
  }
}

TEST(CubinTest, NoBytesMakeItReadOutside) {
  std::mt19937 random(1);
  const auto whole = Image({{"alpha"}, {"beta"}});
  for (int round = 0; round < 20000; ++round) {
    auto image = whole;
    for (int i = 0; i < 4; ++i) image[random() % image.size()] = static_cast<std::byte>(random());
    if (const auto cubin = ReadCubin(image)) {
      for (const std::string_view name : cubin->kernels) {
        EXPECT_GE(name.data(), reinterpret_cast<const char*>(image.data()));
        EXPECT_LE(name.data() + name.size(), reinterpret_cast<const char*>(image.data() + image.size()));
      }
    }
  }
}

}  // namespace
}  // namespace mignificient::abi
