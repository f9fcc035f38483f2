// What else records events than the entry points in stream.cc. Internal to the client.
#pragma once

#include "abi/cuda.h"

namespace mignificient::client {

// A graph's node or a launch names the event: from now on its state is asked for, never remembered. Called before the
// command is written. Nothing happens for what is no event. Defined in stream.cc.
void NoteRecordedElsewhere(CUevent event);

}  // namespace mignificient::client
