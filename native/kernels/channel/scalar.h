// Sums and products along channels in plain loops: the specification.
#pragma once

#include "../bf16.h"

namespace lcnet {

inline void f32_channel_sum__scalar(const float* x, float* out, size_t pixels, size_t channels, float scale) {
  for (size_t c = 0; c < channels; ++c) out[c] = 0.0f;
  for (size_t p = 0; p < pixels; ++p)
    for (size_t c = 0; c < channels; ++c) out[c] += x[p * channels + c];
  for (size_t c = 0; c < channels; ++c) out[c] *= scale;
}

inline void f32_channel_scale__scalar(float* x, const float* s, size_t pixels, size_t channels) {
  for (size_t p = 0; p < pixels; ++p)
    for (size_t c = 0; c < channels; ++c) x[p * channels + c] *= s[c];
}

inline void bf16_channel_scale__scalar(const float* x, const float* s, BF16* out, size_t pixels, size_t channels) {
  for (size_t p = 0; p < pixels; ++p)
    for (size_t c = 0; c < channels; ++c) out[p * channels + c] = to_bf16(x[p * channels + c] * s[c]);
}

}  // namespace lcnet
