// The decoding of JPEG files in plain loops: the specification.
#pragma once

#include "jpeg.h"

namespace lcnet {

inline bool jpeg_within(int32_t x, int32_t most) { return x >= -most && x <= most; }
inline uint8_t jpeg_clamp(int32_t x) { return static_cast<uint8_t>(x < 0 ? 0 : x > 255 ? 255 : x); }

// Eight numbers, `step` apart, in one direction: out[i] before the shift.
inline void jpeg_eight__scalar(const int32_t* in, size_t step, int32_t out[8]) {
  for (size_t i = 0; i < 4; ++i) {
    int32_t even = 0, odd = 0;
    for (size_t k = 0; k < 4; ++k) {
      even += kJpegEven[i][k] * in[2 * k * step];
      odd += kJpegOdd[i][k] * in[(2 * k + 1) * step];
    }
    out[i] = even + odd;
    out[7 - i] = even - odd;
  }
}

// False if a coefficient is beyond the bounds.
inline bool jpeg_dequantize__scalar(int16_t* block, const JpegQuanta& quanta, int32_t out[kJpegBlock]) {
  bool within = true;
  for (size_t i = 0; i < kJpegBlock; ++i) {
    const int32_t most = quanta.most[i];
    within &= jpeg_within(block[i], most);
    out[i] = within ? block[i] * quanta.quantum[i] : 0;
    block[i] = 0;
  }
  return within;
}

inline bool jpeg_block__scalar(int16_t* block, const JpegQuanta& quanta, uint8_t* out, size_t pitch) {
  int32_t in[kJpegBlock], eight[8];
  bool within = jpeg_dequantize__scalar(block, quanta, in);
  for (size_t x = 0; x < 8; ++x) {
    jpeg_eight__scalar(in + x, 8, eight);
    for (size_t y = 0; y < 8; ++y) {
      const int32_t value = (eight[y] + (1 << 10)) >> 11;
      within &= jpeg_within(value, kJpegMost);
      in[8 * y + x] = jpeg_within(value, kJpegMost) ? value : 0;
    }
  }
  for (size_t y = 0; y < 8; ++y) {
    jpeg_eight__scalar(in + 8 * y, 1, eight);
    for (size_t x = 0; x < 8; ++x) {
      const int32_t value = (eight[x] + (1 << 17)) >> 18;
      within &= jpeg_within(value, kJpegMostPixel);
      out[y * pitch + x] = jpeg_clamp(value + 128);
    }
  }
  return within;
}

inline bool jpeg_transform__scalar(int16_t* blocks, size_t n, const JpegQuanta& quanta, uint8_t* out, size_t pitch) {
  bool within = true;
  for (size_t b = 0; b < n; ++b) within &= jpeg_block__scalar(blocks + b * kJpegBlock, quanta, out + 8 * b, pitch);
  return within;
}

inline void jpeg_widen__scalar(const uint8_t* in, uint8_t* out, size_t width) {
  for (size_t i = 0; i < width; ++i) {
    out[2 * i] = static_cast<uint8_t>((3 * in[i] + *(in + i - 1) + 1) >> 2);
    out[2 * i + 1] = static_cast<uint8_t>((3 * in[i] + in[i + 1] + 2) >> 2);
  }
}

inline void jpeg_widen_both__scalar(const uint8_t* near_row, const uint8_t* far_row, uint8_t* out, size_t width) {
  const auto sum = [&](const uint8_t* a, const uint8_t* b) { return 3 * *a + *b; };
  for (size_t i = 0; i < width; ++i) {
    const uint8_t *a = near_row + i, *b = far_row + i;
    out[2 * i] = static_cast<uint8_t>((3 * sum(a, b) + sum(a - 1, b - 1) + 8) >> 4);
    out[2 * i + 1] = static_cast<uint8_t>((3 * sum(a, b) + sum(a + 1, b + 1) + 7) >> 4);
  }
}

inline void jpeg_blend__scalar(const uint8_t* near_row, const uint8_t* far_row, uint8_t* out, size_t width, int bias) {
  for (size_t i = 0; i < width; ++i) out[i] = static_cast<uint8_t>((3 * near_row[i] + far_row[i] + bias) >> 2);
}

inline void jpeg_colors__scalar(const uint8_t* y, const uint8_t* cb, const uint8_t* cr, uint8_t* rgb, size_t width) {
  constexpr int32_t half = 1 << 15;
  for (size_t i = 0; i < width; ++i) {
    const int32_t b = cb[i] - 128, r = cr[i] - 128;
    rgb[3 * i] = jpeg_clamp(y[i] + ((91881 * r + half) >> 16));
    rgb[3 * i + 1] = jpeg_clamp(y[i] + ((-22554 * b - 46802 * r + half) >> 16));
    rgb[3 * i + 2] = jpeg_clamp(y[i] + ((116130 * b + half) >> 16));
  }
}

}  // namespace lcnet
