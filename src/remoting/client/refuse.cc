// The entry points that are not offered: each says so once per process and answers CUDA_ERROR_NOT_SUPPORTED. Their
// arguments are not declared: the caller cleans them up.

#include "remoting/client/call.h"

namespace mignificient::client {

#include "gen/refusals.inc"

}  // namespace mignificient::client
