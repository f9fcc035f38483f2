// Functions of the device runtime that are not PTX: vprintf, __assertfail.
#pragma once

#include "driver/cpu/exec/warp.h"

namespace mignificient::cpu {

// Calls extra->builtin for each lane of `mask`, in lane order. False: a fault is recorded.
bool CallBuiltin(Warp& warp, const Inst* call, uint32_t mask);

}  // namespace mignificient::cpu
