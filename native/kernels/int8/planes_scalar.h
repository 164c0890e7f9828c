// The int8 stem and the depthwise conv behind it in plain loops: the specification.
#pragma once

#include "arithmetic.h"

namespace lcnet {

template <size_t G>
void set_code(Unit& unit, size_t g, uint8_t code) {
  const Unit mask = (Unit{1} << (32 / G)) - 1;
  unit = (unit & ~(mask << (g * 32 / G))) | static_cast<Unit>(code) << (g * 32 / G);
}

template <size_t G>
void int8_quantize__scalar(const float* x, size_t channel_stride, Coding coding, Unit* out, size_t width, size_t half,
                           size_t in_chans) {
  for (size_t plane = 0; plane < (in_chans + G - 1) / G; ++plane)
    for (size_t i = 0; i < width; ++i) {
      Unit unit = 0;
      for (size_t c = plane * G; c < in_chans && c < (plane + 1) * G; ++c)
        set_code<G>(unit, c % G, to_code(x[c * channel_stride + i], coding.inverse_scale[c], coding.zero_point[c]));
      out[plane * 2 * half + (i % 2 ? i / 2 + 1 : half + i / 2)] = unit;
    }
}

template <size_t G>
float int8_stem_act__scalar(const Unit* const* in, StemRow at, const Unit* w, Sums sums, size_t x, size_t in_chans, size_t c,
                            Activation act) {
  const size_t planes = (in_chans + G - 1) / G, from[] = {0, at.center, at.right};
  int32_t sum = 0;
  for (size_t ky = 0; ky < 3; ++ky)
    for (size_t plane = 0; plane < planes; ++plane)
      for (size_t kx = 0; kx < 3; ++kx)
        sum += dot<G>(&in[ky][plane * at.pitch + from[kx] + x],
                      &w[(((c / kPlanes * 3 + ky) * planes + plane) * 3 + kx) * kPlanes + c % kPlanes]);
  return activate(pre_activation(sum, sums.scale[c], sums.bias[c]), act);
}

template <size_t G>
void int8_stem_3x3__scalar(const Unit* const* in, StemRow at, const Unit* w, Sums sums, Coding coding, uint8_t* out,
                           size_t width, size_t plane, size_t in_chans, size_t channels, Activation act) {
  for (size_t c = 0; c < channels; ++c)
    for (size_t x = 0; x < width; ++x)
      out[c * plane + x] = to_code(int8_stem_act__scalar<G>(in, at, w, sums, x, in_chans, c, act), coding.inverse_scale[c],
                                   coding.zero_point[c]);
}

template <size_t G>
void int8_stem_f32__scalar(const Unit* const* in, StemRow at, const Unit* w, Sums sums, float* out, size_t width, size_t pitch,
                           size_t in_chans, size_t channels, Activation act) {
  for (size_t x = 0; x < width; ++x)
    for (size_t c = 0; c < pitch; ++c)
      out[x * pitch + c] = c < channels ? int8_stem_act__scalar<G>(in, at, w, sums, x, in_chans, c, act) : 0.0f;
}

template <size_t L, size_t G>
void int8_interleave_planes__scalar(const uint8_t* const* rows, const Unit* zeros, Unit* out, size_t width, size_t plane,
                                    size_t channels) {
  const size_t pitch = (width + L - 1) / L * L + 2 * L;
  for (size_t c = 0; c < channels; ++c, out += pitch) {
    out[L - 1] = out[L + width] = zeros[c];
    for (size_t x = 0; x < width; ++x) {
      Unit& unit = out[L + x];
      unit = zeros[c];
      for (size_t g = 0; g < G; ++g)
        if (rows[g]) set_code<G>(unit, g, rows[g][c * plane + x]);
    }
  }
}

template <size_t L, size_t G>
void int8_dwconv_planes__scalar(const Unit* const* in, size_t groups, const Unit* w, const int32_t* start, Sums sums,
                                Coding coding, Unit* out, size_t width, size_t channels, Activation act) {
  const size_t padded = (width + L - 1) / L * L, pitch = padded + 2 * L;
  for (size_t c = 0; c < channels; ++c)
    for (size_t x = 0; x < width; ++x) {
      int32_t sum = start[c];
      for (size_t group = 0; group < groups; ++group)
        for (size_t kx = 0; kx < 3; ++kx)
          sum += dot<G>(&in[group][c * pitch + L + x + kx - 1], &w[(c * groups + group) * 3 + kx]);
      const float value = activate(pre_activation(sum, sums.scale[c], sums.bias[c]), act);
      set_code<G>(out[c / G * padded + x], c % G, to_code(value, coding.inverse_scale[c], coding.zero_point[c]));
    }
}

}  // namespace lcnet
