// What one row adds to the gradient of a depthwise conv's weights, in plain loops: the specification.
#pragma once

#include <stddef.h>

namespace lcnet {

template <size_t K, size_t S>
void dwgrad__scalar(const float* in, const float* grad, float* sums, size_t width, size_t channels) {
  for (size_t x = 0; x < width; ++x)
    for (size_t kx = 0; kx < K; ++kx)
      for (size_t c = 0; c < channels; ++c) sums[kx * channels + c] += in[(S * x + kx) * channels + c] * grad[x * channels + c];
}

}  // namespace lcnet
