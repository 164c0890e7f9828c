// A vector of sixteen floats for AVX-512. For files compiled with those flags only; everything has internal linkage, so that no
// other CPU ever runs a copy of it.
#pragma once

#include <immintrin.h>
#include <stddef.h>

namespace {

#define LCNET_INLINE static inline __attribute__((always_inline))

struct Vec {
  static constexpr size_t L = 16;
  __m512 v;
};

LCNET_INLINE Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
LCNET_INLINE void store(float* p, Vec a) { _mm512_storeu_ps(p, a.v); }
LCNET_INLINE Vec broadcast(const float* p) { return {_mm512_set1_ps(*p)}; }
LCNET_INLINE Vec set(float x) { return {_mm512_set1_ps(x)}; }
LCNET_INLINE Vec add(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
LCNET_INLINE Vec mul(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
LCNET_INLINE Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
// Both give their second operand if either is NaN.
LCNET_INLINE Vec max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
LCNET_INLINE Vec min(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }

}  // namespace
