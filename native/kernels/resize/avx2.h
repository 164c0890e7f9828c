// A register of AVX2 for the resampling of bytes: 32 bytes, 16 halves or 8 sums, in two lanes of 16 bytes that shuffles and
// interleavings do not cross. Included after simd/avx2.h.
#pragma once

namespace {

struct Ints {
  static constexpr size_t Lanes = 2, Bytes = 32;
  __m256i v;
};

LCNET_INLINE Ints load_bytes(const void* p) { return {_mm256_loadu_si256(static_cast<const __m256i*>(p))}; }
LCNET_INLINE void store_bytes(void* p, Ints a) { _mm256_storeu_si256(static_cast<__m256i*>(p), a.v); }
// 16 bytes at `offset` of each of as many rows as there are lanes.
LCNET_INLINE Ints load_lanes(const unsigned char* const* rows, size_t offset) {
  const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[0] + offset));
  const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[1] + offset));
  return {_mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1)};
}
LCNET_INLINE Ints all_lanes(const signed char* p) {
  return {_mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
LCNET_INLINE Ints all(int x) { return {_mm256_set1_epi32(x)}; }

LCNET_INLINE Ints add(Ints a, Ints b) { return {_mm256_add_epi32(a.v, b.v)}; }
LCNET_INLINE Ints multiply_pairs(Ints a, Ints b) { return {_mm256_madd_epi16(a.v, b.v)}; }
template <int N>
LCNET_INLINE Ints shift_left(Ints a) {
  return {_mm256_slli_epi32(a.v, N)};
}
template <int N>
LCNET_INLINE Ints shift_right(Ints a) {
  return {_mm256_srai_epi32(a.v, N)};
}
LCNET_INLINE Ints add_halves(Ints a, Ints b) { return {_mm256_add_epi16(a.v, b.v)}; }
LCNET_INLINE Ints multiply_high(Ints a, Ints b) { return {_mm256_mulhi_epi16(a.v, b.v)}; }
template <int N>
LCNET_INLINE Ints shift_right_halves(Ints a) {
  return {_mm256_srai_epi16(a.v, N)};
}
LCNET_INLINE Ints shuffle(Ints a, Ints by) { return {_mm256_shuffle_epi8(a.v, by.v)}; }
LCNET_INLINE Ints interleave_low(Ints a, Ints b) { return {_mm256_unpacklo_epi8(a.v, b.v)}; }
LCNET_INLINE Ints interleave_high(Ints a, Ints b) { return {_mm256_unpackhi_epi8(a.v, b.v)}; }
LCNET_INLINE Ints pack_sums(Ints a, Ints b) { return {_mm256_packs_epi32(a.v, b.v)}; }     // to 16 bits, clamped
LCNET_INLINE Ints pack_halves(Ints a, Ints b) { return {_mm256_packus_epi16(a.v, b.v)}; }  // to 0 .. 255, clamped
// The eight bytes of `a`'s lanes and those of `b`'s, which packing has left in turns, one after another.
LCNET_INLINE Ints in_order(Ints a) { return {_mm256_permute4x64_epi64(a.v, 0xd8)}; }

}  // namespace
