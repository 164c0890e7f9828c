// AVX-512 intrinsics for a CPU without them, by SIMDe: shadows the compiler's header, so that the kernels' own sources are tested.
#pragma once
#pragma GCC system_header

#include_next <immintrin.h>

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

// What the kernels need and SIMDe lacks. Rounding to bfloat16, to nearest even:
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

// Shifting signed numbers right:
static inline __m512i emulated_srai_epi32(__m512i a, unsigned by) {
  int values[16];
  __builtin_memcpy(values, &a, sizeof values);
  for (int i = 0; i < 16; ++i) values[i] >>= by;
  __builtin_memcpy(&a, values, sizeof values);
  return a;
}
#undef _mm512_srai_epi32
#define _mm512_srai_epi32(a, by) emulated_srai_epi32(a, by)

// And an alias that has the operands of the sum without a mask:
#undef _mm512_madd_epi16
#define _mm512_madd_epi16(a, b) simde_mm512_madd_epi16(a, b)
