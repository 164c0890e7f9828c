// The int8 kernels for any vector width, but for the pointwise ones and those on planes. Included after simd/<isa>.h,
// simd/common.h and int8/<isa>.h, which defines in an unnamed namespace, all of it always inlined:
//
//   G, Code                            codes in a unit, and their type there; as kernels.h has them
//   struct Ints                        a register of Vec::L int32, or as many units; kByLane: whether there is add_dot_lane
//   Ints flip(Ints codes)              codes as add_dot takes them, which where Ints::kFlipped is less by 128 each
//   void add_lost(Ints& start, w)      then makes up for that: adds 128 times the sum of each lane's weights
//   Ints load_ints(p), void store_ints(p, a)
//   Ints broadcast_unit(p)             one unit, in all lanes
//   Ints load_weights(const int8_t*)   L * G bytes as units of weights
//   void add_dot(Ints& sum, x, w)      sum += the products of each lane's codes and weights, exactly
//   void add_dot_lane<Lane>(Ints& sum, x, w)  the same with one lane of x for all of w's
//   void add_now(Ints& sum)            where several are added in one round of a loop: keeps the compiler from putting it off
//   Vec to_float(Ints), Ints to_int(Vec)  rounded to nearest even
//   Vec bits(Ints), Ints bits(Vec)     the same bits
//   Ints pack_units(Ints (&)[G])       a unit of each lane's G codes, cut to 0..255 as all of the following do
//   void store_pixels<N>(Code* to, step, code)  L codes each of N pixels `step` codes apart; code(n) makes them
//   void store_tile<R, V>(uint8_t* out, stride, code)  R pixels of V channel blocks of a map, the blocks `stride` bytes apart
//   void interleave_block(rows, steps, Unit* out, n)  G rows of n pixels of L channels into units
#pragma once

#include "../kernels.h"

