// One side of an asymmetric memory barrier between processes (membarrier(2), global expedited). Two processes that
// would each need a full barrier, one often and one rarely, put all of the cost on the rare side: it makes every
// processor that runs a registered process execute one.
#pragma once

namespace mignificient::os {

// Once per process, before it relies on another's BarrierEverywhere. False: the kernel does not offer it.
bool RegisterForBarrier();

// Every running thread of every registered process executes a full memory barrier, and so does the caller.
void BarrierEverywhere();

}  // namespace mignificient::os
