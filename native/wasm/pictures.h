// Pixels to the network's input, as a model file says: colours, size, crop, numbers.
#pragma once

#include <vector>

#include "../resize/crop.h"
#include "../resize/resize.h"

namespace lcnet {

class Pictures {
 public:
  // numbers: height, width, crop_pct, crop mode, whether by OpenCV's rules, filter, channels, whether blue comes first, whether
  // transparent pixels are composited, on which red, green and blue; then of each channel the mean, and of each the deviation.
  explicit Pictures(const double* numbers);

  // As scaled_size says.
  Scaled scaled(size_t height, size_t width) const { return scaled_size(rule_, height, width); }
  // pixels: [height][width][step], which are changed. A network of 1 or 3 channels takes steps of 3 and 4, red, green, blue and
  // opacity; besides these each takes its own. out: [channels][height][width].
  void prepare(const Kernels& kernels, uint8_t* pixels, size_t height, size_t width, size_t step, float* out) const;

 private:
  void composite(uint8_t* pixels, size_t n) const;

  CropRule rule_;
  Filter filter_;
  size_t channels_;
  bool reversed_, composited_;
  uint8_t background_[3];
  std::vector<uint8_t> fills_;  // [channels]
  std::vector<float> table_;    // [channels][256]
};

}  // namespace lcnet
