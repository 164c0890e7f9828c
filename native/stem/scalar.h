// The stem conv in plain loops: the specification, for any number of lanes.
#pragma once

#include "../activation.h"

namespace lcnet {

template <size_t L>
void f32_stem_3x3s2__scalar(const float* const* in, const float* w, const float* bias, float* out, size_t width,
                            size_t pitch, size_t in_chans, size_t channels, size_t ky0, size_t ky1) {
  const size_t taps = 9 * in_chans;
  for (size_t block = 0; block < channels / L; ++block)
    for (size_t x = 0; x < width; ++x) {
      float acc[L];
      for (size_t l = 0; l < L; ++l) acc[l] = bias[block * L + l];
      for (size_t row = ky0 * in_chans; row < ky1 * in_chans; ++row)
        for (size_t kx = 0; kx < 3; ++kx)
          for (size_t l = 0; l < L; ++l) acc[l] += in[row][2 * x + kx] * w[(block * taps + row * 3 + kx) * L + l];
      for (size_t l = 0; l < L; ++l) out[(block * pitch + x) * L + l] = hswish6(acc[l]);
    }
}

}  // namespace lcnet
