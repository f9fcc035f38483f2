#include "abi/cubin.h"

#include <elf.h>

#include <cstring>

namespace mignificient::abi {
namespace {

constexpr unsigned kMachine = 190;
struct Form {
  unsigned os_abi, abi_version, shift;  // of the architecture in e_flags
};
constexpr Form kForms[] = {{0x41, 8, 8}, {0x33, 7, 0}};
constexpr unsigned kEntry = 0x10;  // of st_other

template <typename T>
std::optional<T> ReadAt(std::span<const std::byte> image, uint64_t offset) {
  if (offset > image.size() || image.size() - offset < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, image.data() + offset, sizeof value);
  return value;
}

std::span<const std::byte> BytesOf(std::span<const std::byte> image, const Elf64_Shdr& section) {
  if (section.sh_offset > image.size() || image.size() - section.sh_offset < section.sh_size) return {};
  return image.subspan(section.sh_offset, section.sh_size);
}

// The string at `offset`; empty where it does not end within the table.
std::string_view NameAt(std::span<const std::byte> table, uint32_t offset) {
  if (offset >= table.size()) return {};
  const auto* text = reinterpret_cast<const char*>(table.data() + offset);
  const size_t length = ::strnlen(text, table.size() - offset);
  return length == table.size() - offset ? std::string_view() : std::string_view(text, length);
}

// nullptr: of none that is known.
const Form* FormOf(const Elf64_Ehdr& header) {
  const bool known = std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_ident[EI_CLASS] == ELFCLASS64 &&
                     header.e_ident[EI_DATA] == ELFDATA2LSB && header.e_machine == kMachine &&
                     header.e_type == ET_EXEC && header.e_shentsize == sizeof(Elf64_Shdr);
  for (const Form& form : kForms)
    if (known && header.e_ident[EI_OSABI] == form.os_abi && header.e_ident[EI_ABIVERSION] == form.abi_version)
      return &form;
  return nullptr;
}

}  // namespace

std::optional<Cubin> ReadCubin(std::span<const std::byte> image) {
  const auto header = ReadAt<Elf64_Ehdr>(image, 0);
  const Form* form = header ? FormOf(*header) : nullptr;
  if (form == nullptr) return std::nullopt;
  const auto section_at = [&](uint64_t index) {
    return index < header->e_shnum ? ReadAt<Elf64_Shdr>(image, header->e_shoff + index * sizeof(Elf64_Shdr))
                                   : std::nullopt;
  };
  Cubin cubin;
  cubin.sm = header->e_flags >> form->shift & 0xff;
  for (uint64_t i = 0; i < header->e_shnum; ++i) {
    const auto section = section_at(i);
    if (!section) return std::nullopt;
    if (section->sh_type != SHT_SYMTAB) continue;
    const auto strings = section_at(section->sh_link);
    const auto symbols = BytesOf(image, *section);
    if (!strings || symbols.size() != section->sh_size) return std::nullopt;
    const auto names = BytesOf(image, *strings);
    for (uint64_t at = 0; const auto symbol = ReadAt<Elf64_Sym>(symbols, at); at += sizeof(Elf64_Sym)) {
      if (ELF64_ST_TYPE(symbol->st_info) != STT_FUNC || (symbol->st_other & kEntry) == 0) continue;
      const std::string_view name = NameAt(names, symbol->st_name);
      if (name.empty()) return std::nullopt;
      cubin.kernels.push_back(name);
    }
  }
  return cubin;
}

}  // namespace mignificient::abi
