// Which input pixels make an output pixel, and in what proportions: Pillow's filters in Pillow's fixed-point numbers.
#pragma once

#include <string>
#include <vector>

#include "../kernels/kernels.h"

namespace lcnet {

// The last is OpenCV's, the others are Pillow's.
enum class Filter { nearest, box, bilinear, hamming, bicubic, lanczos, opencv_bilinear };

// By its name, as above; fails for another.
Filter filter_named(const std::string& name);

// Along one axis: the output pixels `begin` .. `end` - 1 of `out`, from `in` pixels.
struct Axis {
  size_t in, out, begin, end;
};

// For the resampling kernels; neither `first` nor `first` + `count` ever decreases from one output pixel to the next.
struct AxisTaps {
  std::vector<ResizeTaps> taps;  // [end - begin]
  std::vector<int16_t> k;        // as U8ResizeRows has them

  size_t most() const;  // the largest count
};
AxisTaps axis_taps(Filter filter, const Axis& axis);

// The one input pixel for each output pixel by Filter::nearest: [end - begin].
std::vector<size_t> nearest_pixels(const Axis& axis);

}  // namespace lcnet
