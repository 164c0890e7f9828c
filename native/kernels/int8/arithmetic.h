// The arithmetic on one value: what every vector form must equal to the bit.
#pragma once

#include <math.h>
#include <string.h>

#include "../activation.h"
#include "../kernels.h"

namespace lcnet {

inline float pre_activation(int32_t sum, float scale, float bias) { return fmaf(static_cast<float>(sum), scale, bias); }

inline uint8_t to_code(float x, float inverse_scale, float zero_point) {
  const float y = fmaf(x, inverse_scale, zero_point);
  if (!(y > 0.0f) || y >= 2147483648.0f) return 0;
  if (y >= 255.0f) return 255;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it leaves no bits after the point
  return static_cast<uint8_t>((y + kRound) - kRound);
}

// G codes or weights in a unit.
template <size_t G>
struct Unpacked;
template <>
struct Unpacked<2> {
  using Code = int16_t;
  using Weight = int16_t;
};
template <>
struct Unpacked<4> {
  using Code = uint8_t;
  using Weight = int8_t;
};

template <size_t G>
inline int32_t dot(const void* codes, const void* weights) {
  typename Unpacked<G>::Code a[G];
  typename Unpacked<G>::Weight w[G];
  memcpy(a, codes, sizeof a);
  memcpy(w, weights, sizeof w);
  int32_t sum = 0;
  for (size_t g = 0; g < G; ++g) sum += a[g] * w[g];
  return sum;
}

}  // namespace lcnet
