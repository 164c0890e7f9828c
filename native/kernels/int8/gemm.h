// The pointwise int8 kernels for any vector width. Included after simd.h.
//
// The tile is R pixels x V vectors of channels, as in gemm/simd.h, with units in the place of floats.
#pragma once

namespace {

// The units of the depth by fours where a dot product takes a lane of a register for all; returns how many are done.
template <int Lane, size_t R, size_t V>
LCNET_INLINE void int8_add_lane(const Ints (&x)[R], const int8_t* w, Ints (&sum)[R][V]) {
  LCNET_UNROLL (size_t v = 0; v < V; ++v) {
    const Ints b = load_weights(w + (Lane * V + v) * Vec::L * G);
    LCNET_UNROLL (size_t r = 0; r < R; ++r) add_dot_lane<Lane>(sum[r][v], x[r], b);
  }
}
template <size_t R, size_t V>
LCNET_INLINE size_t int8_gemm_by_lane(const Unit* a, DenseRows rows, const int8_t* w, size_t units, Ints (&sum)[R][V]) {
  size_t k = 0;
  for (; k + 4 <= units; k += 4, w += 4 * V * Vec::L * G) {
    Ints x[R];
    LCNET_UNROLL (size_t r = 0; r < R; ++r) x[r] = flip(load_ints(a + DenseRows::at(rows, r, k)));
    int8_add_lane<0>(x, w, sum);
    int8_add_lane<1>(x, w, sum);
    int8_add_lane<2>(x, w, sum);
    int8_add_lane<3>(x, w, sum);
  }
  return k;
}
template <size_t R, size_t V>
LCNET_INLINE size_t int8_gemm_by_lane(const Unit*, PlaneRows, const int8_t*, size_t, Ints (&)[R][V]) {
  return 0;
}

// What the sums of a panel's V vectors begin with.
template <size_t V>
struct Starts {
  const int32_t* at;
  int32_t made[Ints::kFlipped ? V * Vec::L : 1];

