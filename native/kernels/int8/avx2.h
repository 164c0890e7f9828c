// Eight int32 for AVX2, whose unit is a pair of int16: one instruction multiplies two pairs and adds the products, exactly.
// Included after simd/avx2.h and simd/common.h.
#pragma once

#include "../kernels.h"

namespace {

using lcnet::Unit;

constexpr size_t G = 2;
using Code = int16_t;

struct Ints {
  static constexpr bool kFlipped = false, kByLane = false;
  __m256i v;
};

LCNET_INLINE Ints load_ints(const void* p) { return {_mm256_loadu_si256(static_cast<const __m256i*>(p))}; }
LCNET_INLINE void store_ints(void* p, Ints a) { _mm256_storeu_si256(static_cast<__m256i*>(p), a.v); }
LCNET_INLINE Ints broadcast_unit(const void* p) {
  int unit;
  __builtin_memcpy(&unit, p, sizeof unit);
  return {_mm256_set1_epi32(unit)};
}
LCNET_INLINE Ints flip(Ints codes) { return codes; }
LCNET_INLINE void add_lost(Ints&, Ints) {}
// A vector of units of weights out of bytes.
LCNET_INLINE Ints load_weights(const int8_t* p) {
  return {_mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
LCNET_INLINE void add_dot(Ints& sum, Ints x, Ints w) { sum.v = _mm256_add_epi32(sum.v, _mm256_madd_epi16(x.v, w.v)); }

// To be called where several products are added to a sum in one round of a loop: GCC 12 would multiply first, add last, and
// spill what is in between.
LCNET_INLINE void add_now(Ints& sum) {
#if defined(__GNUC__) && !defined(__clang__)
  __asm__("" : "+x"(sum.v));
#else
  static_cast<void>(sum);
#endif
}
LCNET_INLINE Vec to_float(Ints a) { return {_mm256_cvtepi32_ps(a.v)}; }
LCNET_INLINE Ints to_int(Vec a) { return {_mm256_cvtps_epi32(a.v)}; }

// Eight codes each, int16.
LCNET_INLINE void store_codes(void* p, Ints a) {
  const __m128i codes = _mm_packus_epi32(_mm256_castsi256_si128(a.v), _mm256_extracti128_si256(a.v, 1));
  _mm_storeu_si128(static_cast<__m128i*>(p), _mm_min_epu16(codes, _mm_set1_epi16(255)));
}
LCNET_INLINE void store_codes(void* p, Ints a, void* q, Ints b) {
  const __m256i codes = _mm256_min_epu16(_mm256_packus_epi32(a.v, b.v), _mm256_set1_epi16(255));
  const __m256i sorted = _mm256_permute4x64_epi64(codes, 0xd8);
  _mm_storeu_si128(static_cast<__m128i*>(p), _mm256_castsi256_si128(sorted));
  _mm_storeu_si128(static_cast<__m128i*>(q), _mm256_extracti128_si256(sorted, 1));
}

LCNET_INLINE Vec bits(Ints a) { return {_mm256_castsi256_ps(a.v)}; }
LCNET_INLINE Ints bits(Vec a) { return {_mm256_castps_si256(a.v)}; }

// A unit of each lane's two codes.
LCNET_INLINE Ints pack_units(const Ints (&a)[G]) {
  const __m256i order = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15));
  const __m256i codes = _mm256_min_epu16(_mm256_packus_epi32(a[0].v, a[1].v), _mm256_set1_epi16(255));
  return {_mm256_shuffle_epi8(codes, order)};
}

// N pixels of one channel block, `step` codes apart; code(n) makes them.
template <size_t N, class MakeCode>
LCNET_INLINE void store_pixels(Code* to, size_t step, MakeCode code) {
  LCNET_UNROLL (size_t n = 0; n + 2 <= N; n += 2) store_codes(to + n * step, code(n), to + (n + 1) * step, code(n + 1));
  if constexpr (N % 2) store_codes(to + (N - 1) * step, code(N - 1));
}

// Eight bytes of a map.
LCNET_INLINE void store_bytes(uint8_t* p, Ints a) {
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(a.v), _mm256_extracti128_si256(a.v, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
}

// R pixels of V channel blocks, `stride` bytes apart; code(r, v) makes them. Two pixels of two blocks are packed together.
template <size_t R, size_t V, class MakeCode>
LCNET_INLINE void store_tile(uint8_t* out, size_t stride, MakeCode code) {
  constexpr size_t L = Vec::L;
  if constexpr (V == 1) {
    LCNET_UNROLL (size_t r = 0; r < R; ++r) store_bytes(out + r * L, code(r, 0));
  } else {
    const __m256i order = _mm256_setr_epi32(0, 4, 2, 6, 1, 5, 3, 7);
    LCNET_UNROLL (size_t r = 0; r + 2 <= R; r += 2) {
      const __m256i a = _mm256_packs_epi32(code(r, 0).v, code(r, 1).v);
      const __m256i b = _mm256_packs_epi32(code(r + 1, 0).v, code(r + 1, 1).v);
      const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(a, b), order);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + r * L), _mm256_castsi256_si128(bytes));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + stride + r * L), _mm256_extracti128_si256(bytes, 1));
    }
    if constexpr (R % 2)
      LCNET_UNROLL (size_t v = 0; v < V; ++v) store_bytes(out + v * stride + (R - 1) * L, code(R - 1, v));
  }
}

// Two rows of `n` pixels of eight channels into pairs. A row's pixels are `steps[g]` bytes apart: 8, or 0 where one pixel
// stands for all.
LCNET_INLINE void interleave_block(const uint8_t* const* rows, const size_t* steps, Unit* out, size_t n) {
  size_t x = 0;
  if (steps[0] && steps[1])
    for (; x + 2 <= n; x += 2) {
      const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[0] + x * Vec::L));
      const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[1] + x * Vec::L));
      store_ints(out + x * Vec::L, {_mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b))});
      store_ints(out + (x + 1) * Vec::L, {_mm256_cvtepu8_epi16(_mm_unpackhi_epi8(a, b))});
    }
  for (; x < n; ++x) {
    const __m128i a = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(rows[0] + x * steps[0]));
    const __m128i b = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(rows[1] + x * steps[1]));
    store_ints(out + x * Vec::L, {_mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b))});
  }
}

}  // namespace
