// A vector of eight floats for AVX2 with FMA. For files compiled with those flags only; everything has internal linkage, so
// that no other CPU ever runs a copy of it.
#pragma once

#include <immintrin.h>
#include <stddef.h>

#include "../sigmoid.h"

namespace {

#define LCNET_INLINE static inline __attribute__((always_inline))

struct Vec {
  static constexpr size_t L = 8;
  static constexpr bool kFused = true, kByLane = false;
  __m256 v;
};

LCNET_INLINE Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
LCNET_INLINE void store(float* p, Vec a) { _mm256_storeu_ps(p, a.v); }
LCNET_INLINE Vec broadcast(const float* p) { return {_mm256_broadcast_ss(p)}; }
LCNET_INLINE void prefetch(const float* p) { _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T1); }
LCNET_INLINE Vec set(float x) { return {_mm256_set1_ps(x)}; }
LCNET_INLINE Vec add(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
LCNET_INLINE Vec mul(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
LCNET_INLINE Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
LCNET_INLINE Vec div(Vec a, Vec b) { return {_mm256_div_ps(a.v, b.v)}; }
LCNET_INLINE Vec power_of_two(Vec a) {
  const __m256i bits = _mm256_slli_epi32(_mm256_castps_si256(a.v), 23);
  return {_mm256_castsi256_ps(_mm256_add_epi32(bits, _mm256_set1_epi32(lcnet::kBitsOfOne)))};
}
LCNET_INLINE Vec multiply_add(Vec a, Vec b, Vec c) { return fma(a, b, c); }
// acc += a * b.
LCNET_INLINE void accumulate(Vec& acc, Vec a, Vec b) { acc = fma(a, b, acc); }
// The floats from p - 1 and from p + 1 on, given those from p on and a whole vector before and behind.
LCNET_INLINE Vec one_left(const float* p, Vec, Vec) { return load(p - 1); }
LCNET_INLINE Vec one_right(const float* p, Vec, Vec) { return load(p + 1); }
// Floats 0, 2, 4 ... and 1, 3, 5 ... of a and b.
LCNET_INLINE void split(Vec a, Vec b, Vec& even, Vec& odd) {
  const auto ordered = [](__m256 x) {
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(x), _MM_SHUFFLE(3, 1, 2, 0)));
  };
  even.v = ordered(_mm256_shuffle_ps(a.v, b.v, _MM_SHUFFLE(2, 0, 2, 0)));
  odd.v = ordered(_mm256_shuffle_ps(a.v, b.v, _MM_SHUFFLE(3, 1, 3, 1)));
}
// Both give their second operand if either is NaN.
LCNET_INLINE Vec max(Vec a, Vec b) { return {_mm256_max_ps(a.v, b.v)}; }
LCNET_INLINE Vec min(Vec a, Vec b) { return {_mm256_min_ps(a.v, b.v)}; }
LCNET_INLINE Vec rectify(Vec a) { return max(set(0.0f), a); }

}  // namespace