namespace {

using lcnet::Coding;
using lcnet::Sums;

// Zeros. An array of sums that is initialised as a whole would live in memory: GCC fills it there.
LCNET_INLINE Ints no_ints() { return bits(set(0.0f)); }

// What sums begin with whose `n` vectors of weights are weights(i).
template <class Weights>
LCNET_INLINE Ints begun(Ints start, size_t n, Weights weights) {
  if constexpr (Ints::kFlipped)
    for (size_t i = 0; i < n; ++i) add_lost(start, weights(i));
  return start;
}

template <Activation A>
LCNET_INLINE Vec activated(Ints sum, Vec scale, Vec bias) {
  return activate<A>(fma(to_float(sum), scale, bias));
}
LCNET_INLINE Ints code_of(Vec x, Vec inverse_scale, Vec zero_point) { return to_int(fma(x, inverse_scale, zero_point)); }

// The coefficients of one channel block.
struct Requantize {
  Vec scale, bias, inverse_scale, zero_point;
  LCNET_INLINE Requantize at(Sums sums, Coding coding, size_t c) {
    return {load(sums.scale + c), load(sums.bias + c), load(coding.inverse_scale + c), load(coding.zero_point + c)};
  }
  template <Activation A>
  LCNET_INLINE Ints apply(const Requantize& q, Ints sum) {
    return code_of(activated<A>(sum, q.scale, q.bias), q.inverse_scale, q.zero_point);
  }
};

// A tile of sums becomes codes of a map.
template <Activation A, size_t R, size_t V>
LCNET_INLINE void requantize_tile(const Ints (&sum)[R][V], Sums sums, Coding coding, uint8_t* out, size_t block_stride) {
  Requantize q[V];
  LCNET_UNROLL (size_t v = 0; v < V; ++v) q[v] = Requantize::at(sums, coding, v * Vec::L);
  store_tile<R, V>(out, block_stride, [&](size_t r, size_t v) LCNET_INLINED { return Requantize::apply<A>(q[v], sum[r][v]); });
}

static void int8_interleave(const uint8_t* const* rows, const Unit* zeros, Unit* out, size_t width, size_t block_stride,
                            size_t pad, size_t channels) {
  constexpr size_t L = Vec::L;
  for (size_t c = 0; c < channels; c += L) {
    const Ints zero = load_ints(zeros + c);
    uint8_t zero_bytes[L];
    const uint8_t* from[G];
    size_t steps[G];
    for (size_t l = 0; l < L; ++l) zero_bytes[l] = static_cast<uint8_t>(zeros[c + l]);
    for (size_t g = 0; g < G; ++g) {
      from[g] = rows[g] ? rows[g] + c / L * block_stride : zero_bytes;
      steps[g] = rows[g] ? L : 0;
    }
    Unit* to = out + c * (width + 2 * pad);
    for (size_t x = 0; x < pad; ++x) {
      store_ints(to + x * L, zero);
      store_ints(to + (pad + width + x) * L, zero);
    }
    interleave_block(from, steps, to + pad * L, width);
  }
}

template <size_t K, size_t S, size_t T>
LCNET_INLINE void int8_dwconv_row(const Unit* in, const Unit* w, Ints (&sum)[T]) {
  constexpr size_t L = Vec::L;
  Ints tap[K];
  LCNET_UNROLL (size_t kx = 0; kx < K; ++kx) tap[kx] = load_ints(w + kx * L);
  LCNET_UNROLL (size_t x = 0; x < S * (T - 1) + K; ++x) {
    const Ints unit = flip(load_ints(in + x * L));
    LCNET_UNROLL (size_t kx = 0; kx < K; ++kx) {
      if (x < kx || (x - kx) % S || (x - kx) / S >= T) continue;
      add_dot(sum[(x - kx) / S], unit, tap[kx]);
      add_now(sum[(x - kx) / S]);
    }
  }
}

// What the sums of channel block `c / L` begin with.
template <size_t K>
LCNET_INLINE Ints int8_dwconv_first(const int32_t* start, size_t groups, const Unit* w, size_t c) {
  const auto weights = [&](size_t i) LCNET_INLINED { return load_ints(w + c * groups * K + i * Vec::L); };
  return begun(load_ints(start + c), groups * K, weights);
}

// The sums of T pixels of channel block `c / L`.
template <size_t K, size_t S, size_t T>
LCNET_INLINE void int8_dwconv_sums(const Unit* const* in, size_t groups, const Unit* w, Ints first, size_t x, size_t pitch,
                                   size_t c, Ints (&sum)[T]) {
  LCNET_UNROLL (size_t t = 0; t < T; ++t) sum[t] = first;
  for (size_t g = 0; g < groups; ++g)
    int8_dwconv_row<K, S, T>(one_pointer(in[g] + c * pitch + S * x * Vec::L), w + (c * groups + g * Vec::L) * K, sum);
}

template <size_t K, size_t S, size_t T, Activation A>
static void int8_dwconv_of(const Unit* const* in, size_t groups, const Unit* w, const int32_t* start, Sums sums, Coding coding,
                           Unit* out, size_t width, size_t pitch, size_t channels) {
  Code* to = reinterpret_cast<Code*>(out);
  for (size_t c = 0; c < channels; c += Vec::L) {
    const Ints first = int8_dwconv_first<K>(start, groups, w, c);
    for_tiles<T>(width, [&]<size_t N>(size_t x) LCNET_INLINED {
      Ints sum[N];
      int8_dwconv_sums<K, S, N>(in, groups, w, first, x, pitch, c, sum);
      const Requantize q = Requantize::at(sums, coding, c);
      store_pixels<N>(to + x * channels + c, channels, [&](size_t t) LCNET_INLINED { return Requantize::apply<A>(q, sum[t]); });
    });
  }
}

template <size_t K, size_t S, size_t T>
static void int8_dwconv(const Unit* const* in, size_t groups, const Unit* w, const int32_t* start, Sums sums, Coding coding,
                        Unit* out, size_t width, size_t pitch, size_t channels, Activation act) {
  for_activation(act, [&]<Activation A>() {
    int8_dwconv_of<K, S, T, A>(in, groups, w, start, sums, coding, out, width, pitch, channels);
  });
}

template <size_t K, size_t S, size_t T>
static void int8_dwconv_f32(const Unit* const* in, size_t groups, const Unit* w, const int32_t* start, Sums sums, float* out,
                            size_t width, size_t pitch, size_t channels, Activation act) {
  for (size_t c = 0; c < channels; c += Vec::L) {
    const Ints first = int8_dwconv_first<K>(start, groups, w, c);
    for_tiles<T>(width, [&]<size_t N>(size_t x) LCNET_INLINED {
      Ints sum[N];
      int8_dwconv_sums<K, S, N>(in, groups, w, first, x, pitch, c, sum);
      const Vec scale = load(sums.scale + c), bias = load(sums.bias + c);
      for_activation(act, [&]<Activation A>() LCNET_INLINED {
        LCNET_UNROLL (size_t t = 0; t < N; ++t) store(out + (x + t) * channels + c, activated<A>(sum[t], scale, bias));
      });
    });
  }
}

static void int8_code(const float* x, const float* gate, Coding coding, Unit* out, size_t pixels, size_t channels) {
  Code* to = reinterpret_cast<Code*>(out);
  for (size_t c = 0; c < channels; c += Vec::L) {
    const Vec inverse_scale = load(coding.inverse_scale + c), zero_point = load(coding.zero_point + c);
    const Vec gates = gate ? load(gate + c) : set(1.0f);
    for_tiles<4>(pixels, [&]<size_t N>(size_t p) LCNET_INLINED {
      store_pixels<N>(to + p * channels + c, channels, [&](size_t n) LCNET_INLINED {
        return code_of(mul(load(x + (p + n) * channels + c), gates), inverse_scale, zero_point);
      });
    });
  }
}

}  // namespace
