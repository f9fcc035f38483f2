#include "driver/cpu/exec/builtin.h"

#include <cstdio>

namespace mignificient::cpu {
namespace {

constexpr size_t kMaxText = 64 << 10;  // of one string a kernel prints

// Reads device memory bytewise, checked; what is not readable is reported once.
class Reader {
 public:
  Reader(Warp& warp, uint32_t lane) : warp_(warp), lane_(lane) {}

  template <typename T>
  T Read(uint64_t address) {
    T value{};
    for (size_t k = 0; k < sizeof(T); ++k) {
      const char* at = Resolve(address + k);
      if (at == nullptr) {
        good_ = false;
        return T{};
      }
      std::memcpy(reinterpret_cast<char*>(&value) + k, at, 1);
    }
    return value;
  }
  std::string Text(uint64_t address) {
    std::string text;
    while (good_ && text.size() < kMaxText) {
      const char c = Read<char>(address + text.size());
      if (c == '\0') break;
      text += c;
    }
    return text;
  }
  bool good() const { return good_; }

 private:
  const char* Resolve(uint64_t address) const {
    if (address < kSharedWindow) {
      const auto& map = warp_.block->grid->launch->memory;
      return map && map->Find(address) ? reinterpret_cast<const char*>(address) : nullptr;
    }
    const uint64_t window = address & ~(kWindowBytes - 1), offset = address & (kWindowBytes - 1);
    if (window == kSharedWindow && offset < warp_.block->shared_bytes) return warp_.block->shared + offset;
    if (window == kLocalWindow && offset < warp_.local_stride)
      return warp_.local + uint64_t{warp_.local_stride} * lane_ + offset;
    return nullptr;
  }

  Warp& warp_;
  uint32_t lane_;
  bool good_ = true;
};

template <typename T>
T Argument(const Warp& warp, const Inst* call, size_t index, uint32_t lane) {
  T value{};
  if (index >= call->extra->arguments.size()) return value;
  const ParamBlock& block = call->extra->arguments[index];
  std::memcpy(&value, warp.frame + block.offset + lane * block.stride, std::min<size_t>(sizeof value, block.size));
  return value;
}

template <typename T>
std::string One(const std::string& spec, T value) {
  const int length = std::snprintf(nullptr, 0, spec.c_str(), value);
  if (length < 0) return {};
  std::string text(static_cast<size_t>(length) + 1, '\0');
  std::snprintf(text.data(), text.size(), spec.c_str(), value);
  text.pop_back();
  return text;
}

// Arguments lie at their natural alignment one after the other, floats as f64.
class Arguments {
 public:
  Arguments(Reader& reader, uint64_t at) : reader_(reader), at_(at) {}
  template <typename T>
  T Next() {
    ++taken_;
    at_ = (at_ + sizeof(T) - 1) & ~uint64_t{sizeof(T) - 1};
    const T value = reader_.Read<T>(at_);
    at_ += sizeof(T);
    return value;
  }
  int taken() const { return taken_; }

