// Names and texts of CUresult, for cuGetErrorName and cuGetErrorString.
#pragma once

#include "abi/cuda.h"

namespace mignificient {

struct ErrorText {
  CUresult code;
  const char* name;
  const char* text;
};

// Null for a number that is no CUresult. Static.
const ErrorText* FindErrorText(CUresult code);

}  // namespace mignificient
