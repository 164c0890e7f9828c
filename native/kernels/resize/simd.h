// Pillow's resampling and OpenCV's bilinear sampling of bytes for any vector width: exact, since every product and sum is one
// of whole numbers, modulo 2^32 or too small for that to matter. Included after simd/common.h and resize/<isa>.h, which defines
// in an unnamed namespace, all of it always inlined:
//
//   struct Ints                        a register of Ints::Bytes bytes, in Ints::Lanes lanes of 16
//   Ints load_bytes(p), void store_bytes(p, a)
//   Ints load_lanes(rows, offset)      16 bytes at `offset` of each of as many rows as there are lanes
//   Ints all_lanes(p), all(int)        the same 16 bytes in every lane; the same number in every sum
//   Ints add(a, b)                     of sums, modulo 2^32
//   Ints multiply_pairs(a, b)          of 16-bit numbers, with the products of each pair added to a sum
//   Ints shift_left<N>, shift_right<N>(a)  of sums, which have a sign
//   Ints add_halves(a, b), Ints multiply_high(a, b)  of 16-bit numbers: sums, and products without their low 16 bits
//   Ints shift_right_halves<N>(a)      of 16-bit numbers, which have a sign
//   Ints shuffle(a, by)                of bytes, within lanes; a negative place makes zero
//   Ints interleave_low, interleave_high(a, b)  of the bytes in the halves of each lane
//   Ints pack_sums, pack_halves(a, b)  to 16 bits with a sign, to bytes without; clamped, within lanes
//   Ints in_order(a)                   of pack_halves(a, b): the bytes of a, then those of b
//
// One instruction multiplies pairs of 16-bit numbers and adds each pair of products: two taps of four sums (NEON), eight (AVX2) or
// sixteen (AVX-512). A pixel is at most 255 and half a coefficient less than 2^15 in magnitude, so a pair of products fits by far.
#pragma once

