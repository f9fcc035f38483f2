#include "remoting/client/proc_table.h"

#define MIG_PROC(name, version, per_thread, symbol) extern unsigned symbol();
#include "gen/proc_table.inc"
#undef MIG_PROC

#define MIG_PROC(name, version, per_thread, symbol) {#name, version, per_thread, symbol},
const struct MigProc mig_procs[] = {
#include "gen/proc_table.inc"
};
#undef MIG_PROC

const size_t mig_proc_count = sizeof mig_procs / sizeof mig_procs[0];
