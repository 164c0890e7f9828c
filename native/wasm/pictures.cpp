#include "pictures.h"

#include <algorithm>

#include "../fail.h"
#include "../resize/sinks.h"

namespace lcnet {

// (x / 255 - mean) / std, rounded to float after each step.
static float normalized(size_t x, double mean, double std) {
  const float value = static_cast<float>(x) / 255.0f - static_cast<float>(mean);
  return value / static_cast<float>(std);
}

Pictures::Pictures(const double* n)
    : rule_{static_cast<size_t>(n[0]), static_cast<size_t>(n[1]), n[2], static_cast<CropMode>(static_cast<int>(n[3])),
            n[4] != 0},
      filter_(static_cast<Filter>(static_cast<int>(n[5]))), channels_(static_cast<size_t>(n[6])), reversed_(n[7] != 0),
      composited_(n[8] != 0),
      background_{static_cast<uint8_t>(n[9]), static_cast<uint8_t>(n[10]), static_cast<uint8_t>(n[11])} {
  const double *mean = n + 12, *std = mean + channels_;
  for (size_t c = 0; c < channels_; ++c) {
    fills_.push_back(fill(rule_, mean[c]));
    for (size_t x = 0; x < 256; ++x) table_.push_back(normalized(x, mean[c], std[c]));
  }
}

// Pillow's: of two colours by an opacity, rounded.
static uint8_t blend(uint8_t below, uint8_t above, uint32_t alpha) {
  const uint32_t sum = below * (255 - alpha) + above * alpha + 128;
  return static_cast<uint8_t>((sum + (sum >> 8)) >> 8);
}

void Pictures::composite(uint8_t* pixels, size_t n) const {
  for (uint8_t* p = pixels; p != pixels + 4 * n; p += 4)
    for (size_t c = 0; p[3] != 255 && c < 3; ++c) p[c] = blend(background_[c], p[c], p[3]);
}

// Pillow's, by ITU-R 601-2, in place.
static void to_grey(uint8_t* pixels, size_t n, size_t step) {
  for (size_t i = 0; i < n; ++i) {
    const uint8_t* p = pixels + i * step;
    pixels[i] = static_cast<uint8_t>((p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u) >> 16);
  }
}

void Pictures::prepare(const Kernels& kernels, uint8_t* pixels, size_t height, size_t width, size_t step, float* out) const {
  const size_t n = height * width, plane = rule_.height * rule_.width;
  const bool colors = channels_ == 1 || channels_ == 3;
  if (colors && step == 4 && composited_) composite(pixels, n);
  if (channels_ == 1 && step > 1) to_grey(pixels, n, step), step = 1;
  const Scaled to = scaled(height, width);
  const auto scaled_h = static_cast<size_t>(to.height), scaled_w = static_cast<size_t>(to.width);
  const Kept rows = kept(rule_, scaled_h, rule_.height), columns = kept(rule_, scaled_w, rule_.width);
  if (rows.count * columns.count < plane)
    for (size_t c = 0; c < channels_; ++c) std::fill_n(out + c * plane, plane, table_[c * 256 + fills_[c]]);
  std::vector<float> turned;
  const float* table = table_.data();
  if (reversed_) {
    for (size_t c = channels_; c-- > 0;) turned.insert(turned.end(), table + c * 256, table + (c + 1) * 256);
    table = turned.data();
  }
  float* first = out + (reversed_ ? (channels_ - 1) * plane : 0) + rows.at * rule_.width + columns.at;
  const auto next = static_cast<ptrdiff_t>(plane);
  PlaneSink sink({first, columns.count, channels_, step, reversed_ ? -next : next, rule_.width}, table);
  resize(kernels, {pixels, height, width, step},
         {scaled_h, scaled_w, columns.first, rows.first, columns.first + columns.count, rows.first + rows.count, filter_},
         sink);
}

}  // namespace lcnet
