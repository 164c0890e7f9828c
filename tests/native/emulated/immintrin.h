// AVX-512 intrinsics for a CPU without them, by SIMDe: shadows the compiler's header, so that the kernels' own sources are
// tested.
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

// Conversions, and the fused multiply-add, which SIMDe would round twice:
static inline __m512 emulated_fmadd_ps(__m512 a, __m512 b, __m512 c) {
  __m256 x[2], y[2], z[2];
  __builtin_memcpy(x, &a, sizeof x);
  __builtin_memcpy(y, &b, sizeof y);
  __builtin_memcpy(z, &c, sizeof z);
  for (int half = 0; half < 2; ++half) x[half] = _mm256_fmadd_ps(x[half], y[half], z[half]);
  __builtin_memcpy(&a, x, sizeof x);
  return a;
}
#undef _mm512_fmadd_ps
#define _mm512_fmadd_ps(a, b, c) emulated_fmadd_ps(a, b, c)

static inline __m512i emulated_cvtps_epi32(__m512 a) {
  __m256 x[2];
  __m512i result;
  __builtin_memcpy(x, &a, sizeof x);
  const __m256i y[2] = {_mm256_cvtps_epi32(x[0]), _mm256_cvtps_epi32(x[1])};
  __builtin_memcpy(&result, y, sizeof y);
  return result;
}
#undef _mm512_cvtps_epi32
#define _mm512_cvtps_epi32(a) emulated_cvtps_epi32(a)

static inline __m512 emulated_cvtepi32_ps(__m512i a) {
  __m256i x[2];
  __m512 result;
  __builtin_memcpy(x, &a, sizeof x);
  const __m256 y[2] = {_mm256_cvtepi32_ps(x[0]), _mm256_cvtepi32_ps(x[1])};
  __builtin_memcpy(&result, y, sizeof y);
  return result;
}
#undef _mm512_cvtepi32_ps
#define _mm512_cvtepi32_ps(a) emulated_cvtepi32_ps(a)

static inline __m128i emulated_cvtusepi32_epi8(__m512i a) {
  unsigned values[16];
  unsigned char bytes[16];
  __m128i result;
  __builtin_memcpy(values, &a, sizeof values);
  for (int i = 0; i < 16; ++i) bytes[i] = static_cast<unsigned char>(values[i] > 255 ? 255 : values[i]);
  __builtin_memcpy(&result, bytes, sizeof result);
  return result;
}
#undef _mm512_cvtusepi32_epi8
#define _mm512_cvtusepi32_epi8(a) emulated_cvtusepi32_epi8(a)

// Shuffles of whole numbers: two vectors side by side, moved right; and quarters, two of a and two of b.
static inline __m512i emulated_alignr_epi32(__m512i high, __m512i low, int by) {
  unsigned both[32];
  __builtin_memcpy(both, &low, sizeof low);
  __builtin_memcpy(both + 16, &high, sizeof high);
  __builtin_memcpy(&low, both + by, sizeof low);
  return low;
}
#undef _mm512_alignr_epi32
#define _mm512_alignr_epi32(a, b, by) emulated_alignr_epi32(a, b, by)

static inline __m512i emulated_shuffle_i64x2(__m512i a, __m512i b, int order) {
  __m128i from[8], to[4];
  __m512i result;
  __builtin_memcpy(from, &a, sizeof a);
  __builtin_memcpy(from + 4, &b, sizeof b);
  for (int i = 0; i < 4; ++i) to[i] = from[(order >> 2 * i & 3) + (i < 2 ? 0 : 4)];
  __builtin_memcpy(&result, to, sizeof result);
  return result;
}
#undef _mm512_shuffle_i64x2
#define _mm512_shuffle_i64x2(a, b, order) emulated_shuffle_i64x2(a, b, order)
