// What one row adds to the gradient of a depthwise conv's weights, for any vector width. Included after simd/<isa>.h and
// simd/common.h.
//
// The K sums of B channel blocks are in registers for the whole row: 2 blocks of a 5x5 are 10 of them, enough to hide the
// latency of the multiply-add.
#pragma once

namespace {

template <size_t K, size_t S, size_t B>
LCNET_INLINE void dwgrad_blocks(const float* in, const float* grad, float* sums, size_t width, size_t channels) {
  constexpr size_t L = Vec::L;
  Vec acc[K][B];
  LCNET_UNROLL (size_t kx = 0; kx < K; ++kx)
    LCNET_UNROLL (size_t b = 0; b < B; ++b) acc[kx][b] = load(sums + kx * channels + b * L);
  for (size_t x = 0; x < width; ++x) {
    Vec g[B];
    LCNET_UNROLL (size_t b = 0; b < B; ++b) g[b] = load(grad + x * channels + b * L);
    LCNET_UNROLL (size_t kx = 0; kx < K; ++kx)
      LCNET_UNROLL (size_t b = 0; b < B; ++b)
        acc[kx][b] = multiply_add(load(in + (S * x + kx) * channels + b * L), g[b], acc[kx][b]);
  }
  LCNET_UNROLL (size_t kx = 0; kx < K; ++kx)
    LCNET_UNROLL (size_t b = 0; b < B; ++b) store(sums + kx * channels + b * L, acc[kx][b]);
}

template <size_t K, size_t S>
static void dwgrad(const float* in, const float* grad, float* sums, size_t width, size_t channels) {
  constexpr size_t L = Vec::L;
  size_t c = 0;
  for (; c + 2 * L <= channels; c += 2 * L) dwgrad_blocks<K, S, 2>(in + c, grad + c, sums + c, width, channels);
  if (c < channels) dwgrad_blocks<K, S, 1>(in + c, grad + c, sums + c, width, channels);
}

}  // namespace
