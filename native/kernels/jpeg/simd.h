// The decoding of JPEG files for any vector width. Included after simd/common.h, resize/<isa>.h, which has the register and most of
// what is done with it, and jpeg/<isa>.h, which defines in an unnamed namespace, all of it always inlined:
//
//   Ints subtract(a, b)                of sums
//   Ints subtract_halves, multiply_low(a, b)  of 16-bit numbers, modulo 2^16
//   Ints magnitude(a)                  of 16-bit numbers with a sign; that of -2^15 is 2^15, without a sign
//   Ints excess(a, b)                  a - b of 16-bit numbers without a sign, and 0 where b is more
//   Ints either, both(a, b), bool none(a)  the bits of one or the other, of both; whether there are none
//   Ints largest, smallest(a, b)       of 16-bit numbers with a sign
//   Ints shift_left_halves<N>(a), shift_right_unsigned<N>(a)  of 16-bit numbers
//   Ints interleave_low_N, interleave_high_N(a, b)  of N-bit numbers in the halves of each lane
//   Ints load_wide(p)                  Ints::Bytes / 2 bytes as 16-bit numbers
//   void store_halves_at(p, q, a)      the first half of the register and the second
//   void store_lanes(p, pitch, a)      each lane, `pitch` bytes apart
#pragma once

#include "jpeg.h"

