// What is written once for every vector width: activations, loops that must unroll, and the cutting of pixels into tiles.
// Included after simd/<isa>.h, which defines in an unnamed namespace, all of it always inlined:
//
//   LCNET_INLINE                   what every function here begins with
//   struct Vec                     one register of Vec::L floats; kFused: how multiply_add rounds; kByLane:
//                                  whether there is accumulate_lane
//   Vec load(const float* p)       L floats; pointers need the alignment of float only
//   void store(float* p, Vec a)
//   Vec broadcast(const float* p)  one float, in all lanes
//   Vec set(float x)               the same of a number
//   void prefetch(const float* p)  into the second-level cache; may do nothing
//   Vec add, mul, div (a, b)
//   Vec max, min (a, b)            NaN if b is; a is none, and of two zeros it may be either
//   Vec rectify(a)                 0 where a < 0, else a, even if it is NaN or -0
//   Vec fma(a, b, c)               a * b + c, rounded once, whatever that takes
//   Vec multiply_add(a, b, c)      a * b + c, rounded once if kFused, else twice: what the sums of float networks are made of
//   Vec power_of_two(a)            2^n of each n + kRoundToInteger, -126 <= n <= 127
//   void accumulate(Vec& acc, a, b)  acc = multiply_add(a, b, acc), so that it stays in its register in long unrolled loops
//   void accumulate_lane<Lane>(Vec& acc, a, b)  acc = a * b[Lane] + acc
//   Vec one_left(p, before, a)     the floats from p - 1 on; a has those from p on, and `before` the vector before them
//   Vec one_right(p, a, behind)    the same from p + 1 on
//   void split(a, b, even, odd)    of the 2 * L floats in a and b, numbers 0, 2, 4 ... and 1, 3, 5 ...
//
// With bfloat16 also store(unsigned short* p, Vec a), which rounds to nearest even.
#pragma once

#include "../kernels.h"

namespace {

using lcnet::Activation;

// A loop over a count known at compile time, unrolled for certain: its body indexes registers. Not under sanitizers, whose
// checks in every step of every tile take the compiler ten minutes a file.
#if defined(LCNET_SANITIZE)
#define LCNET_UNROLL(...) for (__VA_ARGS__)
#else
#define LCNET_UNROLL(...) _Pragma("GCC unroll 32") for (__VA_ARGS__)
#endif

// NaN is the second operand throughout: it stays NaN.
LCNET_INLINE Vec hsigmoid6(Vec x) { return min(set(6.0f), max(set(0.0f), add(x, set(3.0f)))); }
LCNET_INLINE Vec hswish6(Vec x) { return mul(x, hsigmoid6(x)); }

// See sigmoid.h.
LCNET_INLINE Vec sigmoid(Vec x) {
  using namespace lcnet;
  const Vec most = set(kLargestExponent), least = set(-kLargestExponent);
  const Vec z = mul(min(most, max(least, x)), set(-1.0f));
  const Vec shifted = fma(z, set(kLog2E), set(kRoundToInteger)), n = add(shifted, set(-kRoundToInteger));
  const Vec r = fma(n, set(-kLn2Low), fma(n, set(-kLn2High), z));
  Vec exp = set(kExp[0]);
  LCNET_UNROLL (size_t i = 1; i < kExpTerms; ++i) exp = fma(exp, r, set(kExp[i]));
  return div(set(1.0f), fma(exp, power_of_two(shifted), set(1.0f)));
}

template <Activation A>
LCNET_INLINE Vec activate(Vec x) {
  if constexpr (A == Activation::relu) return rectify(x);
  if constexpr (A == Activation::hswish6) return hswish6(x);
  if constexpr (A == Activation::hsigmoid6) return hsigmoid6(x);
  if constexpr (A == Activation::sigmoid) return sigmoid(x);
  return x;
}

// Calls work<A>() for the activation of a trunk.
template <class Work>
LCNET_INLINE void for_activation(Activation act, Work work) {
  if (act == Activation::relu)
    work.template operator()<Activation::relu>();
  else
    work.template operator()<Activation::hswish6>();
}

// The sum of a pointer and an offset as one register. Without it GCC keeps the parts of all pixels' addresses apart, more than
// there are registers for.
template <class T>
LCNET_INLINE const T* one_pointer(const T* p) {
#if defined(__GNUC__)
  __asm__("" : "+r"(p));
#endif
  return p;
}

// Of lambdas in short tiles: GCC would call them, and fetch what they capture from memory, some 40 cycles a tile. (6% of
// int8 networks; the longer tiles of the float kernels gained nothing.)
#define LCNET_INLINED __attribute__((always_inline))

// Cuts `pixels` into tiles of at most Max, or of at most `most` where that is less, as even as can be, and calls tile<n>(first pixel) for each: 14 pixels in tiles
// of at most 6 are 5 + 5 + 4, not 6 + 6 + 2, whose last tile would starve the multiply-add units.
template <size_t N, class Tile>
LCNET_INLINE void call_tile(size_t n, size_t at, Tile& tile) {
  if constexpr (N > 0) {
    if (n == N)
      tile.template operator()<N>(at);
    else
      call_tile<N - 1>(n, at, tile);
  }
}

template <size_t Max, class Tile>
LCNET_INLINE void for_tiles(size_t pixels, Tile tile, size_t most = Max) {
  if (pixels == 0) return;
  const uint32_t n = static_cast<uint32_t>(pixels), m = static_cast<uint32_t>(most);
  const uint32_t tiles = (n + m - 1) / m;  // 64-bit divisions take 40 cycles and more
  const bool even = n == tiles * m;
  const size_t small = even ? m : n / tiles, larger = even ? 0 : n % tiles;
  for (size_t i = 0, at = 0; i < tiles; ++i) {
    const size_t now = small + (i < larger);
    call_tile<Max>(now, at, tile);
    at += now;
  }
}

}  // namespace
