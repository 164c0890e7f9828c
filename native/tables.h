// The kernel tables that this build has.
#pragma once

#include "kernels.h"

namespace lcnet {

extern const Kernels kernels__scalar;

}  // namespace lcnet
