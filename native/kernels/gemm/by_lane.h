// Pointwise conv and matrix-vector product where a multiply-add takes one lane of a register for all lanes of another: four units
// of the depth with one load a pixel in the place of four broadcasts. Included by gemm/simd.h.
#pragma once

namespace {

// One unit of the depth, whose weights begin at w; it is in lane `Lane` of each pixel's vector.
template <int Lane, size_t R, size_t V>
LCNET_INLINE void add_lane(const Vec (&x)[R], const float* w, Vec (&acc)[R][V]) {
  LCNET_UNROLL (size_t v = 0; v < V; ++v) {
    const Vec b = load(w + v * Vec::L);
    LCNET_UNROLL (size_t r = 0; r < R; ++r) accumulate_lane<Lane>(acc[r][v], b, x[r]);
  }
}

template <size_t R, size_t V>
LCNET_INLINE void add_four(const float* a, DenseRows rows, const float* w, Vec (&acc)[R][V]) {
  Vec x[R];
  LCNET_UNROLL (size_t r = 0; r < R; ++r) x[r] = load(a + r * rows.depth);
  add_lane<0>(x, w, acc);
  add_lane<1>(x, w + V * 4, acc);
  add_lane<2>(x, w + V * 8, acc);
  add_lane<3>(x, w + V * 12, acc);
}

// One unit of pixels that lie side by side; beyond the last of them nothing is read.
template <size_t R, size_t V>
LCNET_INLINE void add_pixels(const float* a, const float* w, Vec (&acc)[R][V]) {
  Vec b[V];
  LCNET_UNROLL (size_t v = 0; v < V; ++v) b[v] = load(w + v * Vec::L);
  LCNET_UNROLL (size_t r = 0; r + 4 <= R; r += 4) {
    const Vec x = load(a + r);
    LCNET_UNROLL (size_t v = 0; v < V; ++v) {
      accumulate_lane<0>(acc[r][v], b[v], x);
      accumulate_lane<1>(acc[r + 1][v], b[v], x);
      accumulate_lane<2>(acc[r + 2][v], b[v], x);
      accumulate_lane<3>(acc[r + 3][v], b[v], x);
    }
  }
  LCNET_UNROLL (size_t r = R / 4 * 4; r < R; ++r) {
    const Vec x = broadcast(a + r);
    LCNET_UNROLL (size_t v = 0; v < V; ++v) accumulate(acc[r][v], b[v], x);
  }
}

template <size_t R, size_t V>
LCNET_INLINE void add_four(const float* a, PlaneRows rows, const float* w, Vec (&acc)[R][V]) {
  LCNET_UNROLL (size_t k = 0; k < 4; ++k) add_pixels(a + k * rows.pitch, w + k * V * 4, acc);
}

// The units of the depth by fours; returns how many are done.
template <size_t R, size_t V, class Rows>
LCNET_INLINE size_t gemm_by_lane(const float* a, Rows rows, const float* w, size_t depth, Vec (&acc)[R][V]) {
  static_assert(!Vec::kByLane || Vec::L == 4);
  const float* const end = w + depth / 4 * V * 16;
  for (; w < end; w += V * 16) {
    add_four(a, rows, w, acc);
    a = one_pointer(a + Rows::at(rows, 0, 4));
  }
  return depth / 4 * 4;
}

template <int Lane, size_t P, size_t V>
LCNET_INLINE void gemv_lane(Vec x, const float* w, size_t stride, Vec (&acc)[P][V]) {
  LCNET_UNROLL (size_t p = 0; p < P; ++p)
    LCNET_UNROLL (size_t v = 0; v < V; ++v) accumulate_lane<Lane>(acc[p][v], load(w + p * stride + (Lane * V + v) * 4), x);
}

// The same of one pixel.
template <size_t P, size_t V>
LCNET_INLINE size_t gemv_by_lane(const float* x, const float* w, size_t stride, size_t depth, Vec (&acc)[P][V]) {
  size_t k = 0;
  for (; k + 4 <= depth; k += 4, w += V * 16) {
    const Vec four = load(x + k);
    gemv_lane<0>(four, w, stride, acc);
    gemv_lane<1>(four, w, stride, acc);
    gemv_lane<2>(four, w, stride, acc);
    gemv_lane<3>(four, w, stride, acc);
  }
  return k;
}

}  // namespace
