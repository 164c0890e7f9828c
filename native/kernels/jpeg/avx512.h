// What decoding JPEG files needs of a register of AVX-512 besides what resampling does. Included after resize/avx512.h.
#pragma once

namespace {

LCNET_INLINE Ints subtract(Ints a, Ints b) { return {_mm512_sub_epi32(a.v, b.v)}; }
LCNET_INLINE Ints subtract_halves(Ints a, Ints b) { return {_mm512_sub_epi16(a.v, b.v)}; }
LCNET_INLINE Ints multiply_low(Ints a, Ints b) { return {_mm512_mullo_epi16(a.v, b.v)}; }
LCNET_INLINE Ints magnitude(Ints a) { return {_mm512_abs_epi16(a.v)}; }
LCNET_INLINE Ints excess(Ints a, Ints b) { return {_mm512_subs_epu16(a.v, b.v)}; }
LCNET_INLINE Ints either(Ints a, Ints b) { return {_mm512_or_si512(a.v, b.v)}; }
LCNET_INLINE Ints both(Ints a, Ints b) { return {_mm512_and_si512(a.v, b.v)}; }
LCNET_INLINE bool none(Ints a) { return _mm512_test_epi16_mask(a.v, a.v) == 0; }
LCNET_INLINE Ints largest(Ints a, Ints b) { return {_mm512_max_epi16(a.v, b.v)}; }
LCNET_INLINE Ints smallest(Ints a, Ints b) { return {_mm512_min_epi16(a.v, b.v)}; }
template <int N>
LCNET_INLINE Ints shift_left_halves(Ints a) {
  return {_mm512_slli_epi16(a.v, N)};
}
template <int N>
LCNET_INLINE Ints shift_right_unsigned(Ints a) {
  return {_mm512_srli_epi16(a.v, N)};
}
LCNET_INLINE Ints interleave_low_16(Ints a, Ints b) { return {_mm512_unpacklo_epi16(a.v, b.v)}; }
LCNET_INLINE Ints interleave_high_16(Ints a, Ints b) { return {_mm512_unpackhi_epi16(a.v, b.v)}; }
LCNET_INLINE Ints interleave_low_32(Ints a, Ints b) { return {_mm512_unpacklo_epi32(a.v, b.v)}; }
LCNET_INLINE Ints interleave_high_32(Ints a, Ints b) { return {_mm512_unpackhi_epi32(a.v, b.v)}; }
LCNET_INLINE Ints load_wide(const uint8_t* p) {
  return {_mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
LCNET_INLINE void store_halves_at(uint8_t* p, uint8_t* q, Ints a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_castsi512_si256(a.v));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(q), _mm512_extracti64x4_epi64(a.v, 1));
}
LCNET_INLINE void store_lanes(uint8_t* p, size_t pitch, Ints a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_castsi512_si128(a.v));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + pitch), _mm512_extracti32x4_epi32(a.v, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 2 * pitch), _mm512_extracti32x4_epi32(a.v, 2));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 3 * pitch), _mm512_extracti32x4_epi32(a.v, 3));
}

}  // namespace
