// The stem in plain loops: the specification, for any number of lanes.
#pragma once

#include "../activation.h"

namespace lcnet {

inline void f32_split__scalar(const float* in, float* out, size_t width, size_t half) {
  for (size_t x = 0; x < width; ++x) out[x % 2 ? x / 2 + 1 : half + x / 2] = in[x];
}

template <size_t L>
void f32_stem_3x3__scalar(const float* const* in, StemRow at, const float* w, const float* bias, float* out, size_t width,
                          size_t pitch, size_t in_chans, size_t channels, size_t ky0, size_t ky1, Activation act) {
  const size_t taps = 9 * in_chans, padded = (width + L - 1) / L * L;
  for (size_t c = 0; c < channels; ++c) {
    for (size_t x = 0; x < width; ++x) {
      float acc = bias[c];
      for (size_t row = ky0 * in_chans; row < ky1 * in_chans; ++row) {
        const float pixels[] = {in[row][x], in[row][at.center + x], in[row][at.right + x]};
        for (size_t kx = 0; kx < 3; ++kx) acc += pixels[kx] * w[(c / kPlanes * taps + row * 3 + kx) * kPlanes + c % kPlanes];
      }
      out[c * pitch + x] = activate(acc, act);
    }
    for (size_t x = width; x < padded; ++x) out[c * pitch + x] = 0.0f;
  }
}

}  // namespace lcnet