 private:
  Reader& reader_;
  uint64_t at_;
  int taken_ = 0;
};

// Width and precision beyond this are cut: a kernel must not make the host allocate without bound.
int Bounded(int number) {
  return std::clamp(number, -4096, 4096);
}

std::string Format(Reader& reader, const std::string& format, Arguments& arguments) {
  std::string out;
  for (size_t i = 0; i < format.size() && reader.good(); ++i) {
    if (format[i] != '%') {
      out += format[i];
      continue;
    }
    if (i + 1 < format.size() && format[i + 1] == '%') {
      out += '%', ++i;
      continue;
    }
    std::string spec = "%";
    int longs = 0;
    size_t k = i + 1;
    std::string number;
    const auto flush = [&] {
      if (!number.empty()) spec += std::to_string(Bounded(std::atoi(number.substr(0, 6).c_str())));
      number.clear();
    };
    for (; k < format.size(); ++k) {
      const char c = format[k];
      if (c >= '1' && c <= '9')
        number += c;
      else if (c == '0' && !number.empty())
        number += c;
      else if (c == '*')
        spec += std::to_string(Bounded(arguments.Next<int>()));
      else if (std::strchr("-+ #0.", c) != nullptr)
        flush(), spec += c;
      else if (c == 'l' || c == 'j' || c == 'z' || c == 't')
        longs += c == 'l' ? 1 : 2;
      else if (c != 'h')
        break;
    }
    flush();
    if (k == format.size()) {
      out += format.substr(i);
      break;
    }
    const char c = format[k];
    switch (c) {
      case 'd':
      case 'i':
        out += longs ? One(spec + "lld", arguments.Next<long long>()) : One(spec + "d", arguments.Next<int>());
        break;
      case 'u':
      case 'x':
      case 'X':
      case 'o':
        out += longs ? One(spec + "ll" + c, arguments.Next<unsigned long long>())
                     : One(spec + c, arguments.Next<unsigned>());
        break;
      case 'c':
        out += One(spec + 'c', arguments.Next<int>());
        break;
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
      case 'a':
      case 'A':
        out += One(spec + c, arguments.Next<double>());
        break;
      case 'p':
        out += One(spec + 'p', reinterpret_cast<void*>(arguments.Next<uint64_t>()));
        break;
      case 's':
        out += One(spec + 's', reader.Text(arguments.Next<uint64_t>()).c_str());
        break;
      default:
        out += format.substr(i, k + 1 - i);
        break;
    }
    i = k;
  }
  return out;
}

template <typename T>
void Return(Warp& w, const Inst* call, uint32_t lane, T value) {
  if (call->extra->returns.empty()) return;
  const ParamBlock& result = call->extra->returns[0];
  std::memcpy(w.frame + result.offset + lane * result.stride, &value, std::min<size_t>(sizeof value, result.size));
}

bool CallHeap(Warp& w, const Inst* call, uint32_t mask) {
  DeviceHeap* const heap = w.block->grid->launch->heap;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    const uint32_t lane = static_cast<uint32_t>(std::countr_zero(rest));
    const auto argument = Argument<uint64_t>(w, call, 0, lane);
    if (call->extra->builtin == Builtin::kMalloc) {
      Return<uint64_t>(w, call, lane, heap == nullptr ? 0 : heap->Allocate(argument));
    } else if (argument != 0 && (heap == nullptr || !heap->Free(argument))) {
      w.Fault(call, LaunchStatus::kTrap, lane, fmt::format("frees {:#x}, which is not allocated", argument));
      return false;
    }
  }
  return true;
}

}  // namespace

bool CallBuiltin(Warp& w, const Inst* call, uint32_t mask) {
  if (call->extra->builtin == Builtin::kMalloc || call->extra->builtin == Builtin::kFree)
    return CallHeap(w, call, mask);
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    const uint32_t lane = static_cast<uint32_t>(std::countr_zero(rest));
    Reader reader(w, lane);
    const std::string text = reader.Text(Argument<uint64_t>(w, call, 0, lane));
    if (call->extra->builtin == Builtin::kAssert) {
      const std::string file = reader.Text(Argument<uint64_t>(w, call, 1, lane));
      const auto line = Argument<uint32_t>(w, call, 2, lane);
      const std::string function = reader.Text(Argument<uint64_t>(w, call, 3, lane));
      w.block->grid->Print(fmt::format("{}:{}: {}: Assertion `{}` failed.\n", file, line, function, text));
      w.Fault(call, LaunchStatus::kAssert, lane, fmt::format("fails the assertion `{}`", text));
      return false;
    }
    Arguments arguments(reader, Argument<uint64_t>(w, call, 1, lane));
    const std::string line = Format(reader, text, arguments);
    if (!reader.good()) {
      w.Fault(call, LaunchStatus::kIllegalAddress, lane, "prints from an illegal address");
      return false;
    }
    w.block->grid->Print(line);
    Return(w, call, lane, arguments.taken());
  }
  return true;
}

}  // namespace mignificient::cpu
