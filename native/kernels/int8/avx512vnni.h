// Sixteen int32 for AVX-512 with VNNI, whose unit is four bytes: one instruction multiplies four codes by four weights and adds
// the products to a sum, exactly. Included after simd/avx512.h and simd/common.h.
#pragma once

#include "../kernels.h"

namespace {

using lcnet::Unit;

constexpr size_t G = 4;
using Code = uint8_t;

struct Ints {
  static constexpr bool kFlipped = false, kByLane = false;
  __m512i v;
};

LCNET_INLINE Ints load_ints(const void* p) { return {_mm512_loadu_si512(p)}; }
LCNET_INLINE void store_ints(void* p, Ints a) { _mm512_storeu_si512(p, a.v); }
LCNET_INLINE Ints broadcast_unit(const void* p) {
  int unit;
  __builtin_memcpy(&unit, p, sizeof unit);
  return {_mm512_set1_epi32(unit)};
}
LCNET_INLINE Ints flip(Ints codes) { return codes; }
LCNET_INLINE void add_lost(Ints&, Ints) {}
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

LCNET_INLINE Vec bits(Ints a) { return {_mm512_castsi512_ps(a.v)}; }
LCNET_INLINE Ints bits(Vec a) { return {_mm512_castps_si512(a.v)}; }

LCNET_INLINE Vec to_float(Ints a) { return {_mm512_cvtepi32_ps(a.v)}; }
LCNET_INLINE Ints to_int(Vec a) { return {_mm512_cvtps_epi32(a.v)}; }

// Sixteen codes; in this ISA codes are bytes as they are in maps.
LCNET_INLINE void store_codes(void* p, Ints a) {
  const __m512i positive = _mm512_max_epi32(a.v, _mm512_setzero_si512());
  _mm_storeu_si128(static_cast<__m128i*>(p), _mm512_cvtusepi32_epi8(positive));
}
// Sixteen codes of each of a, b, c, d, one after the other: four shuffles, where each alone takes three instructions.
LCNET_INLINE __m512i pack_codes(Ints a, Ints b, Ints c, Ints d) {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i bytes = _mm512_packus_epi16(_mm512_packs_epi32(a.v, b.v), _mm512_packs_epi32(c.v, d.v));
  return _mm512_permutexvar_epi32(order, bytes);
}

// A unit of each lane's four codes.
LCNET_INLINE Ints pack_units(const Ints (&a)[G]) {
  const __m512i order = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  const __m512i bytes = _mm512_packus_epi16(_mm512_packs_epi32(a[0].v, a[1].v), _mm512_packs_epi32(a[2].v, a[3].v));
  return {_mm512_shuffle_epi8(bytes, order)};
}

// N pixels of one channel block, `step` bytes apart; code(n) makes them.
template <size_t N, class MakeCode>
LCNET_INLINE void store_pixels(Code* to, size_t step, MakeCode code) {
  LCNET_UNROLL (size_t n = 0; n + 4 <= N; n += 4) {
    const __m512i bytes = pack_codes(code(n), code(n + 1), code(n + 2), code(n + 3));
    Code* at = to + n * step;
    _mm_storeu_si128(reinterpret_cast<__m128i*>(at), _mm512_castsi512_si128(bytes));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(at + step), _mm512_extracti32x4_epi32(bytes, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(at + 2 * step), _mm512_extracti32x4_epi32(bytes, 2));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(at + 3 * step), _mm512_extracti32x4_epi32(bytes, 3));
  }
  LCNET_UNROLL (size_t n = N / 4 * 4; n < N; ++n) store_codes(to + n * step, code(n));
}

// R pixels of V channel blocks, `stride` bytes apart; code(r, v) makes them.
template <size_t R, size_t V, class MakeCode>
LCNET_INLINE void store_tile(uint8_t* out, size_t stride, MakeCode code) {
  LCNET_UNROLL (size_t v = 0; v < V; ++v) {
    LCNET_UNROLL (size_t r = 0; r + 4 <= R; r += 4)
      _mm512_storeu_si512(out + v * stride + r * Vec::L,
                          pack_codes(code(r, v), code(r + 1, v), code(r + 2, v), code(r + 3, v)));
    LCNET_UNROLL (size_t r = R / 4 * 4; r < R; ++r) store_codes(out + v * stride + r * Vec::L, code(r, v));
  }
}

// Four pixels of sixteen channels of four rows, [4][16] bytes each, into quads [4 pixels][16 channels]: bytes become pairs and
// quads inside each pixel's lane, four channels a register, which a 4x4 transpose of lanes then puts side by side.
LCNET_INLINE void interleave_pixels(const __m512i (&r)[4], Unit* out) {
  const __m512i low_a = _mm512_unpacklo_epi8(r[0], r[1]), high_a = _mm512_unpackhi_epi8(r[0], r[1]);
  const __m512i low_b = _mm512_unpacklo_epi8(r[2], r[3]), high_b = _mm512_unpackhi_epi8(r[2], r[3]);
  const __m512i c0 = _mm512_unpacklo_epi16(low_a, low_b), c4 = _mm512_unpackhi_epi16(low_a, low_b);
  const __m512i c8 = _mm512_unpacklo_epi16(high_a, high_b), c12 = _mm512_unpackhi_epi16(high_a, high_b);
  const __m512i low01 = _mm512_shuffle_i64x2(c0, c4, 0x44), low23 = _mm512_shuffle_i64x2(c0, c4, 0xee);
  const __m512i high01 = _mm512_shuffle_i64x2(c8, c12, 0x44), high23 = _mm512_shuffle_i64x2(c8, c12, 0xee);
  store_ints(out, {_mm512_shuffle_i64x2(low01, high01, 0x88)});
  store_ints(out + 16, {_mm512_shuffle_i64x2(low01, high01, 0xdd)});
  store_ints(out + 32, {_mm512_shuffle_i64x2(low23, high23, 0x88)});
  store_ints(out + 48, {_mm512_shuffle_i64x2(low23, high23, 0xdd)});
}

// Four rows of `n` pixels of sixteen channels into quads. A row's pixels are `steps[g]` bytes apart: 16, or 0 where one pixel
// stands for all.
LCNET_INLINE void interleave_block(const uint8_t* const* rows, const size_t* steps, Unit* out, size_t n) {
  size_t x = 0;
  for (; x + 4 <= n; x += 4) {
    __m512i r[4];
    LCNET_UNROLL (size_t g = 0; g < 4; ++g)
      r[g] = steps[g] ? _mm512_loadu_si512(rows[g] + x * 16)
                      : _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[g])));
    interleave_pixels(r, out + x * 16);
  }
  for (; x < n; ++x) {
    __m128i r[4];
    LCNET_UNROLL (size_t g = 0; g < 4; ++g) r[g] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[g] + x * steps[g]));
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
