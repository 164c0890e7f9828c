// A register of WebAssembly for the resampling of bytes: one lane of 16. Included after simd/wasm.h.
#pragma once

namespace {

struct Ints {
  static constexpr size_t Lanes = 1, Bytes = 16;
  v128_t v;
};

LCNET_INLINE Ints load_bytes(const void* p) { return {wasm_v128_load(p)}; }
LCNET_INLINE void store_bytes(void* p, Ints a) { wasm_v128_store(p, a.v); }
LCNET_INLINE Ints load_lanes(const unsigned char* const* rows, size_t offset) { return load_bytes(rows[0] + offset); }
LCNET_INLINE Ints all_lanes(const signed char* p) { return load_bytes(p); }
LCNET_INLINE Ints all(int x) { return {wasm_i32x4_splat(x)}; }

LCNET_INLINE Ints add(Ints a, Ints b) { return {wasm_i32x4_add(a.v, b.v)}; }
LCNET_INLINE Ints multiply_pairs(Ints a, Ints b) { return {wasm_i32x4_dot_i16x8(a.v, b.v)}; }
template <int N>
LCNET_INLINE Ints shift_left(Ints a) {
  return {wasm_i32x4_shl(a.v, N)};
}
template <int N>
LCNET_INLINE Ints shift_right(Ints a) {
  return {wasm_i32x4_shr(a.v, N)};
}
LCNET_INLINE Ints add_halves(Ints a, Ints b) { return {wasm_i16x8_add(a.v, b.v)}; }
LCNET_INLINE Ints multiply_high(Ints a, Ints b) {
  const v128_t low = wasm_i32x4_extmul_low_i16x8(a.v, b.v), high = wasm_i32x4_extmul_high_i16x8(a.v, b.v);
  return {wasm_i16x8_shuffle(low, high, 1, 3, 5, 7, 9, 11, 13, 15)};
}
template <int N>
LCNET_INLINE Ints shift_right_halves(Ints a) {
  return {wasm_i16x8_shr(a.v, N)};
}
#if defined(__wasm_relaxed_simd__)
// Places are below 16 or, for a zero, negative: there it does what the other does.
LCNET_INLINE Ints shuffle(Ints a, Ints by) { return {wasm_i8x16_relaxed_swizzle(a.v, by.v)}; }
#else
LCNET_INLINE Ints shuffle(Ints a, Ints by) { return {wasm_i8x16_swizzle(a.v, by.v)}; }
#endif
LCNET_INLINE Ints interleave_low(Ints a, Ints b) {
  return {wasm_i8x16_shuffle(a.v, b.v, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)};
}
LCNET_INLINE Ints interleave_high(Ints a, Ints b) {
  return {wasm_i8x16_shuffle(a.v, b.v, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)};
}
LCNET_INLINE Ints pack_sums(Ints a, Ints b) { return {wasm_i16x8_narrow_i32x4(a.v, b.v)}; }    // to 16 bits, clamped
LCNET_INLINE Ints pack_halves(Ints a, Ints b) { return {wasm_u8x16_narrow_i16x8(a.v, b.v)}; }  // to 0 .. 255, clamped
LCNET_INLINE Ints in_order(Ints a) { return a; }

}  // namespace
