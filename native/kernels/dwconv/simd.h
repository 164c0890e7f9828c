// Depthwise conv for any vector width. Included after simd/<isa>.h and simd/common.h.
//
// The tile is T output pixels of one channel block. The K weights of a kernel row are in registers, and with stride 1 each
// input pixel is loaded once and used for up to K outputs: T + K - 1 loads for T * K multiply-adds.
#pragma once

namespace {

template <size_t K, size_t S, size_t T>
LCNET_INLINE void dwconv_row(const float* in, const float* w, Vec (&acc)[T]) {
  constexpr size_t L = Vec::L;
  Vec tap[K];
  LCNET_UNROLL (size_t kx = 0; kx < K; ++kx) tap[kx] = load(w + kx * L);
  LCNET_UNROLL (size_t x = 0; x < S * (T - 1) + K; ++x) {
    const Vec pixel = load(in + x * L);
    LCNET_UNROLL (size_t kx = 0; kx < K; ++kx) {
      if (x >= kx && (x - kx) % S == 0 && (x - kx) / S < T) accumulate(acc[(x - kx) / S], pixel, tap[kx]);
    }
  }
}

template <size_t K, size_t S, size_t T, Activation A, class Out>
LCNET_INLINE void dwconv_tile(const float* const* in, size_t offset, const float* w, const float* bias, Out* out,
                              size_t channels, size_t ky0, size_t ky1) {
  Vec acc[T];
  const Vec b = load(bias);
  LCNET_UNROLL (size_t t = 0; t < T; ++t) acc[t] = b;
  for (size_t ky = ky0; ky < ky1; ++ky) dwconv_row<K, S, T>(one_pointer(in[ky] + offset), w + ky * K * Vec::L, acc);
  LCNET_UNROLL (size_t t = 0; t < T; ++t) store(out + t * channels, activate<A>(acc[t]));
}

template <size_t K, size_t S, size_t T, Activation A, class Out>
static void dwconv_row_of(const float* const* in, const float* w, const float* bias, Out* out, size_t width, size_t in_pitch,
                          size_t channels, size_t ky0, size_t ky1) {
  constexpr size_t L = Vec::L;
  for (size_t block = 0; block < channels / L; ++block)
    for_tiles<T>(width, [&]<size_t N>(size_t x) {
      dwconv_tile<K, S, N, A, Out>(in, (block * in_pitch + S * x) * L, w + block * K * K * L, bias + block * L,
                                   out + x * channels + block * L, channels, ky0, ky1);
    });
}

template <size_t K, size_t S, size_t T, class Out>
static void dwconv(const float* const* in, const float* w, const float* bias, Out* out, size_t width, size_t in_pitch,
                   size_t channels, size_t ky0, size_t ky1, Activation act) {
  for_activation(
      act, [&]<Activation A>() { dwconv_row_of<K, S, T, A, Out>(in, w, bias, out, width, in_pitch, channels, ky0, ky1); });
}

// Pixels in the lanes: behind a stem of fewer channels than lanes.
template <size_t T, Activation A>
LCNET_INLINE void dwconv_planes_tile(const float* const* in, size_t offset, const float* w, Vec bias, float* out, size_t ky0,
                                     size_t ky1) {
  constexpr size_t L = Vec::L;
  Vec acc[T];
  LCNET_UNROLL (size_t t = 0; t < T; ++t) acc[t] = bias;
  for (size_t ky = ky0; ky < ky1; ++ky) {
    const float* row = one_pointer(in[ky] + offset);
    const Vec tap[] = {broadcast(w + ky * 3), broadcast(w + ky * 3 + 1), broadcast(w + ky * 3 + 2)};
    Vec before = load(row - L), here = load(row);
    LCNET_UNROLL (size_t t = 0; t < T; ++t, row += L) {
      const Vec behind = load(row + L);
      accumulate(acc[t], one_left(row, before, here), tap[0]);
      accumulate(acc[t], here, tap[1]);
      accumulate(acc[t], one_right(row, here, behind), tap[2]);
      before = here, here = behind;
    }
  }
  LCNET_UNROLL (size_t t = 0; t < T; ++t) store(out + t * L, activate<A>(acc[t]));
}

template <size_t T, Activation A>
static void dwconv_planes_of(const float* const* in, const float* w, const float* bias, float* out, size_t width,
                             size_t in_pitch, size_t pitch, size_t channels, size_t ky0, size_t ky1) {
  constexpr size_t L = Vec::L;
  const size_t vectors = (width + L - 1) / L;
  for (size_t c = 0; c < channels; ++c) {
    const Vec b = broadcast(bias + c);
    for_tiles<T>(vectors, [&]<size_t N>(size_t v) {
      dwconv_planes_tile<N, A>(in, c * in_pitch + v * L, w + c * 9, b, out + c * pitch + v * L, ky0, ky1);
    });
  }
}

template <size_t T>
static void dwconv_planes(const float* const* in, const float* w, const float* bias, float* out, size_t width, size_t in_pitch,
                          size_t pitch, size_t channels, size_t ky0, size_t ky1, Activation act) {
  for_activation(act,
                 [&]<Activation A>() { dwconv_planes_of<T, A>(in, w, bias, out, width, in_pitch, pitch, channels, ky0, ky1); });
}

}  // namespace
