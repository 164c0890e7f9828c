// Four int32 for AArch64, whose unit is four bytes. Included after simd/neon.h and simd/common.h. LCNET_DOT says whether there is
// one instruction that multiplies four codes by four weights and adds the products to a sum; without it there are four.
//
// Both multiply bytes that have a sign: so the top bit of codes is flipped on their way in, which takes 128 from each.
#pragma once

#include "../kernels.h"

namespace {

using lcnet::Unit;

constexpr size_t G = 4;
using Code = uint8_t;

struct Ints {
  static constexpr bool kFlipped = true;
  static constexpr bool kByLane = LCNET_DOT;
  int32x4_t v;
};

LCNET_INLINE Ints load_ints(const void* p) { return {vld1q_s32(static_cast<const int32_t*>(p))}; }
LCNET_INLINE void store_ints(void* p, Ints a) { vst1q_s32(static_cast<int32_t*>(p), a.v); }
LCNET_INLINE Ints broadcast_unit(const void* p) { return {vld1q_dup_s32(static_cast<const int32_t*>(p))}; }
LCNET_INLINE Ints load_weights(const int8_t* p) { return {vreinterpretq_s32_s8(vld1q_s8(p))}; }
LCNET_INLINE Ints flip(Ints codes) { return {veorq_s32(codes.v, vreinterpretq_s32_u8(vdupq_n_u8(0x80)))}; }

#if LCNET_DOT
#if defined(__GNUC__) && !defined(__clang__)
// As with the multiply-adds of floats, GCC 12 copies the sums of the intrinsics.
LCNET_INLINE void add_dot(Ints& sum, Ints x, Ints w) {
  __asm__("sdot %0.4s, %1.16b, %2.16b" : "+w"(sum.v) : "w"(x.v), "w"(w.v));
}
template <int Lane>
LCNET_INLINE void add_dot_lane(Ints& sum, Ints x, Ints w) {
  __asm__("sdot %0.4s, %1.16b, %2.4b[%3]" : "+w"(sum.v) : "w"(w.v), "w"(x.v), "i"(Lane));
}
#else
LCNET_INLINE void add_dot(Ints& sum, Ints x, Ints w) {
  sum.v = vdotq_s32(sum.v, vreinterpretq_s8_s32(x.v), vreinterpretq_s8_s32(w.v));
}
template <int Lane>
LCNET_INLINE void add_dot_lane(Ints& sum, Ints x, Ints w) {
  sum.v = vdotq_laneq_s32(sum.v, vreinterpretq_s8_s32(w.v), vreinterpretq_s8_s32(x.v), Lane);
}
#endif
#else
// Products are at most 128 * 127 in magnitude, and so two of them fit 16 bits.
LCNET_INLINE void add_dot(Ints& sum, Ints x, Ints w) {
  const int8x16_t a = vreinterpretq_s8_s32(x.v), b = vreinterpretq_s8_s32(w.v);
  const int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b)), high = vmull_high_s8(a, b);
  sum.v = vpadalq_s16(sum.v, vpaddq_s16(low, high));
}
#endif
LCNET_INLINE void add_now(Ints&) {}
// A byte with a sign holds no 128, but 64.
LCNET_INLINE void add_lost(Ints& start, Ints w) {
  const Ints half = {vreinterpretq_s32_s8(vdupq_n_s8(64))};
  add_dot(start, half, w);
  add_dot(start, half, w);
}

LCNET_INLINE Vec bits(Ints a) { return {vreinterpretq_f32_s32(a.v)}; }
LCNET_INLINE Ints bits(Vec a) { return {vreinterpretq_s32_f32(a.v)}; }

LCNET_INLINE Vec to_float(Ints a) { return {vcvtq_f32_s32(a.v)}; }
// One more than the integer, which `halves` takes back: what is too large becomes the largest here, and with one more the least,
// as it is by the conversion of other CPUs.
LCNET_INLINE Ints to_int(Vec a) {
  const uint32x4_t next = vaddq_u32(vreinterpretq_u32_s32(vcvtnq_s32_f32(a.v)), vdupq_n_u32(1));
  return {vreinterpretq_s32_u32(next)};
}

