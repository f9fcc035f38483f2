// The host's driver libraries. Ours bear the same names and may come first wherever the loader looks (LD_LIBRARY_PATH,
// the folder beside our programs), but they are for tenants: whoever serves tenants needs the real ones.
#pragma once

#include "base/result.h"

namespace mignificient::os {

// Exported by our stand-ins and by no other library.
inline constexpr const char* kStandInMark = "mignificient_stand_in";

// Loads a library that stays loaded. `name` is a file name, looked for as the loader does, or else, when that leads to
// a stand-in, in the folders of LD_LIBRARY_PATH and of the system; or a path. kNotFound: there is none but, perhaps, a
// stand-in.
Result<void*> OpenHostLibrary(const char* name);

}  // namespace mignificient::os
