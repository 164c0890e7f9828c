// Whole tensors for references in plain loops.
#pragma once

#include <vector>

#include "../../../native/inference/geometry.h"

struct Tensor {  // values [channels][height][width]
  size_t channels, height, width;
  std::vector<float> values;

  float at(size_t c, size_t y, size_t x) const { return values[(c * height + y) * width + x]; }
};

// What lies under tap t, of [in_chans][kernel][kernel], of a conv at output pixel (y, x); its first input channel is `first`.
// There is `outside` around the tensor.
template <class Conv>
float under(const Tensor& in, const Conv& conv, lcnet::Stride stride, size_t first, size_t t, size_t y, size_t x,
            float outside) {
  const size_t K = conv.kernel, ky = t / K % K, kx = t % K, r = y * stride.h + ky, q = x * stride.w + kx, pad = K / 2;
  const bool inside = r >= pad && q >= pad && r < in.height + pad && q < in.width + pad;
  return inside ? in.at(first + t / (K * K), r - pad, q - pad) : outside;
}
