#include "driver/cpu/exec/fixture.h"
