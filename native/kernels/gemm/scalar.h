// Pointwise conv and matrix-vector product in plain loops: the specification, for any lanes and panel width.
#pragma once

#include "../activation.h"
#include "../bf16.h"

namespace lcnet {

// N columns of one panel for one pixel: w [depth][N]; the pixel's values are `step` apart.
template <size_t N>
inline void panel__scalar(const float* a, size_t step, const float* w, const float* bias, float* acc, size_t depth) {
  for (size_t n = 0; n < N; ++n) acc[n] = bias[n];
  for (size_t k = 0; k < depth; ++k)
    for (size_t n = 0; n < N; ++n) acc[n] += a[k * step] * w[k * N + n];
}

template <size_t N>
inline void panel__scalar(const BF16* a, size_t step, const BF16* w, const float* bias, float* acc, size_t depth) {
  for (size_t n = 0; n < N; ++n) acc[n] = bias[n];
  for (size_t k = 0; k < depth; k += 2)
    for (size_t n = 0; n < N; ++n) {
      const BF16* pair = w + (k / 2 * N + n) * 2;
      acc[n] += to_float(a[k * step]) * to_float(pair[0]) + to_float(a[(k + 1) * step]) * to_float(pair[1]);
    }
}

// Pixels are `pixel_step` apart.
template <size_t L, size_t P, class In, class Out>
void gemm_steps__scalar(const In* a, size_t pixel_step, size_t step, const In* w, const float* bias, Out* const* out,
                        size_t pixels, size_t depth, size_t channels, size_t block_stride, Activation act) {
  const size_t blocks = channels / L;
  for (size_t block = 0; block < blocks;) {
    const size_t vectors = blocks - block < P ? 1 : P;  // leftover blocks form panels of one vector
    for (size_t p = 0; p < pixels; ++p) {
      float acc[P * L];
      const In* panel = w + block * L * depth;
      if (vectors == P)
        panel__scalar<P * L>(a + p * pixel_step, step, panel, bias + block * L, acc, depth);
      else
        panel__scalar<L>(a + p * pixel_step, step, panel, bias + block * L, acc, depth);
      for (size_t v = 0; v < vectors; ++v)
        for (size_t l = 0; l < L; ++l) put(out[p] + (block + v) * block_stride + l, activate(acc[v * L + l], act));
    }
    block += vectors;
  }
}

template <size_t L, size_t P, class In, class Out = float>
void gemm__scalar(const In* a, const In* w, const float* bias, Out* const* out, size_t pixels, size_t depth, size_t channels,
                  size_t block_stride, Activation act) {
  gemm_steps__scalar<L, P>(a, depth, 1, w, bias, out, pixels, depth, channels, block_stride, act);
}

template <size_t L, size_t P>
void gemm_planes__scalar(const float* a, size_t pitch, const float* w, const float* bias, float* const* out, size_t pixels,
                         size_t depth, size_t channels, size_t block_stride, Activation act) {
  gemm_steps__scalar<L, P>(a, 1, pitch, w, bias, out, pixels, depth, channels, block_stride, act);
}

template <size_t L, size_t P, class In>
void gemv__scalar(const In* x, const In* w, const float* bias, float* out, size_t depth, size_t channels, Activation act) {
  gemm__scalar<L, P>(x, w, bias, &out, 1, depth, channels, L, act);
}

}  // namespace lcnet
