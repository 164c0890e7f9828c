// Depthwise conv in plain loops: the specification, for any number of lanes.
#pragma once

#include "../activation.h"
#include "../bf16.h"

namespace lcnet {

template <size_t L, size_t K, size_t S, class Out>
void dwconv__scalar(const float* const* in, const float* w, const float* bias, Out* out, size_t width, size_t in_pitch,
                    size_t channels, size_t ky0, size_t ky1, Activation act) {
  for (size_t block = 0; block < channels / L; ++block)
    for (size_t x = 0; x < width; ++x) {
      float acc[L];
      for (size_t l = 0; l < L; ++l) acc[l] = bias[block * L + l];
      for (size_t ky = ky0; ky < ky1; ++ky)
        for (size_t kx = 0; kx < K; ++kx) {
          const float* pixel = in[ky] + (block * in_pitch + S * x + kx) * L;
          const float* tap = w + (block * K * K + ky * K + kx) * L;
          for (size_t l = 0; l < L; ++l) acc[l] += pixel[l] * tap[l];
        }
      for (size_t l = 0; l < L; ++l) put(out + x * channels + block * L + l, activate(acc[l], act));
    }
}

inline void f32_dwconv_planes_3x3s1__scalar(const float* const* in, const float* w, const float* bias, float* out, size_t width,
                                            size_t in_pitch, size_t pitch, size_t channels, size_t ky0, size_t ky1,
                                            Activation act) {
  for (size_t c = 0; c < channels; ++c)
    for (size_t x = 0; x < width; ++x) {
      float acc = bias[c];
      for (size_t ky = ky0; ky < ky1; ++ky) {
        const float* left = in[ky] + c * in_pitch + x - 1;
        for (size_t kx = 0; kx < 3; ++kx) acc += left[kx] * w[c * 9 + ky * 3 + kx];
      }
      out[c * pitch + x] = activate(acc, act);
    }
}

}  // namespace lcnet