  LCNET_INLINE void make(Starts& s, const int32_t* start, const int8_t* w, size_t units) {
    s.at = start;
    if constexpr (Ints::kFlipped) {
      s.at = s.made;
      LCNET_UNROLL (size_t v = 0; v < V; ++v) {
        const auto weights = [&](size_t k) LCNET_INLINED { return load_weights(w + (k * V + v) * Vec::L * G); };
        store_ints(s.made + v * Vec::L, begun(load_ints(start + v * Vec::L), units, weights));
      }
    }
  }
};

template <size_t R, size_t V, class Rows>
LCNET_INLINE void int8_gemm_sums(const Unit* a, Rows rows, const int8_t* w, const int32_t* start, size_t units,
                                 Ints (&sum)[R][V]) {
  constexpr size_t L = Vec::L;
  LCNET_UNROLL (size_t v = 0; v < V; ++v) {
    const Ints first = load_ints(start + v * L);
    LCNET_UNROLL (size_t r = 0; r < R; ++r) sum[r][v] = first;
  }
  size_t k = 0;
  if constexpr (Ints::kByLane) k = int8_gemm_by_lane(a, rows, w, units, sum);
  for (; k < units; ++k) {
    Ints b[V];
    LCNET_UNROLL (size_t v = 0; v < V; ++v) b[v] = load_weights(w + (k * V + v) * L * G);
    LCNET_UNROLL (size_t r = 0; r < R; ++r) {
      const Ints x = flip(broadcast_unit(a + Rows::at(rows, r, k)));
      LCNET_UNROLL (size_t v = 0; v < V; ++v) add_dot(sum[r][v], x, b[v]);
    }
  }
}

// Calls tile<pixels, vectors>(first pixel, first channel, what sums begin with) for all of a panel's pixels, panel after panel.
template <size_t R, size_t V, class Tile>
LCNET_INLINE void for_panels(size_t pixels, size_t channels, const int8_t* w, const int32_t* start, size_t depth, Tile tile) {
  constexpr size_t L = Vec::L;
  const auto panel = [&]<size_t M>(size_t c) LCNET_INLINED {
    Starts<M> starts;
    Starts<M>::make(starts, start + c, w + c * depth, depth / G);
    for_tiles<R>(pixels, [&]<size_t N>(size_t p) LCNET_INLINED { tile.template operator()<N, M>(p, c, starts.at); });
  };
  size_t c = 0;
  for (; c + V * L <= channels; c += V * L) panel.template operator()<V>(c);
  for (; c < channels; c += L) panel.template operator()<1>(c);
}

template <size_t R, size_t V, Activation A, class Rows>
static void int8_gemm_rows(const Unit* a, Rows rows, const int8_t* w, const int32_t* start, Sums sums, Coding coding,
                           uint8_t* out, size_t pixels, size_t depth, size_t channels, size_t block_stride) {
  constexpr size_t L = Vec::L;
  for_panels<R, V>(pixels, channels, w, start, depth,
                   [&]<size_t N, size_t M>(size_t p, size_t c, const int32_t* first) LCNET_INLINED {
                     Ints sum[N][M];
                     int8_gemm_sums<N, M>(a + Rows::at(rows, p, 0), rows, w + c * depth, first, depth / G, sum);
                     requantize_tile<A>(sum, {sums.scale + c, sums.bias + c}, {coding.inverse_scale + c, coding.zero_point + c},
                                        out + c / L * block_stride + p * L, block_stride);
                   });
}

template <size_t R, size_t V>
static void int8_gemm(const Unit* a, size_t pitch, const int8_t* w, const int32_t* start, Sums sums, Coding coding,
                      uint8_t* out, size_t pixels, size_t depth, size_t channels, size_t block_stride, Activation act) {
  for_activation(act, [&]<Activation A>() {
    if (pitch)
      int8_gemm_rows<R, V, A>(a, PlaneRows{pitch}, w, start, sums, coding, out, pixels, depth, channels, block_stride);
    else
      int8_gemm_rows<R, V, A>(a, DenseRows{depth / G}, w, start, sums, coding, out, pixels, depth, channels, block_stride);
  });
}

template <Activation A, size_t N, size_t M>
LCNET_INLINE void int8_store_f32(const Ints (&sum)[N][M], Sums sums, size_t c, float* out, size_t pitch) {
  constexpr size_t L = Vec::L;
  LCNET_UNROLL (size_t m = 0; m < M; ++m) {
    const Vec scale = load(sums.scale + c + m * L), bias = load(sums.bias + c + m * L);
    LCNET_UNROLL (size_t n = 0; n < N; ++n) store(out + n * pitch + m * L, activate<A>(fma(to_float(sum[n][m]), scale, bias)));
  }
}

// With any of the three activations that follow a layer.
template <size_t N, size_t M>
LCNET_INLINE void int8_store_f32(const Ints (&sum)[N][M], Sums sums, size_t c, float* out, size_t pitch, Activation act) {
  if (act == Activation::none)
    int8_store_f32<Activation::none>(sum, sums, c, out, pitch);
  else if (act == Activation::relu)
    int8_store_f32<Activation::relu>(sum, sums, c, out, pitch);
  else
    int8_store_f32<Activation::hswish6>(sum, sums, c, out, pitch);
}

template <size_t R, size_t V, class Rows>
static void int8_gemm_f32_rows(const Unit* a, Rows rows, const int8_t* w, const int32_t* start, Sums sums, float* out,
                               size_t pixels, size_t depth, size_t channels, size_t pitch, Activation act) {
  for_panels<R, V>(pixels, channels, w, start, depth,
                   [&]<size_t N, size_t M>(size_t p, size_t c, const int32_t* first) LCNET_INLINED {
                     Ints sum[N][M];
                     int8_gemm_sums<N, M>(a + Rows::at(rows, p, 0), rows, w + c * depth, first, depth / G, sum);
                     int8_store_f32(sum, sums, c, out + p * pitch + c, pitch, act);
                   });
}

template <size_t R, size_t V>
static void int8_gemm_f32(const Unit* a, size_t pitch, const int8_t* w, const int32_t* start, Sums sums, float* out,
                          size_t pixels, size_t depth, size_t channels, size_t out_pitch, Activation act) {
  if (pitch)
    int8_gemm_f32_rows<R, V>(a, PlaneRows{pitch}, w, start, sums, out, pixels, depth, channels, out_pitch, act);
  else
    int8_gemm_f32_rows<R, V>(a, DenseRows{depth / G}, w, start, sums, out, pixels, depth, channels, out_pitch, act);
}

// One pixel: P panels of V vectors side by side, `stride` bytes apart.
template <size_t P, size_t V>
LCNET_INLINE void int8_gemv_sums(const Unit* a, const int8_t* w, size_t stride, const int32_t* start, size_t units,
                                 Ints (&sum)[1][P * V]) {
  constexpr size_t L = Vec::L;
  LCNET_UNROLL (size_t v = 0; v < P * V; ++v) sum[0][v] = load_ints(start + v * L);
  for (size_t k = 0; k < units; ++k) {
    const Ints x = flip(broadcast_unit(a + k));
    LCNET_UNROLL (size_t p = 0; p < P; ++p)
      LCNET_UNROLL (size_t v = 0; v < V; ++v) {
        const Ints b = load_weights(w + p * stride + (k * V + v) * L * G);
        add_dot(sum[0][p * V + v], x, b);
        add_lost(sum[0][p * V + v], b);
      }
  }
}

template <size_t P, size_t V>
static void int8_gemv_f32(const Unit* a, const int8_t* w, const int32_t* start, Sums sums, float* out, size_t depth,
                          size_t channels, Activation act) {
  constexpr size_t L = Vec::L;
  const size_t panels = channels / (V * L), full = panels * V * L;
  for_tiles<P>(panels, [&]<size_t N>(size_t panel) {
    const size_t c = panel * V * L;
    Ints sum[1][N * V];
    int8_gemv_sums<N, V>(a, w + c * depth, V * L * depth, start + c, depth / G, sum);
    int8_store_f32(sum, sums, c, out + c, 0, act);
  });
  if (full < channels)
    int8_gemm_f32<1, 1>(a, 0, w + full * depth, start + full, {sums.scale + full, sums.bias + full}, out + full, 1, depth,
                        channels - full, 0, act);
}

}  // namespace
