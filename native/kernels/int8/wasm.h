// Four int32 for WebAssembly, whose unit is a pair of int16: one instruction multiplies two pairs and adds the products, exactly, in
// every engine. (That of relaxed SIMD, for four bytes, takes as a signed byte what another takes as an unsigned one.) Included after
// simd/wasm.h and simd/common.h.
#pragma once

#include "../kernels.h"

namespace {

using lcnet::Unit;

constexpr size_t G = 2;
using Code = int16_t;

struct Ints {
  static constexpr bool kFlipped = false, kByLane = false;
  v128_t v;
};

LCNET_INLINE Ints load_ints(const void* p) { return {wasm_v128_load(p)}; }
LCNET_INLINE void store_ints(void* p, Ints a) { wasm_v128_store(p, a.v); }
LCNET_INLINE Ints broadcast_unit(const void* p) { return {wasm_v128_load32_splat(p)}; }
LCNET_INLINE Ints flip(Ints codes) { return codes; }
LCNET_INLINE void add_lost(Ints&, Ints) {}
// A vector of units of weights out of bytes.
LCNET_INLINE Ints load_weights(const int8_t* p) { return {wasm_i16x8_load8x8(p)}; }
LCNET_INLINE void add_dot(Ints& sum, Ints x, Ints w) { sum.v = wasm_i32x4_add(sum.v, wasm_i32x4_dot_i16x8(x.v, w.v)); }
LCNET_INLINE void add_now(Ints&) {}
LCNET_INLINE Vec bits(Ints a) { return {a.v}; }
LCNET_INLINE Ints bits(Vec a) { return {a.v}; }

LCNET_INLINE Vec to_float(Ints a) { return {wasm_f32x4_convert_i32x4(a.v)}; }
// Of what becomes a code: cut to 0..255 before it is rounded, which is the same, by adding what leaves no bits after the point. NaN,
// and what is 2^31 or more, is 0, as it is by the conversion of other CPUs.
LCNET_INLINE Ints to_int(Vec a) {
  const v128_t known = wasm_v128_and(a.v, wasm_f32x4_lt(a.v, wasm_f32x4_splat(2147483648.0f)));
  const v128_t cut = wasm_f32x4_pmin(wasm_f32x4_pmax(known, wasm_f32x4_splat(0.0f)), wasm_f32x4_splat(255.0f));
  const v128_t round = wasm_f32x4_splat(lcnet::kRoundToInteger);
  return {wasm_i32x4_sub(wasm_f32x4_add(cut, round), round)};
}

// Four codes each, int16.
LCNET_INLINE void store_codes(void* p, Ints a, void* q, Ints b) {
  const v128_t codes = wasm_i16x8_narrow_i32x4(a.v, b.v);
  wasm_v128_store64_lane(p, codes, 0);
  wasm_v128_store64_lane(q, codes, 1);
}
LCNET_INLINE void store_codes(void* p, Ints a) { wasm_v128_store64_lane(p, wasm_i16x8_narrow_i32x4(a.v, a.v), 0); }

// A unit of each lane's two codes.
LCNET_INLINE Ints pack_units(const Ints (&a)[G]) { return {wasm_v128_or(a[0].v, wasm_i32x4_shl(a[1].v, 16))}; }

// N pixels of one channel block, `step` codes apart; code(n) makes them.
template <size_t N, class MakeCode>
LCNET_INLINE void store_pixels(Code* to, size_t step, MakeCode code) {
  LCNET_UNROLL (size_t n = 0; n + 2 <= N; n += 2) store_codes(to + n * step, code(n), to + (n + 1) * step, code(n + 1));
  if constexpr (N % 2) store_codes(to + (N - 1) * step, code(N - 1));
}

// Four bytes of a map for each of four pixels, and for one.
LCNET_INLINE void store_bytes(uint8_t* p, Ints a, Ints b, Ints c, Ints d) {
  wasm_v128_store(p, wasm_u8x16_narrow_i16x8(wasm_i16x8_narrow_i32x4(a.v, b.v), wasm_i16x8_narrow_i32x4(c.v, d.v)));
}
LCNET_INLINE void store_bytes(uint8_t* p, Ints a) {
  const v128_t halves = wasm_i16x8_narrow_i32x4(a.v, a.v);
  wasm_v128_store32_lane(p, wasm_u8x16_narrow_i16x8(halves, halves), 0);
}

// R pixels of V channel blocks, `stride` bytes apart; code(r, v) makes them.
template <size_t R, size_t V, class MakeCode>
LCNET_INLINE void store_tile(uint8_t* out, size_t stride, MakeCode code) {
  LCNET_UNROLL (size_t v = 0; v < V; ++v) {
    LCNET_UNROLL (size_t r = 0; r + 4 <= R; r += 4)
      store_bytes(out + v * stride + r * 4, code(r, v), code(r + 1, v), code(r + 2, v), code(r + 3, v));
    LCNET_UNROLL (size_t r = R / 4 * 4; r < R; ++r) store_bytes(out + v * stride + r * 4, code(r, v));
  }
}

// Two rows of `n` pixels of four channels into pairs. A row's pixels are `steps[g]` bytes apart: 4, or 0 where one pixel stands for
// all.
LCNET_INLINE void interleave_block(const uint8_t* const* rows, const size_t* steps, Unit* out, size_t n) {
  const auto pairs = [](v128_t a, v128_t b) {
    return wasm_i8x16_shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  };
  size_t x = 0;
  if (steps[0] && steps[1])
    for (; x + 2 <= n; x += 2) {
      const v128_t both = pairs(wasm_v128_load64_zero(rows[0] + x * 4), wasm_v128_load64_zero(rows[1] + x * 4));
      wasm_v128_store(out + x * 4, wasm_u16x8_extend_low_u8x16(both));
      wasm_v128_store(out + x * 4 + 4, wasm_u16x8_extend_high_u8x16(both));
    }
  for (; x < n; ++x) {
    const v128_t both = pairs(wasm_v128_load32_zero(rows[0] + x * steps[0]), wasm_v128_load32_zero(rows[1] + x * steps[1]));
    wasm_v128_store(out + x * 4, wasm_u16x8_extend_low_u8x16(both));
  }
}

}  // namespace
