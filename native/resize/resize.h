// Pillow 13's `resize` followed by a crop, to the bit, computing only what is in the crop: one pass along each axis with a
// rounding to bytes between the two, over the rows and columns that the crop's pixels are made of. OpenCV's bilinear `resize`
// likewise (lerp.h).
#pragma once

#include "taps.h"

namespace lcnet {

struct Picture {
  const uint8_t* pixels;  // [height][width][channels]
  size_t height, width, channels;
};

constexpr size_t kMaxSide = size_t{1} << 24;  // of a picture before and after scaling: what a float counts exactly
constexpr size_t kMaxResizeChannels = 4;

struct Resize {
  size_t height, width;             // of the whole scaled picture
  size_t left, top, right, bottom;  // the crop, not empty and inside it
  Filter filter;

  size_t columns() const { return right - left; }
  size_t rows() const { return bottom - top; }
};

// Who takes the rows of the crop, from top to bottom.
class RowSink {
 public:
  virtual void row(size_t y, const uint8_t* pixels) = 0;  // pixels [columns][channels]

 protected:
  ~RowSink() = default;
};

// Sides are 1 to kMaxSide, channels 1 to kMaxResizeChannels. Working memory is the coefficients and as many rows as make one
// output row, or four rows of the picture.
void resize(const Kernels& kernels, const Picture& picture, const Resize& to, RowSink& sink);

}  // namespace lcnet
