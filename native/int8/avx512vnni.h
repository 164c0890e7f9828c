// Sixteen int32 for AVX-512 with VNNI, whose unit is four bytes: one instruction multiplies four codes by four weights and adds
// the products to a sum, exactly. Included after simd/avx512.h and simd/common.h.
#pragma once

#include "kernels.h"

namespace {

using lcnet::Unit;

constexpr size_t G = 4;
using Code = uint8_t;

struct Ints {
  __m512i v;
};

LCNET_INLINE Ints load_ints(const void* p) { return {_mm512_loadu_si512(p)}; }
LCNET_INLINE void store_ints(void* p, Ints a) { _mm512_storeu_si512(p, a.v); }
LCNET_INLINE Ints broadcast_unit(const void* p) {
  int unit;
  __builtin_memcpy(&unit, p, sizeof unit);
  return {_mm512_set1_epi32(unit)};
}
LCNET_INLINE Ints load_weights(const int8_t* p) { return {_mm512_loadu_si512(p)}; }

// GCC 12 copies and spills the sums of the intrinsic inside loops: its own instruction keeps them where they are.
LCNET_INLINE void add_dot(Ints& sum, Ints x, Ints w) {
#if defined(__GNUC__) && !defined(__clang__) && !defined(LCNET_EMULATE_AVX512)
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sum.v) : "v"(x.v), "v"(w.v));
#else
  sum.v = _mm512_dpbusd_epi32(sum.v, x.v, w.v);
#endif
}
LCNET_INLINE void add_now(Ints&) {}

LCNET_INLINE Vec to_float(Ints a) { return {_mm512_cvtepi32_ps(a.v)}; }
LCNET_INLINE Ints to_int(Vec a) { return {_mm512_cvtps_epi32(a.v)}; }

// Sixteen codes each; in this ISA codes are bytes as they are in maps.
LCNET_INLINE void store_codes(void* p, Ints a) {
  const __m512i positive = _mm512_max_epi32(a.v, _mm512_setzero_si512());
  _mm_storeu_si128(static_cast<__m128i*>(p), _mm512_cvtusepi32_epi8(positive));
}
LCNET_INLINE void store_codes(void* p, Ints a, void* q, Ints b) {
  store_codes(p, a);
  store_codes(q, b);
}

// R pixels of V channel blocks, `stride` bytes apart; code(r, v) makes them.
template <size_t R, size_t V, class MakeCode>
LCNET_INLINE void store_tile(uint8_t* out, size_t stride, MakeCode code) {
  LCNET_UNROLL for (size_t v = 0; v < V; ++v)
    LCNET_UNROLL for (size_t r = 0; r < R; ++r) store_codes(out + v * stride + r * Vec::L, code(r, v));
}

// Four rows of `n` pixels of sixteen channels into quads. A row's pixels are `steps[g]` bytes apart: 16, or 0 where one pixel
// stands for all.
LCNET_INLINE void interleave_block(const uint8_t* const* rows, const size_t* steps, Unit* out, size_t n) {
  for (size_t x = 0; x < n; ++x) {
    __m128i r[4];
    LCNET_UNROLL for (size_t g = 0; g < 4; ++g) r[g] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[g] + x * steps[g]));
    const __m128i low_a = _mm_unpacklo_epi8(r[0], r[1]), high_a = _mm_unpackhi_epi8(r[0], r[1]);
    const __m128i low_b = _mm_unpacklo_epi8(r[2], r[3]), high_b = _mm_unpackhi_epi8(r[2], r[3]);
    __m128i* to = reinterpret_cast<__m128i*>(out + x * Vec::L);
    _mm_storeu_si128(to, _mm_unpacklo_epi16(low_a, low_b));
    _mm_storeu_si128(to + 1, _mm_unpackhi_epi16(low_a, low_b));
    _mm_storeu_si128(to + 2, _mm_unpacklo_epi16(high_a, high_b));
    _mm_storeu_si128(to + 3, _mm_unpackhi_epi16(high_a, high_b));
  }
}

}  // namespace
