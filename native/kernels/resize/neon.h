// A register of NEON for the resampling of bytes: one lane of 16. Included after simd/neon.h.
#pragma once

namespace {

struct Ints {
  static constexpr size_t Lanes = 1, Bytes = 16;
  int32x4_t v;
};

LCNET_INLINE int8x16_t bytes_of(Ints a) { return vreinterpretq_s8_s32(a.v); }
LCNET_INLINE int16x8_t halves_of(Ints a) { return vreinterpretq_s16_s32(a.v); }
LCNET_INLINE Ints ints_of(int8x16_t a) { return {vreinterpretq_s32_s8(a)}; }
LCNET_INLINE Ints ints_of(int16x8_t a) { return {vreinterpretq_s32_s16(a)}; }

LCNET_INLINE Ints load_bytes(const void* p) { return ints_of(vld1q_s8(static_cast<const int8_t*>(p))); }
LCNET_INLINE void store_bytes(void* p, Ints a) { vst1q_s8(static_cast<int8_t*>(p), bytes_of(a)); }
LCNET_INLINE Ints load_lanes(const unsigned char* const* rows, size_t offset) { return load_bytes(rows[0] + offset); }
LCNET_INLINE Ints all_lanes(const signed char* p) { return load_bytes(p); }
LCNET_INLINE Ints all(int x) { return {vdupq_n_s32(x)}; }

LCNET_INLINE Ints add(Ints a, Ints b) { return {vaddq_s32(a.v, b.v)}; }
LCNET_INLINE Ints multiply_pairs(Ints a, Ints b) {
  const int16x8_t x = halves_of(a), y = halves_of(b);
  return {vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y))};
}
template <int N>
LCNET_INLINE Ints shift_left(Ints a) {
  return {vshlq_n_s32(a.v, N)};
}
template <int N>
LCNET_INLINE Ints shift_right(Ints a) {
  return {vshrq_n_s32(a.v, N)};
}
LCNET_INLINE Ints add_halves(Ints a, Ints b) { return ints_of(vaddq_s16(halves_of(a), halves_of(b))); }
LCNET_INLINE Ints multiply_high(Ints a, Ints b) {
  const int16x8_t x = halves_of(a), y = halves_of(b);
  return ints_of(vshrn_high_n_s32(vshrn_n_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), 16), vmull_high_s16(x, y), 16));
}
template <int N>
LCNET_INLINE Ints shift_right_halves(Ints a) {
  return ints_of(vshrq_n_s16(halves_of(a), N));
}
LCNET_INLINE Ints shuffle(Ints a, Ints by) { return ints_of(vqtbl1q_s8(bytes_of(a), vreinterpretq_u8_s32(by.v))); }
LCNET_INLINE Ints interleave_low(Ints a, Ints b) { return ints_of(vzip1q_s8(bytes_of(a), bytes_of(b))); }
LCNET_INLINE Ints interleave_high(Ints a, Ints b) { return ints_of(vzip2q_s8(bytes_of(a), bytes_of(b))); }
LCNET_INLINE Ints pack_sums(Ints a, Ints b) { return ints_of(vqmovn_high_s32(vqmovn_s32(a.v), b.v)); }  // to 16 bits, clamped
LCNET_INLINE Ints pack_halves(Ints a, Ints b) {                                                         // to 0 .. 255, clamped
  return {vreinterpretq_s32_u8(vqmovun_high_s16(vqmovun_s16(halves_of(a)), halves_of(b)))};
}
LCNET_INLINE Ints in_order(Ints a) { return a; }

}  // namespace
