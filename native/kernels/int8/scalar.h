// The int8 kernels in plain loops: the specification, for any number of lanes and either unit.
#pragma once

#include "arithmetic.h"

namespace lcnet {

template <size_t L, size_t G>
void int8_interleave__scalar(const uint8_t* const* rows, const Unit* zeros, Unit* out, size_t width, size_t block_stride,
                             size_t pad, size_t channels) {
  const size_t pitch = width + 2 * pad;
  for (size_t c = 0; c < channels; ++c)
    for (size_t x = 0; x < pitch; ++x) {
      typename Unpacked<G>::Code codes[G];
      memcpy(codes, &zeros[c], sizeof codes);
      for (size_t g = 0; g < G; ++g)
        if (rows[g] && x >= pad && x < width + pad) codes[g] = rows[g][c / L * block_stride + (x - pad) * L + c % L];
      memcpy(&out[(c / L * pitch + x) * L + c % L], codes, sizeof codes);
    }
}

template <size_t L, size_t K, size_t S, size_t G>
float int8_dwconv_act__scalar(const Unit* const* in, size_t groups, const Unit* w, const int32_t* start, Sums sums, size_t x,
                              size_t pitch, size_t c, Activation act) {
  int32_t sum = start[c];
  for (size_t group = 0; group < groups; ++group)
    for (size_t kx = 0; kx < K; ++kx)
      sum += dot<G>(&in[group][(c / L * pitch + S * x + kx) * L + c % L], &w[((c / L * groups + group) * K + kx) * L + c % L]);
  return activate(pre_activation(sum, sums.scale[c], sums.bias[c]), act);
}

template <size_t L, size_t G, size_t K, size_t S>
void int8_dwconv__scalar(const Unit* const* in, size_t groups, const Unit* w, const int32_t* start, Sums sums, Coding coding,
                         Unit* out, size_t width, size_t pitch, size_t channels, Activation act) {
  auto* to = reinterpret_cast<typename Unpacked<G>::Code*>(out);
  for (size_t x = 0; x < width; ++x)
    for (size_t c = 0; c < channels; ++c)
      to[x * channels + c] = to_code(int8_dwconv_act__scalar<L, K, S, G>(in, groups, w, start, sums, x, pitch, c, act),
                                     coding.inverse_scale[c], coding.zero_point[c]);
}

template <size_t L, size_t G, size_t K, size_t S>
void int8_dwconv_f32__scalar(const Unit* const* in, size_t groups, const Unit* w, const int32_t* start, Sums sums, float* out,
                             size_t width, size_t pitch, size_t channels, Activation act) {
  for (size_t x = 0; x < width; ++x)
    for (size_t c = 0; c < channels; ++c)
      out[x * channels + c] = int8_dwconv_act__scalar<L, K, S, G>(in, groups, w, start, sums, x, pitch, c, act);
}

// The sums of a panel of N columns for one pixel, whose units are `step` apart.
template <size_t N, size_t G>
void int8_panel__scalar(const Unit* a, size_t step, const int8_t* w, const int32_t* start, int32_t* sums, size_t units) {
  for (size_t n = 0; n < N; ++n) sums[n] = start[n];
  for (size_t k = 0; k < units; ++k) {
    typename Unpacked<G>::Code codes[G];
    memcpy(codes, &a[k * step], sizeof codes);
    for (size_t n = 0; n < N; ++n)
      for (size_t g = 0; g < G; ++g) sums[n] += codes[g] * w[(k * N + n) * G + g];
  }
}

// Calls put(pixel, channel, sum) for all of them.
template <size_t L, size_t G, size_t P, class Put>
void int8_gemm_sums__scalar(const Unit* a, size_t pitch, const int8_t* w, const int32_t* start, size_t pixels, size_t depth,
                            size_t channels, Put put) {
  const size_t units = depth / G, pixel_step = pitch ? 1 : units, step = pitch ? pitch : 1;
  for (size_t c = 0, columns; c < channels; c += columns) {
    columns = channels - c < P * L ? L : P * L;  // leftover blocks form panels of one vector
    for (size_t p = 0; p < pixels; ++p) {
      int32_t sums[P * L];
      if (columns == P * L)
        int8_panel__scalar<P * L, G>(a + p * pixel_step, step, w + c * depth, start + c, sums, units);
      else
        int8_panel__scalar<L, G>(a + p * pixel_step, step, w + c * depth, start + c, sums, units);
      for (size_t n = 0; n < columns; ++n) put(p, c + n, sums[n]);
    }
  }
}

template <size_t L, size_t G, size_t P>
void int8_gemm__scalar(const Unit* a, size_t pitch, const int8_t* w, const int32_t* start, Sums sums, Coding coding,
                       uint8_t* out, size_t pixels, size_t depth, size_t channels, size_t block_stride, Activation act) {
  int8_gemm_sums__scalar<L, G, P>(a, pitch, w, start, pixels, depth, channels, [&](size_t p, size_t c, int32_t sum) {
    const float value = activate(pre_activation(sum, sums.scale[c], sums.bias[c]), act);
    out[c / L * block_stride + p * L + c % L] = to_code(value, coding.inverse_scale[c], coding.zero_point[c]);
  });
}

template <size_t L, size_t G, size_t P>
void int8_gemm_f32__scalar(const Unit* a, size_t pitch, const int8_t* w, const int32_t* start, Sums sums, float* out,
                           size_t pixels, size_t depth, size_t channels, size_t out_pitch, Activation act) {
  int8_gemm_sums__scalar<L, G, P>(a, pitch, w, start, pixels, depth, channels, [&](size_t p, size_t c, int32_t sum) {
    out[p * out_pitch + c] = activate(pre_activation(sum, sums.scale[c], sums.bias[c]), act);
  });
}

template <size_t L, size_t G, size_t P>
void int8_gemv_f32__scalar(const Unit* a, const int8_t* w, const int32_t* start, Sums sums, float* out, size_t depth,
                           size_t channels, Activation act) {
  int8_gemm_f32__scalar<L, G, P>(a, 0, w, start, sums, out, 1, depth, channels, channels, act);
}

template <size_t G>
void int8_code__scalar(const float* x, const float* gate, Coding coding, Unit* out, size_t pixels, size_t channels) {
  auto* to = reinterpret_cast<typename Unpacked<G>::Code*>(out);
  for (size_t p = 0; p < pixels; ++p)
    for (size_t c = 0; c < channels; ++c) {
      const float value = x[p * channels + c] * (gate ? gate[c] : 1.0f);
      to[p * channels + c] = to_code(value, coding.inverse_scale[c], coding.zero_point[c]);
    }
}

template <size_t L, size_t P>
void int8_f32_gemv__scalar(const float* x, const float* w, const float* bias, float* out, size_t depth, size_t channels,
                           Activation act) {
  const size_t full = channels / L / P * P * L;
  for (size_t c = 0; c < channels; ++c) {
    const size_t columns = c < full ? P * L : L, first = c < full ? c / (P * L) * P * L : c / L * L;
    float sum = bias[c];
    for (size_t k = 0; k < depth; ++k) sum = fmaf(x[k], w[first * depth + k * columns + c - first], sum);
    out[c] = activate(sum, act);
  }
}

}  // namespace lcnet
