// A register of AVX-512 for the resampling of bytes: 64 bytes, 32 halves or 16 sums, in four lanes of 16 bytes that shuffles
// and interleavings do not cross. Included after simd/avx512.h.
#pragma once

namespace {

struct Ints {
  static constexpr size_t Lanes = 4, Bytes = 64;
  __m512i v;
};

LCNET_INLINE Ints load_bytes(const void* p) { return {_mm512_loadu_si512(p)}; }
LCNET_INLINE void store_bytes(void* p, Ints a) { _mm512_storeu_si512(p, a.v); }
LCNET_INLINE __m128i load_lane(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
// 16 bytes at `offset` of each of as many rows as there are lanes.
LCNET_INLINE Ints load_lanes(const unsigned char* const* rows, size_t offset) {
  __m512i v = _mm512_castsi128_si512(load_lane(rows[0] + offset));
  v = _mm512_inserti32x4(v, load_lane(rows[1] + offset), 1);
  v = _mm512_inserti32x4(v, load_lane(rows[2] + offset), 2);
  return {_mm512_inserti32x4(v, load_lane(rows[3] + offset), 3)};
}
LCNET_INLINE Ints all_lanes(const signed char* p) { return {_mm512_broadcast_i32x4(load_lane(p))}; }
LCNET_INLINE Ints all(int x) { return {_mm512_set1_epi32(x)}; }

LCNET_INLINE Ints add(Ints a, Ints b) { return {_mm512_add_epi32(a.v, b.v)}; }
LCNET_INLINE Ints multiply_pairs(Ints a, Ints b) { return {_mm512_madd_epi16(a.v, b.v)}; }
template <int N>
LCNET_INLINE Ints shift_left(Ints a) {
  return {_mm512_slli_epi32(a.v, N)};
}
template <int N>
LCNET_INLINE Ints shift_right(Ints a) {
  return {_mm512_srai_epi32(a.v, N)};
}
LCNET_INLINE Ints add_halves(Ints a, Ints b) { return {_mm512_add_epi16(a.v, b.v)}; }
LCNET_INLINE Ints multiply_high(Ints a, Ints b) { return {_mm512_mulhi_epi16(a.v, b.v)}; }
template <int N>
LCNET_INLINE Ints shift_right_halves(Ints a) {
  return {_mm512_srai_epi16(a.v, N)};
}
LCNET_INLINE Ints shuffle(Ints a, Ints by) { return {_mm512_shuffle_epi8(a.v, by.v)}; }
LCNET_INLINE Ints interleave_low(Ints a, Ints b) { return {_mm512_unpacklo_epi8(a.v, b.v)}; }
LCNET_INLINE Ints interleave_high(Ints a, Ints b) { return {_mm512_unpackhi_epi8(a.v, b.v)}; }
LCNET_INLINE Ints pack_sums(Ints a, Ints b) { return {_mm512_packs_epi32(a.v, b.v)}; }     // to 16 bits, clamped
LCNET_INLINE Ints pack_halves(Ints a, Ints b) { return {_mm512_packus_epi16(a.v, b.v)}; }  // to 0 .. 255, clamped
// The eight bytes of `a`'s lanes and those of `b`'s, which packing has left in turns, one after another.
LCNET_INLINE Ints in_order(Ints a) { return {_mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), a.v)}; }

}  // namespace
