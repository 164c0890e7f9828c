// The int8 stem and the depthwise conv behind it for any vector width: pixels in the lanes, as in the float engine. Included
// after simd.h.
#pragma once

namespace {

using lcnet::kPlanes;
using lcnet::StemRow;

// Codes of up to G channels of a vector of pixels, or with `broadcast` of one pixel in all lanes.
template <Vec (*Load)(const float*)>
LCNET_INLINE Ints pixel_units(const float* x, size_t channel_stride, Coding coding, size_t channels) {
  Ints codes[G];
  LCNET_UNROLL (size_t g = 0; g < G; ++g) {
    codes[g] = no_ints();
    if (g < channels)
      codes[g] = code_of(Load(x + g * channel_stride), broadcast(coding.inverse_scale + g), broadcast(coding.zero_point + g));
  }
  return pack_units(codes);
}

// Two vectors of pixels, the columns apart by parity.
LCNET_INLINE void quantize_columns(const float* x, size_t channel_stride, Coding coding, size_t channels, Unit* odd,
                                   Unit* even) {
  Vec evens, odds;
  split(bits(pixel_units<load>(x, channel_stride, coding, channels)),
        bits(pixel_units<load>(x + Vec::L, channel_stride, coding, channels)), evens, odds);
  store_ints(odd, bits(odds));
  store_ints(even, bits(evens));
}

static void int8_quantize(const float* x, size_t channel_stride, Coding coding, Unit* out, size_t width, size_t half,
                          size_t in_chans) {
  constexpr size_t step = 2 * Vec::L;
  for (size_t c = 0; c < in_chans; c += G, out += 2 * half) {
    const Coding from{coding.inverse_scale + c, coding.zero_point + c};
    const float* row = x + c * channel_stride;
    const auto columns = [&](size_t i) LCNET_INLINED {
      quantize_columns(row + i, channel_stride, from, in_chans - c, out + i / 2 + 1, out + half + i / 2);
    };
    size_t i = 0;
    for (; i + step <= width; i += step) columns(i);
    if (i > 0 && i < width) columns((width - step) / 2 * 2), i = width / 2 * 2;  // some of them once more
    for (; i < width; ++i) {
      Unit units[Vec::L];
      store_ints(units, pixel_units<broadcast>(row + i, channel_stride, from, in_chans - c));
      out[i % 2 ? i / 2 + 1 : half + i / 2] = units[0];
    }
  }
}

// What the sums of N channels begin with.
template <size_t N>
LCNET_INLINE void int8_stem_first(const Unit* w, size_t planes, Ints (&first)[N]) {
  LCNET_UNROLL (size_t n = 0; n < N; ++n)
    first[n] = begun(no_ints(), 9 * planes, [&](size_t i) LCNET_INLINED { return broadcast_unit(w + i * kPlanes + n); });
}

// P vectors of pixels x N channels.
template <size_t P, size_t N>
LCNET_INLINE void int8_stem_sums(const Unit* const* in, StemRow at, size_t x, const Unit* w, size_t planes,
                                 const Ints (&first)[N], Ints (&sum)[N][P]) {
  constexpr size_t L = Vec::L;
  LCNET_UNROLL (size_t n = 0; n < N; ++n)
    LCNET_UNROLL (size_t p = 0; p < P; ++p) sum[n][p] = Ints::kFlipped ? first[n] : no_ints();
  for (size_t ky = 0; ky < 3; ++ky)
    for (size_t plane = 0; plane < planes; ++plane, w += 3 * kPlanes) {
      const Unit *left = one_pointer(in[ky] + plane * at.pitch + x), *center = one_pointer(left + at.center);
      const Unit* columns[] = {left, center, left + at.right};
      LCNET_UNROLL (size_t kx = 0; kx < 3; ++kx) {
        Ints pixels[P];
        LCNET_UNROLL (size_t p = 0; p < P; ++p) pixels[p] = flip(load_ints(columns[kx] + p * L));
        LCNET_UNROLL (size_t n = 0; n < N; ++n) {
          const Ints tap = broadcast_unit(w + kx * kPlanes + n);
          LCNET_UNROLL (size_t p = 0; p < P; ++p) {
            add_dot(sum[n][p], pixels[p], tap);
            add_now(sum[n][p]);
          }
        }
      }
    }
}

// The coefficients of one channel, whose pixels are in the lanes.
LCNET_INLINE Requantize requantize_plane(Sums sums, Coding coding, size_t c) {
  return {broadcast(sums.scale + c), broadcast(sums.bias + c), broadcast(coding.inverse_scale + c),
          broadcast(coding.zero_point + c)};
}

template <size_t P, size_t N, Activation A>
static void int8_stem_of(const Unit* const* in, StemRow at, const Unit* w, Sums sums, Coding coding, uint8_t* out, size_t width,
                         size_t plane, size_t in_chans, size_t channels) {
  constexpr size_t L = Vec::L;
  const size_t planes = (in_chans + G - 1) / G;
  for (size_t c = 0; c < channels; c += N) {
    const Unit* taps = w + c / kPlanes * 9 * planes * kPlanes + c % kPlanes;
    Ints first[N];
    int8_stem_first(taps, planes, first);
    for_tiles<P>((width + L - 1) / L, [&]<size_t M>(size_t v) LCNET_INLINED {
      Ints sum[N][M];
      int8_stem_sums(in, at, v * L, taps, planes, first, sum);
      LCNET_UNROLL (size_t n = 0; n < N; ++n) {
        const Requantize q = requantize_plane(sums, coding, c + n);
        store_tile<M, 1>(out + (c + n) * plane + v * L, 0,
                         [&](size_t m, size_t) LCNET_INLINED { return Requantize::apply<A>(q, sum[n][m]); });
      }
    });
  }
}

template <size_t P, size_t N>
static void int8_stem(const Unit* const* in, StemRow at, const Unit* w, Sums sums, Coding coding, uint8_t* out, size_t width,
                      size_t plane, size_t in_chans, size_t channels, Activation act) {
  for_activation(
      act, [&]<Activation A>() { int8_stem_of<P, N, A>(in, at, w, sums, coding, out, width, plane, in_chans, channels); });
}

static void int8_stem_f32(const Unit* const* in, StemRow at, const Unit* w, Sums sums, float* out, size_t width, size_t pitch,
                          size_t in_chans, size_t channels, Activation act) {
  constexpr size_t L = Vec::L;
  const size_t planes = (in_chans + G - 1) / G;
  for (size_t c = 0; c < pitch; ++c)
    for (size_t x = 0; x < width; x += L) {
      float values[L] = {};
      if (c < channels) {
        const Unit* taps = w + c / kPlanes * 9 * planes * kPlanes + c % kPlanes;
        Ints first[1], sum[1][1];
        int8_stem_first(taps, planes, first);
        int8_stem_sums(in, at, x, taps, planes, first, sum);
        for_activation(act, [&]<Activation A>() {
          store(values, activated<A>(sum[0][0], broadcast(sums.scale + c), broadcast(sums.bias + c)));
        });
      }
      for (size_t l = 0; l < L && x + l < width; ++l) out[(x + l) * pitch + c] = values[l];
    }
}

static void int8_interleave_planes(const uint8_t* const* rows, const Unit* zeros, Unit* out, size_t width, size_t plane,
                                   size_t channels) {
  constexpr size_t L = Vec::L;
  const size_t vectors = (width + L - 1) / L;
  for (size_t c = 0; c < channels; ++c, out += (vectors + 2) * L) {
    uint8_t zero_bytes[L];
    const uint8_t* from[G];
    size_t steps[G];
    for (size_t l = 0; l < L; ++l) zero_bytes[l] = static_cast<uint8_t>(zeros[c]);
    for (size_t g = 0; g < G; ++g) {
      from[g] = rows[g] ? rows[g] + c * plane : zero_bytes;
      steps[g] = rows[g] ? L : 0;
    }
    interleave_block(from, steps, out + L, vectors);
    out[L - 1] = out[L + width] = zeros[c];
  }
}

// T vectors of pixels of G channels: enough sums in flight to hide the latencies between a dot product and its code.
template <size_t T>
LCNET_INLINE void int8_dwconv_planes_tile(const Unit* const* in, size_t groups, const Unit* w, size_t offset, size_t pitch,
                                          const Ints (&first)[G], Ints (&sum)[T][G]) {
  constexpr size_t L = Vec::L;
  LCNET_UNROLL (size_t t = 0; t < T; ++t)
    LCNET_UNROLL (size_t g = 0; g < G; ++g) sum[t][g] = first[g];
  for (size_t row = 0; row < groups; ++row)
    LCNET_UNROLL (size_t g = 0; g < G; ++g) {
      const Unit *pixels = one_pointer(in[row] + offset + g * pitch), *taps = one_pointer(w + (g * groups + row) * 3);
      const Ints tap[] = {broadcast_unit(taps), broadcast_unit(taps + 1), broadcast_unit(taps + 2)};
      Vec before = bits(flip(load_ints(pixels - L))), here = bits(flip(load_ints(pixels)));
      LCNET_UNROLL (size_t t = 0; t < T; ++t, pixels += L) {
        const Vec behind = bits(flip(load_ints(pixels + L)));
        const float* at = reinterpret_cast<const float*>(pixels);
        const Vec neighbors[] = {one_left(at, before, here), here, one_right(at, here, behind)};
        LCNET_UNROLL (size_t kx = 0; kx < 3; ++kx) {
          add_dot(sum[t][g], bits(neighbors[kx]), tap[kx]);
          add_now(sum[t][g]);
        }
        before = here, here = behind;
      }
    }
}

template <size_t T, Activation A>
static void int8_dwconv_planes_of(const Unit* const* in, size_t groups, const Unit* w, const int32_t* start, Sums sums,
                                  Coding coding, Unit* out, size_t width, size_t channels) {
  constexpr size_t L = Vec::L;
  const size_t vectors = (width + L - 1) / L, pitch = (vectors + 2) * L;
  for (size_t c = 0; c < channels; c += G, out += vectors * L) {
    Ints first[G];
    LCNET_UNROLL (size_t g = 0; g < G; ++g) {
      const auto weights = [&](size_t i) LCNET_INLINED { return broadcast_unit(w + (c + g) * groups * 3 + i); };
      first[g] = begun(broadcast_unit(start + c + g), groups * 3, weights);
    }
    for_tiles<T>(vectors, [&]<size_t N>(size_t v) LCNET_INLINED {
      Ints sum[N][G];
      int8_dwconv_planes_tile(in, groups, w + c * groups * 3, c * pitch + (v + 1) * L, pitch, first, sum);
      LCNET_UNROLL (size_t g = 0; g < G; ++g) {
        const Requantize q = requantize_plane(sums, coding, c + g);
        LCNET_UNROLL (size_t n = 0; n < N; ++n) sum[n][g] = Requantize::apply<A>(q, sum[n][g]);
      }
      LCNET_UNROLL (size_t n = 0; n < N; ++n) store_ints(out + (v + n) * L, pack_units(sum[n]));
    });
  }
}

template <size_t T>
static void int8_dwconv_planes(const Unit* const* in, size_t groups, const Unit* w, const int32_t* start, Sums sums,
                               Coding coding, Unit* out, size_t width, size_t channels, Activation act) {
  for_activation(
      act, [&]<Activation A>() { int8_dwconv_planes_of<T, A>(in, groups, w, start, sums, coding, out, width, channels); });
}

}  // namespace
