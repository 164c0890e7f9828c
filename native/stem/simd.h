// The stem conv for any vector width. Included after simd/<isa>.h and simd/common.h.
//
// The tile is T output pixels x V blocks of channels. Pixels are broadcast, channels are in the lanes. Each pixel is broadcast
// once: every other one belongs to two outputs.
#pragma once

namespace {

template <size_t T, size_t V>
LCNET_INLINE void stem_tile(const float* const* in, size_t x, const float* w, const float* bias, float* out, size_t pitch,
                            size_t in_chans, size_t ky0, size_t ky1) {
  constexpr size_t L = Vec::L;
  const size_t block = 9 * in_chans * L;
  Vec acc[V][T];
  LCNET_UNROLL for (size_t v = 0; v < V; ++v) {
    const Vec b = load(bias + v * L);
    LCNET_UNROLL for (size_t t = 0; t < T; ++t) acc[v][t] = b;
  }
  for (size_t row = ky0 * in_chans; row < ky1 * in_chans; ++row) {
    const float* pixel = in[row] + 2 * x;
    Vec tap[V][3];
    LCNET_UNROLL for (size_t v = 0; v < V; ++v)
      LCNET_UNROLL for (size_t kx = 0; kx < 3; ++kx) tap[v][kx] = load(w + v * block + (row * 3 + kx) * L);
    LCNET_UNROLL for (size_t i = 0; i < 2 * T + 1; ++i) {
      const Vec p = broadcast(pixel + i);
      LCNET_UNROLL for (size_t kx = 0; kx < 3; ++kx) {
        if (i < kx || (i - kx) % 2 || (i - kx) / 2 >= T) continue;
        LCNET_UNROLL for (size_t v = 0; v < V; ++v) acc[v][(i - kx) / 2] = fma(p, tap[v][kx], acc[v][(i - kx) / 2]);
      }
    }
  }
  LCNET_UNROLL for (size_t v = 0; v < V; ++v)
    LCNET_UNROLL for (size_t t = 0; t < T; ++t) store(out + (v * pitch + x + t) * L, hswish6(acc[v][t]));
}

// T1 pixels at a time where one block of channels is left, T2 where there are two.
template <size_t T1, size_t T2>
static void f32_stem(const float* const* in, const float* w, const float* bias, float* out, size_t width, size_t pitch,
                     size_t in_chans, size_t channels, size_t ky0, size_t ky1) {
  constexpr size_t L = Vec::L;
  const size_t blocks = channels / L, taps = 9 * in_chans;
  size_t block = 0;
  for (; block + 2 <= blocks; block += 2)
    for_tiles<T2>(width, [&]<size_t N>(size_t x) {
      stem_tile<N, 2>(in, x, w + block * taps * L, bias + block * L, out + block * pitch * L, pitch, in_chans, ky0, ky1);
    });
  for (; block < blocks; ++block)
    for_tiles<T1>(width, [&]<size_t N>(size_t x) {
      stem_tile<N, 1>(in, x, w + block * taps * L, bias + block * L, out + block * pitch * L, pitch, in_chans, ky0, ky1);
    });
}

}  // namespace
