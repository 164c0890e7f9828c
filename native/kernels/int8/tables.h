// The int8 kernel tables that this build has.
#pragma once

#include "kernels.h"

namespace lcnet {

extern const Int8Kernels int8_kernels__scalar;
extern const Int8Kernels int8_kernels__avx2;
extern const Int8Kernels int8_kernels__avx512vnni;

// The specification in the layout of another table; throws std::invalid_argument if there is none of that shape.
const Int8Kernels& int8_scalar_kernels(size_t lanes, size_t group);

}  // namespace lcnet
