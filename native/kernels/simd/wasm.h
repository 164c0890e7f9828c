// A vector of four floats for WebAssembly: SIMD128, or where the file is compiled for it with the multiply-add of relaxed SIMD, which
// engines round once wherever the CPU can; who loads the module asks (native/wasm), and takes the other where it does not.
#pragma once

#include <stddef.h>
#include <wasm_simd128.h>

#include "../sigmoid.h"

namespace {

#define LCNET_INLINE static inline __attribute__((always_inline))

struct Vec {
  static constexpr size_t L = 4;
#if defined(__wasm_relaxed_simd__)
  static constexpr bool kFused = true, kByLane = false;
#else
  static constexpr bool kFused = false, kByLane = false;
#endif
  v128_t v;
};

LCNET_INLINE Vec load(const float* p) { return {wasm_v128_load(p)}; }
LCNET_INLINE void store(float* p, Vec a) { wasm_v128_store(p, a.v); }
LCNET_INLINE Vec broadcast(const float* p) { return {wasm_v128_load32_splat(p)}; }
LCNET_INLINE void prefetch(const float*) {}
LCNET_INLINE Vec set(float x) { return {wasm_f32x4_splat(x)}; }
LCNET_INLINE Vec add(Vec a, Vec b) { return {wasm_f32x4_add(a.v, b.v)}; }
LCNET_INLINE Vec mul(Vec a, Vec b) { return {wasm_f32x4_mul(a.v, b.v)}; }
LCNET_INLINE Vec div(Vec a, Vec b) { return {wasm_f32x4_div(a.v, b.v)}; }
LCNET_INLINE Vec power_of_two(Vec a) {
  return {wasm_i32x4_add(wasm_i32x4_shl(a.v, 23), wasm_i32x4_splat(static_cast<int>(lcnet::kBitsOfOne)))};
}

#if defined(__wasm_relaxed_simd__)
LCNET_INLINE Vec fma(Vec a, Vec b, Vec c) { return {wasm_f32x4_relaxed_madd(a.v, b.v, c.v)}; }
LCNET_INLINE Vec multiply_add(Vec a, Vec b, Vec c) { return fma(a, b, c); }
#else
// In double the product of floats is exact, and the sum is rounded. To round that again, to float, gives another number only if it
// lies in the middle between two floats: then the library's function, which knows what the first rounding has cut.
LCNET_INLINE v128_t fma_in_double(v128_t a, v128_t b, v128_t c, v128_t& middle) {
  const v128_t product = wasm_f64x2_mul(wasm_f64x2_promote_low_f32x4(a), wasm_f64x2_promote_low_f32x4(b));
  const v128_t sum = wasm_f64x2_add(product, wasm_f64x2_promote_low_f32x4(c));
  const v128_t beyond = wasm_v128_and(sum, wasm_i64x2_const_splat(0x1fffffff));
  middle = wasm_v128_or(middle, wasm_i64x2_eq(beyond, wasm_i64x2_const_splat(0x10000000)));
  return wasm_f32x4_demote_f64x2_zero(sum);
}
[[gnu::noinline]] static Vec fma_by_lane(Vec a, Vec b, Vec c) {
  float x[4], y[4], z[4];
  store(x, a), store(y, b), store(z, c);
  for (size_t i = 0; i < 4; ++i) z[i] = __builtin_fmaf(x[i], y[i], z[i]);
  return load(z);
}
[[gnu::noinline]] static Vec fma(Vec a, Vec b, Vec c) {
  const auto high = [](Vec x) { return wasm_i64x2_shuffle(x.v, x.v, 1, 1); };
  v128_t middle = wasm_i64x2_const_splat(0);
  const v128_t first = fma_in_double(a.v, b.v, c.v, middle), second = fma_in_double(high(a), high(b), high(c), middle);
  if (wasm_v128_any_true(middle)) return fma_by_lane(a, b, c);
  return {wasm_i64x2_shuffle(first, second, 0, 2)};
}
LCNET_INLINE Vec multiply_add(Vec a, Vec b, Vec c) { return {wasm_f32x4_add(wasm_f32x4_mul(a.v, b.v), c.v)}; }
#endif
LCNET_INLINE void accumulate(Vec& acc, Vec a, Vec b) { acc = multiply_add(a, b, acc); }

LCNET_INLINE Vec one_left(const float* p, Vec, Vec) { return load(p - 1); }
LCNET_INLINE Vec one_right(const float* p, Vec, Vec) { return load(p + 1); }
// Floats 0, 2, 4 ... and 1, 3, 5 ... of a and b.
LCNET_INLINE void split(Vec a, Vec b, Vec& even, Vec& odd) {
  even.v = wasm_i32x4_shuffle(a.v, b.v, 0, 2, 4, 6);
  odd.v = wasm_i32x4_shuffle(a.v, b.v, 1, 3, 5, 7);
}
// The pseudo-minimum and -maximum give their first operand if either is NaN.
LCNET_INLINE Vec max(Vec a, Vec b) { return {wasm_f32x4_pmax(b.v, a.v)}; }
LCNET_INLINE Vec min(Vec a, Vec b) { return {wasm_f32x4_pmin(b.v, a.v)}; }
LCNET_INLINE Vec rectify(Vec a) { return {wasm_f32x4_pmax(a.v, wasm_f32x4_splat(0.0f))}; }

}  // namespace
