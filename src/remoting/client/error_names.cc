// Names and sentences of the driver's error codes. They work before cuInit.

#include "abi/error_text.h"
#include "remoting/client/call.h"

namespace mignificient::client {
namespace {

CUresult Look(CUresult code, const char** text, const char* ErrorText::* member) {
  if (text == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const ErrorText* found = FindErrorText(code);
  *text = found != nullptr ? found->*member : nullptr;
  return found != nullptr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

}  // namespace

MIG_EXPORT CUresult cuGetErrorName(CUresult code, const char** name) {
  return Look(code, name, &ErrorText::name);
}
MIG_EXPORT CUresult cuGetErrorString(CUresult code, const char** sentence) {
  return Look(code, sentence, &ErrorText::text);
}

}  // namespace mignificient::client
