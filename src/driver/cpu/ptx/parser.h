// PTX text to its syntax tree.
#pragma once

#include <string_view>

#include "base/result.h"
#include "driver/cpu/ptx/ast.h"

namespace mignificient::cpu::ptx {

// Accepts any instruction name and modifier: what they mean is not the parser's business.
// kInvalidArgument with the line and the text around it for malformed PTX.
Result<Module> Parse(std::string_view source);

}  // namespace mignificient::cpu::ptx
