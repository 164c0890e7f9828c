// Pointwise conv and matrix-vector product for any vector width. Included after simd/<isa>.h and simd/common.h.
//
// The tile is R pixels x V vectors of channels: R * V accumulators that live in registers, each k costing V loads of weights
// and R broadcasts for R * V multiply-adds. Bias is the accumulators' start. `ahead`: weights that will be wanted, `rate` floats
// of them for each k.
#pragma once

namespace {

constexpr size_t kPageFloats = 1024;

// Where unit k of pixel r of the left matrix is: dense, a pixel's units side by side, or in planes of pixels.
struct DenseRows {
  size_t depth;
  LCNET_INLINE size_t at(DenseRows s, size_t r, size_t k) { return r * s.depth + k; }
};
struct PlaneRows {
  size_t pitch;
  LCNET_INLINE size_t at(PlaneRows s, size_t r, size_t k) { return k * s.pitch + r; }
};

// How a unit of the depth is multiplied: a float, or where the ISA has it a pair of bfloat16 that is as wide as one.
struct F32Dot {
  LCNET_INLINE Vec madd(Vec x, Vec w, Vec acc) { return multiply_add(x, w, acc); }
};

}  // namespace

#include "by_lane.h"

namespace {

template <size_t R, size_t V, Activation A, class Dot, class Rows, class Out>
LCNET_INLINE void gemm_tile(const float* a, Rows rows, const float* w, const float* ahead, size_t rate, const float* bias,
                            Out* const* out, size_t depth, size_t block_stride) {
  constexpr size_t L = Vec::L;
  Vec acc[R][V];
  LCNET_UNROLL (size_t v = 0; v < V; ++v) {
    const Vec b = load(bias + v * L);
    LCNET_UNROLL (size_t r = 0; r < R; ++r) acc[r][v] = b;
  }
  size_t k = 0;
  if constexpr (Vec::kByLane) k = gemm_by_lane(a, rows, w, depth, acc);
  for (; k < depth; ++k) {
    Vec b[V];
    LCNET_UNROLL (size_t v = 0; v < V; ++v) {
      b[v] = load(w + (k * V + v) * L);
      prefetch(ahead + k * rate + v * L);
    }
    LCNET_UNROLL (size_t r = 0; r < R; ++r) {
      const Vec x = broadcast(a + Rows::at(rows, r, k));
      LCNET_UNROLL (size_t v = 0; v < V; ++v) acc[r][v] = Dot::madd(x, b[v], acc[r][v]);
    }
  }
  LCNET_UNROLL (size_t r = 0; r < R; ++r)
    LCNET_UNROLL (size_t v = 0; v < V; ++v) store(out[r] + v * block_stride, activate<A>(acc[r][v]));
}

// Weights of one panel stay near while all pixels go over them, and each tile of pixels fetches its part of the next panel, which
// was last used an image ago. Pixels that are whole pages apart share a set of the first-level cache, whose ways are eight.
template <size_t R, size_t V, Activation A, class Dot, class Rows, class Out>
static void gemm_panels(const float* a, Rows rows, const float* w, const float* bias, Out* const* out, size_t pixels,
                        size_t depth, size_t channels, size_t block_stride) {
  constexpr size_t L = Vec::L;
  const size_t blocks = channels / L, full = blocks / V * V, step = Rows::at(rows, 1, 0) - Rows::at(rows, 0, 0);
  const size_t most = step % kPageFloats ? R : (R < 7 ? R : 7);
  const auto panel = [&]<size_t W>(size_t block) {
    const size_t offset = block * block_stride;
    for_tiles<R>(
        pixels,
        [&]<size_t N>(size_t p) {
          Out* at[N];
          for (size_t r = 0; r < N; ++r) at[r] = out[p + r] + offset;
          const float *panel = w + block * L * depth, *next = panel + (block + W < blocks ? W * L * depth : 0);
          const size_t rate = (N * W * L + pixels - 1) / pixels;
          gemm_tile<N, W, A, Dot>(a + Rows::at(rows, p, 0), rows, panel, next + p * W * L * depth / pixels, rate,
                                  bias + block * L, at, depth, block_stride);
        },
        most);
  };
  for (size_t block = 0; block < full; block += V) panel.template operator()<V>(block);
  for (size_t block = full; block < blocks; ++block) panel.template operator()<1>(block);
}

template <size_t R, size_t V, class Dot, class Out = float>
static void gemm(const float* a, const float* w, const float* bias, Out* const* out, size_t pixels, size_t depth,
                 size_t channels, size_t block_stride, Activation act) {
  const auto panels = [&]<Activation A>() {
    gemm_panels<R, V, A, Dot>(a, DenseRows{depth}, w, bias, out, pixels, depth, channels, block_stride);
  };
  if (act == Activation::none)
    panels.template operator()<Activation::none>();
  else
    for_activation(act, panels);
}

template <size_t R, size_t V>
static void gemm_planes(const float* a, size_t pitch, const float* w, const float* bias, float* const* out, size_t pixels,
                        size_t depth, size_t channels, size_t block_stride, Activation act) {
  for_activation(act, [&]<Activation A>() {
    gemm_panels<R, V, A, F32Dot>(a, PlaneRows{pitch}, w, bias, out, pixels, depth, channels, block_stride);
  });
}

// P panels of V vectors side by side, so that the P * V accumulators hide the latency of the multiply-add. The panels are
// `stride` floats apart.
template <size_t P, size_t V, Activation A, class Dot>
LCNET_INLINE void gemv_tile(const float* x, const float* w, size_t stride, const float* bias, float* out, size_t depth) {
  constexpr size_t L = Vec::L;
  Vec acc[P][V];
  LCNET_UNROLL (size_t p = 0; p < P; ++p)
    LCNET_UNROLL (size_t v = 0; v < V; ++v) acc[p][v] = load(bias + (p * V + v) * L);
  size_t k = 0;
  if constexpr (Vec::kByLane) k = gemv_by_lane(x, w, stride, depth, acc);
  for (; k < depth; ++k) {
    const Vec a = broadcast(x + k);
    LCNET_UNROLL (size_t p = 0; p < P; ++p)
      LCNET_UNROLL (size_t v = 0; v < V; ++v) acc[p][v] = Dot::madd(a, load(w + p * stride + (k * V + v) * L), acc[p][v]);
  }
  LCNET_UNROLL (size_t p = 0; p < P; ++p)
    LCNET_UNROLL (size_t v = 0; v < V; ++v) store(out + (p * V + v) * L, activate<A>(acc[p][v]));
}

template <size_t P, size_t V, Activation A, class Dot>
static void gemv_panels(const float* x, const float* w, const float* bias, float* out, size_t depth, size_t channels) {
  constexpr size_t L = Vec::L;
  const size_t blocks = channels / L, panels = blocks / V, full = panels * V;
  for_tiles<P>(panels, [&]<size_t N>(size_t p) {
    const size_t at = p * V * L;
    gemv_tile<N, V, A, Dot>(x, w + at * depth, V * L * depth, bias + at, out + at, depth);
  });
  for (size_t at = full * L; at < channels; at += L) gemv_tile<1, 1, A, Dot>(x, w + at * depth, 0, bias + at, out + at, depth);
}

template <size_t P, size_t V, class Dot>
static void gemv(const float* x, const float* w, const float* bias, float* out, size_t depth, size_t channels, Activation act) {
  switch (act) {
    case Activation::relu: return gemv_panels<P, V, Activation::relu, Dot>(x, w, bias, out, depth, channels);
    case Activation::hswish6: return gemv_panels<P, V, Activation::hswish6, Dot>(x, w, bias, out, depth, channels);
    case Activation::hsigmoid6: return gemv_panels<P, V, Activation::hsigmoid6, Dot>(x, w, bias, out, depth, channels);
    case Activation::sigmoid: return gemv_panels<P, V, Activation::sigmoid, Dot>(x, w, bias, out, depth, channels);
    case Activation::none: return gemv_panels<P, V, Activation::none, Dot>(x, w, bias, out, depth, channels);
  }
}

}  // namespace