namespace {

using lcnet::ResizeTaps;

// The sums of the low and of the high halves.
struct Halves {
  Ints low, high;
};

LCNET_INLINE Halves start() { return {all(1 << 21), all(0)}; }

LCNET_INLINE Ints finish(Halves sum) { return shift_right<22>(add(sum.low, shift_left<15>(sum.high))); }

// Two halves of coefficients, everywhere.
LCNET_INLINE Ints all(const int16_t* k) {
  int pair;
  __builtin_memcpy(&pair, k, sizeof pair);
  return all(pair);
}

// `k`: one pair of taps, [low, high][2].
LCNET_INLINE Halves coefficients(const int16_t* k) { return {all(k), all(k + 2)}; }

LCNET_INLINE Halves multiply_add(Ints pixels, Halves k, Halves sum) {
  return {add(sum.low, multiply_pairs(pixels, k.low)), add(sum.high, multiply_pairs(pixels, k.high))};
}

// Which bytes of a lane, of the two pixels at its start, make a pair of 16-bit numbers for each channel. -1 makes a zero;
// channels that there are not stay zero.
template <size_t C>
LCNET_INLINE Ints pair_of_pixels() {
  signed char from[16];
  for (size_t c = 0; c < 4; ++c) {
    from[4 * c] = c < C ? static_cast<signed char>(c) : -1;
    from[4 * c + 2] = c < C ? static_cast<signed char>(C + c) : -1;
    from[4 * c + 1] = from[4 * c + 3] = -1;
  }
  return all_lanes(from);
}

// A lane is a row, its four sums are the channels of a pixel: V registers for four rows.
template <size_t C>
static void resize_rows(const uint8_t* const* in, const ResizeTaps* taps, const int16_t* k, uint8_t* const* out, size_t width) {
  constexpr size_t V = 4 / Ints::Lanes;
  const Ints pair = pair_of_pixels<C>();
  for (size_t x = 0; x < width; ++x) {
    Halves sum[V];
    LCNET_UNROLL (size_t v = 0; v < V; ++v) sum[v] = start();
    const size_t begin = taps[x].first * C, end = begin + taps[x].count * C;
    for (size_t at = begin; at < end; at += 2 * C, k += 4) {
      const Halves both = coefficients(k);
      LCNET_UNROLL (size_t v = 0; v < V; ++v)
        sum[v] = multiply_add(shuffle(load_lanes(in + v * Ints::Lanes, at), pair), both, sum[v]);
    }
    // The first packing cuts nothing, as a sum of 32 bits shifted by 22 fits 16; the second clamps. Then the first four bytes
    // of a lane are its row's pixel, and the next ones those of the other registers' rows.
    const Ints first = pack_sums(finish(sum[0]), finish(sum[V > 1]));
    const Ints second = V > 2 ? pack_sums(finish(sum[V / 2]), finish(sum[V - 1])) : first;
    uint8_t pixels[Ints::Bytes];
    store_bytes(pixels, pack_halves(first, second));
    LCNET_UNROLL (size_t row = 0; row < 4; ++row)
      __builtin_memcpy(out[row] + x * C, pixels + row % Ints::Lanes * 16 + row / Ints::Lanes * 4, 4);
  }
}

static void u8_resize_rows(const uint8_t* const* in, const ResizeTaps* taps, const int16_t* k, uint8_t* const* out,
                           size_t width, size_t channels) {
  switch (channels) {
    case 1: return resize_rows<1>(in, taps, k, out, width);
    case 2: return resize_rows<2>(in, taps, k, out, width);
    case 3: return resize_rows<3>(in, taps, k, out, width);
    case 4: return resize_rows<4>(in, taps, k, out, width);
  }
}

// The bytes of two rows are interleaved to pairs, then widened by interleaving zeros; packing undoes both, lane by lane.
static void u8_resize_columns(const uint8_t* const* in, const int16_t* k, size_t count, uint8_t* out, size_t bytes) {
  const Ints zero = all(0);
  for (size_t i = 0; i < bytes; i += Ints::Bytes) {
    Halves sum[4] = {start(), start(), start(), start()};
    for (size_t t = 0; t < count; t += 2) {
      const Halves pair = coefficients(k + 2 * t);
      const Ints a = load_bytes(in[t] + i), b = load_bytes(in[t + 1] + i);
      const Ints low = interleave_low(a, b), high = interleave_high(a, b);
      sum[0] = multiply_add(interleave_low(low, zero), pair, sum[0]);
      sum[1] = multiply_add(interleave_high(low, zero), pair, sum[1]);
      sum[2] = multiply_add(interleave_low(high, zero), pair, sum[2]);
      sum[3] = multiply_add(interleave_high(high, zero), pair, sum[3]);
    }
    const Ints low = pack_sums(finish(sum[0]), finish(sum[1])), high = pack_sums(finish(sum[2]), finish(sum[3]));
    store_bytes(out + i, pack_halves(low, high));
  }
}

// A lane is a row, its four sums are the channels of a pixel.
template <size_t C>
static void lerp_rows(const uint8_t* const* in, const lcnet::LerpTap* taps, int16_t* const* out, size_t width) {
  constexpr size_t V = 4 / Ints::Lanes;
  const Ints pair = pair_of_pixels<C>();
  for (size_t x = 0; x < width; ++x) {
    const Ints k = all(taps[x].k);
    Ints sum[V];
    LCNET_UNROLL (size_t v = 0; v < V; ++v)
      sum[v] = shift_right<4>(multiply_pairs(shuffle(load_lanes(in + v * Ints::Lanes, taps[x].first * C), pair), k));
    int16_t pixels[Ints::Bytes];  // in a lane its row's pixel, then that of the second register's row
    store_bytes(pixels, pack_sums(sum[0], sum[V > 1]));
    if constexpr (V > 2) store_bytes(pixels + Ints::Bytes / 2, pack_sums(sum[V / 2], sum[V - 1]));
    LCNET_UNROLL (size_t row = 0; row < 4; ++row)
      __builtin_memcpy(out[row] + x * C, pixels + row % Ints::Lanes * 8 + row / Ints::Lanes * 4, 8);
  }
}

static void u8_lerp_rows(const uint8_t* const* in, const lcnet::LerpTap* taps, int16_t* const* out, size_t width,
                         size_t channels) {
  switch (channels) {
    case 1: return lerp_rows<1>(in, taps, out, width);
    case 2: return lerp_rows<2>(in, taps, out, width);
    case 3: return lerp_rows<3>(in, taps, out, width);
    case 4: return lerp_rows<4>(in, taps, out, width);
  }
}

// The same 16-bit number everywhere; it is not negative.
LCNET_INLINE Ints all_halves(int x) { return all(x << 16 | x); }

static void i16_lerp_columns(const int16_t* const* in, const int16_t* k, uint8_t* out, size_t bytes) {
  const Ints k0 = all_halves(k[0]), k1 = all_halves(k[1]), two = all_halves(2);
  for (size_t i = 0; i < bytes; i += Ints::Bytes) {
    Ints part[2];
    LCNET_UNROLL (size_t p = 0; p < 2; ++p) {
      const size_t at = i + p * Ints::Bytes / 2;
      const Ints a = multiply_high(load_bytes(in[0] + at), k0), b = multiply_high(load_bytes(in[1] + at), k1);
      part[p] = shift_right_halves<2>(add_halves(add_halves(a, b), two));
    }
    store_bytes(out + i, in_order(pack_halves(part[0], part[1])));
  }
}

}  // namespace
