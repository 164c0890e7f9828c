// A vector of sixteen floats for AVX-512. For files compiled with those flags only; everything has internal linkage, so that no
// other CPU ever runs a copy of it.
#pragma once

#include <immintrin.h>
#include <stddef.h>

#include "../sigmoid.h"

namespace {

#define LCNET_INLINE static inline __attribute__((always_inline))

struct Vec {
  static constexpr size_t L = 16;
  static constexpr bool kFused = true, kByLane = false;
  __m512 v;
};

LCNET_INLINE Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
LCNET_INLINE void store(float* p, Vec a) { _mm512_storeu_ps(p, a.v); }
LCNET_INLINE Vec broadcast(const float* p) { return {_mm512_set1_ps(*p)}; }
LCNET_INLINE void prefetch(const float* p) { _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T1); }
LCNET_INLINE Vec set(float x) { return {_mm512_set1_ps(x)}; }
LCNET_INLINE Vec add(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
LCNET_INLINE Vec mul(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
LCNET_INLINE Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
LCNET_INLINE Vec div(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
LCNET_INLINE Vec power_of_two(Vec a) {
  const __m512i bits = _mm512_slli_epi32(_mm512_castps_si512(a.v), 23);
  return {_mm512_castsi512_ps(_mm512_add_epi32(bits, _mm512_set1_epi32(lcnet::kBitsOfOne)))};
}
LCNET_INLINE Vec multiply_add(Vec a, Vec b, Vec c) { return fma(a, b, c); }
// acc += a * b. In long unrolled loops GCC 12 copies the sums of the intrinsic from register to register, which takes a fifth
// of the time of a depthwise kernel: its own instruction keeps them where they are.
LCNET_INLINE void accumulate(Vec& acc, Vec a, Vec b) {
#if defined(__GNUC__) && !defined(__clang__) && !defined(LCNET_EMULATE_AVX512)
  __asm__("vfmadd231ps %2, %1, %0" : "+v"(acc.v) : "v"(a.v), "v"(b.v));
#else
  acc = fma(a, b, acc);
#endif
}
// The floats from p - 1 and from p + 1 on, given those from p on and a whole vector before and behind: a shuffle is quicker
// than to load over the end of a cache line.
LCNET_INLINE Vec one_left(const float*, Vec before, Vec a) {
  return {_mm512_castsi512_ps(_mm512_alignr_epi32(_mm512_castps_si512(a.v), _mm512_castps_si512(before.v), 15))};
}
LCNET_INLINE Vec one_right(const float*, Vec a, Vec behind) {
  return {_mm512_castsi512_ps(_mm512_alignr_epi32(_mm512_castps_si512(behind.v), _mm512_castps_si512(a.v), 1))};
}
// Floats 0, 2, 4 ... and 1, 3, 5 ... of a and b.
LCNET_INLINE void split(Vec a, Vec b, Vec& even, Vec& odd) {
  const __m512i evens = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  even.v = _mm512_permutex2var_ps(a.v, evens, b.v);
  odd.v = _mm512_permutex2var_ps(a.v, _mm512_add_epi32(evens, _mm512_set1_epi32(1)), b.v);
}
// Both give their second operand if either is NaN.
LCNET_INLINE Vec max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
LCNET_INLINE Vec min(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
LCNET_INLINE Vec rectify(Vec a) { return max(set(0.0f), a); }

}  // namespace
