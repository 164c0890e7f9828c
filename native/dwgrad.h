// The gradient of a depthwise conv's weights, for training: torch 2.13's own takes 20 to 60 times as long as its forward pass
// where the maps are small and the kernel is 5x5.
#pragma once

#include "dispatch.h"
#include "inference/geometry.h"
#include "engine/pool.h"

namespace lcnet {

// A batch and its conv, of one of the geometries in kernels.h, with K/2 zeros around. Dense NHWC.
struct DwgradShape {
  size_t images, height, width, channels, kernel;
  Stride stride;

  size_t out_height() const { return strided(height, stride.h); }
  size_t out_width() const { return strided(width, stride.w); }
};

// out [K][K][channels] = the sum over all images and output pixels of grad [images][out_height][out_width][channels] times the
// input in [images][height][width][channels] under each weight. The same bits for any number of threads.
void dwgrad(const Kernels& kernels, Pool& pool, const DwgradShape& shape, const float* in, const float* grad, float* out);

}  // namespace lcnet
