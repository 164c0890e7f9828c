// Where the rows of a resized picture go: to bytes as they are, or to the network's input.
#pragma once

#include <cstring>

#include "resize.h"

namespace lcnet {

// uint8 [height][width][channels].
class ByteSink final : public RowSink {
 public:
  ByteSink(uint8_t* out, size_t row_bytes) : out_(out), row_bytes_(row_bytes) {}
  void row(size_t y, const uint8_t* pixels) override { std::memcpy(out_ + y * row_bytes_, pixels, row_bytes_); }

 private:
  uint8_t* out_;
  size_t row_bytes_;
};

// float [channels] planes, `plane` floats apart, backwards if that is negative, of rows `pitch` floats apart: out =
// table[channel][pixel]. A pixel has `step` bytes, of which the first are the channels.
struct Planes {
  float* out;
  size_t width, channels, step;
  ptrdiff_t plane;
  size_t pitch;
};

class PlaneSink final : public RowSink {
 public:
  PlaneSink(const Planes& planes, const float* table) : planes_(planes), table_(table) {}  // table [channels][256]
  void row(size_t y, const uint8_t* pixels) override;

 private:
  Planes planes_;
  const float* table_;
};

}  // namespace lcnet
