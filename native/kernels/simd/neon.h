// A vector of four floats for AArch64, all of whose CPUs have it.
#pragma once

#include <arm_neon.h>
#include <stddef.h>

#include "../sigmoid.h"

namespace {

#define LCNET_INLINE static inline __attribute__((always_inline))

struct Vec {
  static constexpr size_t L = 4;
  static constexpr bool kFused = true, kByLane = true;
  float32x4_t v;
};

LCNET_INLINE Vec load(const float* p) { return {vld1q_f32(p)}; }
LCNET_INLINE void store(float* p, Vec a) { vst1q_f32(p, a.v); }
LCNET_INLINE Vec broadcast(const float* p) { return {vld1q_dup_f32(p)}; }
LCNET_INLINE void prefetch(const float*) {}  // weights are read in their order, which the CPUs see
LCNET_INLINE Vec set(float x) { return {vdupq_n_f32(x)}; }
LCNET_INLINE Vec add(Vec a, Vec b) { return {vaddq_f32(a.v, b.v)}; }
LCNET_INLINE Vec mul(Vec a, Vec b) { return {vmulq_f32(a.v, b.v)}; }
LCNET_INLINE Vec fma(Vec a, Vec b, Vec c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
LCNET_INLINE Vec div(Vec a, Vec b) { return {vdivq_f32(a.v, b.v)}; }
LCNET_INLINE Vec power_of_two(Vec a) {
  const uint32x4_t bits = vshlq_n_u32(vreinterpretq_u32_f32(a.v), 23);
  return {vreinterpretq_f32_u32(vaddq_u32(bits, vdupq_n_u32(lcnet::kBitsOfOne)))};
}
LCNET_INLINE Vec multiply_add(Vec a, Vec b, Vec c) { return fma(a, b, c); }
// acc += a * b, and acc += a * b[Lane]. In long unrolled loops GCC 12 copies the sums of the intrinsics from register to register,
// a sixth of all instructions: its own instruction keeps them where they are.
#if defined(__GNUC__) && !defined(__clang__)
LCNET_INLINE void accumulate(Vec& acc, Vec a, Vec b) { __asm__("fmla %0.4s, %1.4s, %2.4s" : "+w"(acc.v) : "w"(a.v), "w"(b.v)); }
template <int Lane>
LCNET_INLINE void accumulate_lane(Vec& acc, Vec a, Vec b) {
  __asm__("fmla %0.4s, %1.4s, %2.s[%3]" : "+w"(acc.v) : "w"(a.v), "w"(b.v), "i"(Lane));
}
#else
LCNET_INLINE void accumulate(Vec& acc, Vec a, Vec b) { acc = fma(a, b, acc); }
template <int Lane>
LCNET_INLINE void accumulate_lane(Vec& acc, Vec a, Vec b) {
  acc.v = vfmaq_laneq_f32(acc.v, a.v, b.v, Lane);
}
#endif
// The floats from p - 1 and from p + 1 on, given those from p on and a whole vector before and behind.
LCNET_INLINE Vec one_left(const float*, Vec before, Vec a) { return {vextq_f32(before.v, a.v, 3)}; }
LCNET_INLINE Vec one_right(const float*, Vec a, Vec behind) { return {vextq_f32(a.v, behind.v, 1)}; }
// Floats 0, 2, 4 ... and 1, 3, 5 ... of a and b.
LCNET_INLINE void split(Vec a, Vec b, Vec& even, Vec& odd) {
  even.v = vuzp1q_f32(a.v, b.v);
  odd.v = vuzp2q_f32(a.v, b.v);
}
LCNET_INLINE Vec max(Vec a, Vec b) { return {vmaxq_f32(a.v, b.v)}; }
LCNET_INLINE Vec min(Vec a, Vec b) { return {vminq_f32(a.v, b.v)}; }
// Negative numbers become zero; a zero keeps its sign, which a maximum would not.
LCNET_INLINE Vec rectify(Vec a) { return {vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(a.v), vcltzq_f32(a.v)))}; }

}  // namespace
