/* Every function that cuGetProcAddress knows: generated from api/. C, because only an unprototyped C declaration agrees
   with every signature. */
#ifndef MIGNIFICIENT_PROC_TABLE_H
#define MIGNIFICIENT_PROC_TABLE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct MigProc {
  const char* name; /* without _v2 and the like */
  int version;      /* the first CUDA version that means this symbol: 12080 is 12.8 */
  int per_thread;   /* 1: the form whose null stream is the per-thread one */
  unsigned (*address)();
};

/* Sorted by name, then per_thread, then version. */
extern const struct MigProc mig_procs[];
extern const size_t mig_proc_count;

#ifdef __cplusplus
}
#endif

#endif
