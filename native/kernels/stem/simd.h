// The stem for any vector width. Included after simd/<isa>.h and simd/common.h.
//
// Pixels are in the lanes: timm's smallest stems have 8 channels, half a vector of AVX-512. The tile is P vectors of pixels x
// N channels: each tap costs P loads of pixels and N broadcasts of weights for P * N multiply-adds.
#pragma once

namespace {

using lcnet::kPlanes;
using lcnet::StemRow;

static void f32_split(const float* in, float* out, size_t width, size_t half) {
  constexpr size_t L = Vec::L;
  size_t i = 0;
  for (; 2 * (i + L) <= width; i += L) {
    Vec even, odd;
    split(load(in + 2 * i), load(in + 2 * i + L), even, odd);
    store(out + i + 1, odd);
    store(out + half + i, even);
  }
  for (size_t x = 2 * i; x < width; ++x) out[x % 2 ? x / 2 + 1 : half + x / 2] = in[x];
}

// One tap of P vectors of pixels and N channels, where multiply-adds take a lane of a register for all.
template <size_t P, size_t N>
LCNET_INLINE void stem_by_lane(const Vec (&pixels)[P], const float* taps, Vec (&acc)[N][P]) {
  static_assert(!Vec::kByLane || (Vec::L == 4 && N % 4 == 0));
  LCNET_UNROLL (size_t n = 0; n < N; n += 4) {
    const Vec tap = load(taps + n);
    LCNET_UNROLL (size_t p = 0; p < P; ++p) {
      accumulate_lane<0>(acc[n][p], pixels[p], tap);
      accumulate_lane<1>(acc[n + 1][p], pixels[p], tap);
      accumulate_lane<2>(acc[n + 2][p], pixels[p], tap);
      accumulate_lane<3>(acc[n + 3][p], pixels[p], tap);
    }
  }
}

template <size_t P, size_t N, Activation A>
LCNET_INLINE void stem_tile(const float* const* in, StemRow at, size_t x, const float* w, const float* bias, float* out,
                            size_t pitch, size_t in_chans, size_t ky0, size_t ky1) {
  constexpr size_t L = Vec::L;
  Vec acc[N][P];
  LCNET_UNROLL (size_t n = 0; n < N; ++n)
    LCNET_UNROLL (size_t p = 0; p < P; ++p) acc[n][p] = broadcast(bias + n);
  for (size_t row = ky0 * in_chans; row < ky1 * in_chans; ++row) {
    const float *left = one_pointer(in[row] + x), *center = one_pointer(left + at.center),
                *taps = one_pointer(w + row * 3 * kPlanes);
    const float* columns[] = {left, center, left + at.right};
    LCNET_UNROLL (size_t kx = 0; kx < 3; ++kx) {
      Vec pixels[P];
      LCNET_UNROLL (size_t p = 0; p < P; ++p) pixels[p] = load(columns[kx] + p * L);
      if constexpr (Vec::kByLane)
        stem_by_lane(pixels, taps + kx * kPlanes, acc);
      else
        LCNET_UNROLL (size_t n = 0; n < N; ++n) {
          const Vec tap = broadcast(taps + kx * kPlanes + n);
          LCNET_UNROLL (size_t p = 0; p < P; ++p) accumulate(acc[n][p], pixels[p], tap);
        }
    }
  }
  LCNET_UNROLL (size_t n = 0; n < N; ++n)
    LCNET_UNROLL (size_t p = 0; p < P; ++p) store(out + n * pitch + x + p * L, activate<A>(acc[n][p]));
}

template <size_t P, size_t N, Activation A>
static void stem_planes(const float* const* in, StemRow at, const float* w, const float* bias, float* out, size_t width,
                        size_t pitch, size_t in_chans, size_t channels, size_t ky0, size_t ky1) {
  static_assert(kPlanes % N == 0);
  constexpr size_t L = Vec::L;
  const size_t vectors = (width + L - 1) / L;
  for (size_t c = 0; c < channels; c += N) {
    const float* taps = w + c / kPlanes * 9 * in_chans * kPlanes + c % kPlanes;
    for_tiles<P>(vectors, [&]<size_t M>(size_t v) {
      stem_tile<M, N, A>(in, at, v * L, taps, bias + c, out + c * pitch, pitch, in_chans, ky0, ky1);
    });
    for (size_t n = c; n < c + N; ++n)
      for (size_t x = width; x < vectors * L; ++x) out[n * pitch + x] = 0.0f;
  }
}

template <size_t P, size_t N>
static void f32_stem(const float* const* in, StemRow at, const float* w, const float* bias, float* out, size_t width,
                     size_t pitch, size_t in_chans, size_t channels, size_t ky0, size_t ky1, Activation act) {
  for_activation(
      act, [&]<Activation A>() { stem_planes<P, N, A>(in, at, w, bias, out, width, pitch, in_chans, channels, ky0, ky1); });
}

}  // namespace
