// One side of an asymmetric memory barrier between processes (membarrier(2), global expedited). Two processes that
// would each need a full barrier, one often and one rarely, put all of the cost on the rare side: it makes every
// processor that runs a registered process execute one.
#pragma once

namespace mignificient::os {

// Whether the kernel has it.
bool OffersBarrier();

// Once per process, again at no cost, before it relies on another's BarrierEverywhere. False: the kernel does not offer
// it. Costs nothing while the process has one thread, later 10 ms: the kernel waits until every processor has noticed.
bool RegisterForBarrier();

// Every running thread of every registered process executes a full memory barrier, and so does the caller.
void BarrierEverywhere();

}  // namespace mignificient::os
