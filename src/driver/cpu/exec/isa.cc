// Chooses among the builds of ops/ the one for this processor.
#include "driver/cpu/exec/spec.h"

namespace mignificient::cpu {

#define MIG_DECLARE_ISA(name)          \
  namespace name {                     \
  extern const Operations kOperations; \
  }
MIG_DECLARE_ISA(isa_base)
#ifdef MIG_HAVE_X86_LEVELS
MIG_DECLARE_ISA(isa_v3)
MIG_DECLARE_ISA(isa_v4)
#endif

const Operations& BestOperations() {
#ifdef MIG_HAVE_X86_LEVELS
  __builtin_cpu_init();
  if (__builtin_cpu_supports("x86-64-v4")) return isa_v4::kOperations;
  if (__builtin_cpu_supports("x86-64-v3")) return isa_v3::kOperations;
#endif
  return isa_base::kOperations;
}

}  // namespace mignificient::cpu
