// AVX-512 intrinsics for a CPU without them, by SIMDe: shadows the compiler's header, so that the kernels' own sources are tested.
#pragma once
#pragma GCC system_header

#include_next <immintrin.h>

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
