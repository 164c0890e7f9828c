// Pillow's resampling and OpenCV's bilinear sampling of bytes in plain loops: the specification.
#pragma once

#include "../kernels.h"

namespace lcnet {

constexpr uint32_t kResizeHalf = 1u << 21;

// Coefficient `t` of a list in pairs of halves. Unsigned, as all of the sum is: it wraps where a signed one may not.
inline uint32_t resize_coefficient(const int16_t* k, size_t t) {
  const int16_t* pair = k + t / 2 * 4 + t % 2;
  return static_cast<uint32_t>(pair[0]) + (static_cast<uint32_t>(pair[2]) << 15);
}

inline uint8_t resize_clamp(uint32_t sum) {
  const int32_t value = static_cast<int32_t>(sum) >> 22;
  return static_cast<uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

inline void u8_resize_rows__scalar(const uint8_t* const* in, const ResizeTaps* taps, const int16_t* k, uint8_t* const* out,
                                   size_t width, size_t channels) {
  for (size_t x = 0; x < width; ++x) {
    for (size_t i = 0; i < 4 * channels; ++i) {
      const size_t row = i / channels, c = i % channels;
      uint32_t sum = kResizeHalf;
      for (size_t t = 0; t < taps[x].count; ++t) sum += in[row][(taps[x].first + t) * channels + c] * resize_coefficient(k, t);
      out[row][x * channels + c] = resize_clamp(sum);
    }
    k += (taps[x].count + 1) / 2 * 4;
  }
}

inline void u8_resize_columns__scalar(const uint8_t* const* in, const int16_t* k, size_t count, uint8_t* out, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) {
    uint32_t sum = kResizeHalf;
    for (size_t t = 0; t < count; ++t) sum += in[t][i] * resize_coefficient(k, t);
    out[i] = resize_clamp(sum);
  }
}

inline void u8_lerp_rows__scalar(const uint8_t* const* in, const LerpTap* taps, int16_t* const* out, size_t width,
                                 size_t channels) {
  for (size_t row = 0; row < 4; ++row)
    for (size_t x = 0; x < width; ++x) {
      const auto [first, k] = taps[x];
      const uint8_t* pixel = in[row] + first * channels;
      for (size_t c = 0; c < channels; ++c)
        out[row][x * channels + c] = static_cast<int16_t>((pixel[c] * k[0] + pixel[channels + c] * k[1]) >> 4);
    }
}

inline void i16_lerp_columns__scalar(const int16_t* const* in, const int16_t* k, uint8_t* out, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i)
    out[i] = static_cast<uint8_t>(((in[0][i] * k[0] >> 16) + (in[1][i] * k[1] >> 16) + 2) >> 2);
}

}  // namespace lcnet
