// Which ISAs the tests run: those of this CPU, and the AVX-512 ones where they are emulated.
#pragma once

#include <string>

#include "../../native/dispatch.h"

inline bool runs_here(const lcnet::Isa& isa) {
#if defined(LCNET_EMULATE_AVX512)
  if (std::string(isa.kernels->isa).find("avx512") == 0) return true;
#endif
  return isa.supported;
}