// Four of a and four of b as bytes in 16 bits, cut to 0..255 but for the upper end.
LCNET_INLINE uint16x8_t halves(Ints a, Ints b) { return vqsubq_u16(vqmovun_high_s32(vqmovun_s32(a.v), b.v), vdupq_n_u16(1)); }
LCNET_INLINE uint8x16_t pack_codes(Ints a, Ints b, Ints c, Ints d) {
  return vqmovn_high_u16(vqmovn_u16(halves(a, b)), halves(c, d));
}
LCNET_INLINE void store_codes(void* p, Ints a) {
  const uint32_t four = vget_lane_u32(vreinterpret_u32_u8(vqmovn_u16(halves(a, a))), 0);
  __builtin_memcpy(p, &four, sizeof four);
}
template <int Lane>
LCNET_INLINE void store_lane(void* p, uint8x16_t codes) {
  const uint32_t four = vgetq_lane_u32(vreinterpretq_u32_u8(codes), Lane);
  __builtin_memcpy(p, &four, sizeof four);
}

// A unit of each lane's four codes.
LCNET_INLINE Ints pack_units(const Ints (&a)[G]) {
  alignas(16) static constexpr uint8_t kTransposed[16] = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
  return {vreinterpretq_s32_u8(vqtbl1q_u8(pack_codes(a[0], a[1], a[2], a[3]), vld1q_u8(kTransposed)))};
}

// N pixels of one channel block, `step` bytes apart; code(n) makes them.
template <size_t N, class MakeCode>
LCNET_INLINE void store_pixels(Code* to, size_t step, MakeCode code) {
  LCNET_UNROLL (size_t n = 0; n + 4 <= N; n += 4) {
    const uint8x16_t codes = pack_codes(code(n), code(n + 1), code(n + 2), code(n + 3));
    Code* at = to + n * step;
    store_lane<0>(at, codes);
    store_lane<1>(at + step, codes);
    store_lane<2>(at + 2 * step, codes);
    store_lane<3>(at + 3 * step, codes);
  }
  LCNET_UNROLL (size_t n = N / 4 * 4; n < N; ++n) store_codes(to + n * step, code(n));
}

// R pixels of V channel blocks, `stride` bytes apart; code(r, v) makes them.
template <size_t R, size_t V, class MakeCode>
LCNET_INLINE void store_tile(uint8_t* out, size_t stride, MakeCode code) {
  LCNET_UNROLL (size_t v = 0; v < V; ++v) {
    LCNET_UNROLL (size_t r = 0; r + 4 <= R; r += 4)
      vst1q_u8(out + v * stride + r * 4, pack_codes(code(r, v), code(r + 1, v), code(r + 2, v), code(r + 3, v)));
    LCNET_UNROLL (size_t r = R / 4 * 4; r < R; ++r) store_codes(out + v * stride + r * 4, code(r, v));
  }
}

// Four pixels of four channels of each of four rows into units [4 pixels][4 channels].
LCNET_INLINE void interleave_pixels(const uint8x16_t (&r)[4], Unit* out) {
  const uint16x8_t low_a = vreinterpretq_u16_u8(vzip1q_u8(r[0], r[1])), high_a = vreinterpretq_u16_u8(vzip2q_u8(r[0], r[1]));
  const uint16x8_t low_b = vreinterpretq_u16_u8(vzip1q_u8(r[2], r[3])), high_b = vreinterpretq_u16_u8(vzip2q_u8(r[2], r[3]));
  vst1q_u32(out, vreinterpretq_u32_u16(vzip1q_u16(low_a, low_b)));
  vst1q_u32(out + 4, vreinterpretq_u32_u16(vzip2q_u16(low_a, low_b)));
  vst1q_u32(out + 8, vreinterpretq_u32_u16(vzip1q_u16(high_a, high_b)));
  vst1q_u32(out + 12, vreinterpretq_u32_u16(vzip2q_u16(high_a, high_b)));
}

LCNET_INLINE uint8x16_t one_pixel(const uint8_t* p) {
  uint32_t four;
  __builtin_memcpy(&four, p, sizeof four);
  return vreinterpretq_u8_u32(vdupq_n_u32(four));
}

// Four rows of `n` pixels of four channels into units. A row's pixels are `steps[g]` bytes apart: 4, or 0 where one pixel stands
// for all.
LCNET_INLINE void interleave_block(const uint8_t* const* rows, const size_t* steps, Unit* out, size_t n) {
  size_t x = 0;
  uint8x16_t r[4];
  for (; x + 4 <= n; x += 4) {
    LCNET_UNROLL (size_t g = 0; g < 4; ++g) r[g] = steps[g] ? vld1q_u8(rows[g] + x * 4) : one_pixel(rows[g]);
    interleave_pixels(r, out + x * 4);
  }
  for (; x < n; ++x) {
    Unit units[16];
    LCNET_UNROLL (size_t g = 0; g < 4; ++g) r[g] = one_pixel(rows[g] + x * steps[g]);
    interleave_pixels(r, units);
    __builtin_memcpy(out + x * 4, units, 16);
  }
}

}  // namespace
