// What decoding JPEG files needs of a register of AVX2 besides what resampling does. Included after resize/avx2.h.
#pragma once

namespace {

LCNET_INLINE Ints subtract(Ints a, Ints b) { return {_mm256_sub_epi32(a.v, b.v)}; }
LCNET_INLINE Ints subtract_halves(Ints a, Ints b) { return {_mm256_sub_epi16(a.v, b.v)}; }
LCNET_INLINE Ints multiply_low(Ints a, Ints b) { return {_mm256_mullo_epi16(a.v, b.v)}; }
LCNET_INLINE Ints magnitude(Ints a) { return {_mm256_abs_epi16(a.v)}; }
LCNET_INLINE Ints excess(Ints a, Ints b) { return {_mm256_subs_epu16(a.v, b.v)}; }
LCNET_INLINE Ints either(Ints a, Ints b) { return {_mm256_or_si256(a.v, b.v)}; }
LCNET_INLINE Ints both(Ints a, Ints b) { return {_mm256_and_si256(a.v, b.v)}; }
LCNET_INLINE bool none(Ints a) { return _mm256_testz_si256(a.v, a.v); }
LCNET_INLINE Ints largest(Ints a, Ints b) { return {_mm256_max_epi16(a.v, b.v)}; }
LCNET_INLINE Ints smallest(Ints a, Ints b) { return {_mm256_min_epi16(a.v, b.v)}; }
template <int N>
LCNET_INLINE Ints shift_left_halves(Ints a) {
  return {_mm256_slli_epi16(a.v, N)};
}
template <int N>
LCNET_INLINE Ints shift_right_unsigned(Ints a) {
  return {_mm256_srli_epi16(a.v, N)};
}
LCNET_INLINE Ints interleave_low_16(Ints a, Ints b) { return {_mm256_unpacklo_epi16(a.v, b.v)}; }
LCNET_INLINE Ints interleave_high_16(Ints a, Ints b) { return {_mm256_unpackhi_epi16(a.v, b.v)}; }
LCNET_INLINE Ints interleave_low_32(Ints a, Ints b) { return {_mm256_unpacklo_epi32(a.v, b.v)}; }
LCNET_INLINE Ints interleave_high_32(Ints a, Ints b) { return {_mm256_unpackhi_epi32(a.v, b.v)}; }
LCNET_INLINE Ints load_wide(const uint8_t* p) {
  return {_mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
LCNET_INLINE void store_halves_at(uint8_t* p, uint8_t* q, Ints a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(a.v));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(q), _mm256_extracti128_si256(a.v, 1));
}
LCNET_INLINE void store_lanes(uint8_t* p, size_t pitch, Ints a) { store_halves_at(p, p + pitch, a); }

}  // namespace