namespace {

using lcnet::JpegQuanta;

// The same pair of 16-bit numbers everywhere.
LCNET_INLINE Ints all_pairs(int first, int second) {
  return all(static_cast<int>(static_cast<uint32_t>(second) << 16 | (static_cast<uint32_t>(first) & 0xffff)));
}

// The sums of the low and of the high half of each lane.
struct Sums {
  Ints low, high;
};

LCNET_INLINE Sums pair_sums(Ints low, Ints high, const int16_t* k) {
  const Ints pair = all_pairs(k[0], k[1]);
  return {multiply_pairs(low, pair), multiply_pairs(high, pair)};
}
LCNET_INLINE Sums operator+(Sums a, Sums b) { return {add(a.low, b.low), add(a.high, b.high)}; }
LCNET_INLINE Sums operator-(Sums a, Sums b) { return {subtract(a.low, b.low), subtract(a.high, b.high)}; }

template <int S>
LCNET_INLINE Ints rounded(Sums a) {
  return pack_sums(shift_right<S>(a.low), shift_right<S>(a.high));
}

// What lies between two registers: numbers of one and of the other in turns.
struct Pairs {
  Ints low, high;
  LCNET_INLINED Pairs(Ints a, Ints b) : low(interleave_low_16(a, b)), high(interleave_high_16(a, b)) {}
};

// One direction of the transform: v[i] holds number i of eight lots a lane. `bias` is added to what comes out.
template <int S>
LCNET_INLINE void eight(Ints v[8], int bias) {
  using lcnet::kJpegEven, lcnet::kJpegOdd;
  const Pairs e0(v[0], v[2]), e1(v[4], v[6]), o0(v[1], v[3]), o1(v[5], v[7]);
  const Ints half = all((bias << S) + (1 << (S - 1)));
  LCNET_UNROLL (size_t i = 0; i < 4; ++i) {
    const Sums e = pair_sums(e0.low, e0.high, kJpegEven[i]) + pair_sums(e1.low, e1.high, kJpegEven[i] + 2) + Sums{half, half};
    const Sums o = pair_sums(o0.low, o0.high, kJpegOdd[i]) + pair_sums(o1.low, o1.high, kJpegOdd[i] + 2);
    v[i] = rounded<S>(e + o);
    v[7 - i] = rounded<S>(e - o);
  }
}

// Eight by eight 16-bit numbers in each lane.
LCNET_INLINE void transpose(Ints v[8]) {
  Ints a[8], b[8];
  LCNET_UNROLL (size_t i = 0; i < 4; ++i) {
    a[2 * i] = interleave_low_16(v[i], v[i + 4]);
    a[2 * i + 1] = interleave_high_16(v[i], v[i + 4]);
  }
  LCNET_UNROLL (size_t i = 0; i < 4; ++i) {
    b[2 * i] = interleave_low_16(a[i], a[i + 4]);
    b[2 * i + 1] = interleave_high_16(a[i], a[i + 4]);
  }
  LCNET_UNROLL (size_t i = 0; i < 4; ++i) {
    v[2 * i] = interleave_low_16(b[i], b[i + 4]);
    v[2 * i + 1] = interleave_high_16(b[i], b[i + 4]);
  }
}

// Columns of 16-bit numbers to rows of bytes, clamped; those of the lanes side by side.
LCNET_INLINE void store_rows(const Ints v[8], uint8_t* out, size_t pitch) {
  Ints columns[4];  // in a lane a column, then the fourth behind it
  LCNET_UNROLL (size_t i = 0; i < 4; ++i) columns[i] = pack_halves(v[i], v[i + 4]);
  const Ints a = interleave_low(columns[0], columns[1]), b = interleave_low(columns[2], columns[3]);
  const Ints c = interleave_high(columns[0], columns[1]), d = interleave_high(columns[2], columns[3]);
  const Ints left[2] = {interleave_low_16(a, b), interleave_high_16(a, b)};  // four columns of four rows
  const Ints right[2] = {interleave_low_16(c, d), interleave_high_16(c, d)};
  LCNET_UNROLL (size_t i = 0; i < 2; ++i) {
    uint8_t* rows = out + 4 * i * pitch;
    store_halves_at(rows, rows + pitch, in_order(interleave_low_32(left[i], right[i])));
    store_halves_at(rows + 2 * pitch, rows + 3 * pitch, in_order(interleave_high_32(left[i], right[i])));
  }
}

// The largest and the smallest 16-bit numbers so far.
struct Range {
  Ints most = all(0), least = all(0);
  LCNET_INLINED void take(const Ints v[8]) {
    LCNET_UNROLL (size_t i = 0; i < 8; ++i) most = largest(most, v[i]), least = smallest(least, v[i]);
  }
  // Whether all were from `low` to `high`.
  LCNET_INLINED bool within(int low, int high) const {
    const Ints up = all_pairs(-low, -low), span = all_pairs(high - low, high - low);
    return none(either(excess(add_halves(most, up), span), excess(add_halves(least, up), span)));
  }
};

LCNET_INLINE const signed char* bytes_of(const uint16_t* p) { return reinterpret_cast<const signed char*>(p); }

// As many blocks as there are lanes, multiplied by their quanta; zeros are left. `beyond` collects what is too large.
LCNET_INLINE void dequantize(int16_t* blocks, const JpegQuanta& quanta, Ints v[8], Ints& beyond) {
  const unsigned char* lane[Ints::Lanes];
  LCNET_UNROLL (size_t l = 0; l < Ints::Lanes; ++l)
    lane[l] = reinterpret_cast<const unsigned char*>(blocks + l * lcnet::kJpegBlock);
  LCNET_UNROLL (size_t i = 0; i < 8; ++i) {
    const Ints coefficients = load_lanes(lane, 16 * i);
    beyond = either(beyond, excess(magnitude(coefficients), all_lanes(bytes_of(quanta.most + 8 * i))));
    v[i] = multiply_low(coefficients, all_lanes(bytes_of(quanta.quantum + 8 * i)));
  }
  LCNET_UNROLL (size_t i = 0; i < 8; ++i) store_bytes(blocks + i * (Ints::Bytes / 2), all(0));  // 64 numbers a lane
}

// Whether no number but the first of a lane's first row is other than zero.
LCNET_INLINE bool is_flat(const Ints v[8]) {
  const uint16_t others[8] = {0, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff};
  Ints found = both(v[0], all_lanes(bytes_of(others)));
  LCNET_UNROLL (size_t i = 1; i < 8; ++i) found = either(found, v[i]);
  return none(found);
}

// What the transform makes of such blocks: (4 * first + 16) >> 5, and the bias, everywhere.
LCNET_INLINE void flat(Ints v[8], int bias) {
  const signed char first[16] = {0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1};
  const Ints value = shift_right_halves<3>(add_halves(shuffle(v[0], all_lanes(first)), all_pairs(4, 4)));
  LCNET_UNROLL (size_t i = 0; i < 8; ++i) v[i] = add_halves(value, all_pairs(bias, bias));
}

static bool jpeg_transform(int16_t* blocks, size_t n, const JpegQuanta& quanta, uint8_t* out, size_t pitch) {
  Ints beyond = all(0);
  Range columns, pixels;
  for (size_t b = 0; b < n; b += Ints::Lanes) {
    Ints v[8];
    dequantize(blocks + b * lcnet::kJpegBlock, quanta, v, beyond);
    if (is_flat(v)) {
      flat(v, 128);
    } else {
      eight<11>(v, 0);
      columns.take(v);
      transpose(v);
      eight<18>(v, 128);
    }
    pixels.take(v);
    store_rows(v, out + 8 * b, pitch);
  }
  constexpr int most = lcnet::kJpegMost, pixel = lcnet::kJpegMostPixel;
  return none(beyond) && columns.within(-most, most) && pixels.within(128 - pixel, 128 + pixel);
}

LCNET_INLINE Ints thrice(Ints a) { return add_halves(add_halves(a, a), a); }

// 16-bit numbers below 256 in turns, to bytes.
LCNET_INLINE void store_turns(uint8_t* out, Ints even, Ints odd) { store_bytes(out, either(even, shift_left_halves<8>(odd))); }

static void jpeg_widen(const uint8_t* in, uint8_t* out, size_t width) {
  const Ints one = all_pairs(1, 1), two = all_pairs(2, 2);
  for (size_t i = 0; i < width; i += Ints::Bytes / 2) {
    const Ints three = thrice(load_wide(in + i));
    const Ints even = add_halves(add_halves(three, load_wide(in + i - 1)), one);
    const Ints odd = add_halves(add_halves(three, load_wide(in + i + 1)), two);
    store_turns(out + 2 * i, shift_right_unsigned<2>(even), shift_right_unsigned<2>(odd));
  }
}

LCNET_INLINE Ints mixed(const uint8_t* near_row, const uint8_t* far_row) {
  return add_halves(thrice(load_wide(near_row)), load_wide(far_row));
}

static void jpeg_widen_both(const uint8_t* near_row, const uint8_t* far_row, uint8_t* out, size_t width) {
  const Ints seven = all_pairs(7, 7), eight = all_pairs(8, 8);
  for (size_t i = 0; i < width; i += Ints::Bytes / 2) {
    const uint8_t *a = near_row + i, *b = far_row + i;
    const Ints three = thrice(mixed(a, b));
    const Ints even = add_halves(add_halves(three, mixed(a - 1, b - 1)), eight);
    const Ints odd = add_halves(add_halves(three, mixed(a + 1, b + 1)), seven);
    store_turns(out + 2 * i, shift_right_unsigned<4>(even), shift_right_unsigned<4>(odd));
  }
}

static void jpeg_blend(const uint8_t* near_row, const uint8_t* far_row, uint8_t* out, size_t width, int bias) {
  const Ints more = all_pairs(bias, bias);
  const auto half = [&](size_t i)
                        LCNET_INLINED { return shift_right_unsigned<2>(add_halves(mixed(near_row + i, far_row + i), more)); };
  for (size_t i = 0; i < width; i += Ints::Bytes)
    store_bytes(out + i, in_order(pack_halves(half(i), half(i + Ints::Bytes / 2))));
}

// Red, green and blue of 16-bit numbers.
struct Color {
  Ints red, green, blue;
};

// Products of 2^16 and more have their whole part taken out: 91881 = 2^16 + 26345, 116130 = 2 * 2^16 - 14942 and
// -46802 = -2^16 + 18734. Half of (2 * x * k >> 16) + 1 is (x * k + 2^15) >> 16.
LCNET_INLINE Ints part(Ints twice, int k, Ints one) {
  return shift_right_halves<1>(add_halves(multiply_high(twice, all_pairs(k, k)), one));
}

LCNET_INLINE Color color(Ints y, Ints cb, Ints cr) {
  const Ints one = all_pairs(1, 1), middle = all_pairs(128, 128), half = all(1 << 15);
  const Ints b = subtract_halves(cb, middle), r = subtract_halves(cr, middle), b2 = add_halves(b, b), r2 = add_halves(r, r);
  const Pairs turns(b, r);
  const int16_t k[2] = {-22554, 18734};
  const Ints green = rounded<16>(pair_sums(turns.low, turns.high, k) + Sums{half, half});
  return {add_halves(add_halves(y, r), part(r2, 26345, one)), add_halves(subtract_halves(y, r), green),
          add_halves(add_halves(y, b2), part(b2, -14942, one))};
}

// Which of a lane's 16 bytes of channel `c` go where in third `t` of the lane's pixels; -1 makes a zero.
LCNET_INLINE Ints third(size_t t, size_t c) {
  signed char from[16];
  for (size_t i = 0; i < 16; ++i) from[i] = static_cast<signed char>((16 * t + i) % 3 == c ? (16 * t + i) / 3 : -1);
  return all_lanes(from);
}

struct Thirds {
  Ints from[3][3];
  LCNET_INLINED Thirds() {
    for (size_t t = 0; t < 3; ++t)
      for (size_t c = 0; c < 3; ++c) from[t][c] = third(t, c);
  }
};

static void jpeg_colors(const uint8_t* y, const uint8_t* cb, const uint8_t* cr, uint8_t* rgb, size_t width) {
  const Thirds thirds;
  const Ints zero = all(0);
  for (size_t i = 0; i < width; i += Ints::Bytes) {
    const Ints ys = load_bytes(y + i), bs = load_bytes(cb + i), rs = load_bytes(cr + i);
    const Color low = color(interleave_low(ys, zero), interleave_low(bs, zero), interleave_low(rs, zero));
    const Color high = color(interleave_high(ys, zero), interleave_high(bs, zero), interleave_high(rs, zero));
    const Ints channels[3] = {pack_halves(low.red, high.red), pack_halves(low.green, high.green),
                              pack_halves(low.blue, high.blue)};
    LCNET_UNROLL (size_t t = 0; t < 3; ++t) {
      const Ints* from = thirds.from[t];
      const Ints two = either(shuffle(channels[0], from[0]), shuffle(channels[1], from[1]));
      store_lanes(rgb + 3 * i + 16 * t, 48, either(two, shuffle(channels[2], from[2])));
    }
  }
}

constexpr lcnet::JpegKernels jpeg_table(const char* isa) {
  return {
      .isa = isa,
      .transform = jpeg_transform,
      .widen = jpeg_widen,
      .widen_both = jpeg_widen_both,
      .blend = jpeg_blend,
      .colors = jpeg_colors,
  };
}

}  // namespace
