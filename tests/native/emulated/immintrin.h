// AVX-512 intrinsics for a CPU without them, by SIMDe: shadows the compiler's header, so that the kernels' own sources are tested.
#pragma once
#pragma GCC system_header

#include_next <immintrin.h>

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

// The one instruction of the kernels that SIMDe lacks: rounding to bfloat16, to nearest even.
static inline __m256bh emulated_cvtneps_pbh(__m512 a) {
  unsigned bits[16];
  unsigned short halves[16];
  __builtin_memcpy(bits, &a, sizeof bits);
  for (int i = 0; i < 16; ++i) halves[i] = static_cast<unsigned short>((bits[i] + 0x7fff + (bits[i] >> 16 & 1)) >> 16);
  __m256bh result;
  __builtin_memcpy(&result, halves, sizeof result);
  return result;
}
#undef _mm512_cvtneps_pbh
#define _mm512_cvtneps_pbh(a) emulated_cvtneps_pbh(a)
