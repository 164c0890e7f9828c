// The multiply-add loop for any number of lanes.
#pragma once

#include "../kernels.h"

namespace lcnet {

template <size_t L>
size_t f32_peak__scalar(float* sink, size_t rounds) {
  constexpr size_t kSums = 4;
  float sums[kSums][L] = {};
  for (size_t i = 0; i < rounds; ++i)
    for (size_t s = 0; s < kSums; ++s)
      for (size_t l = 0; l < L; ++l) sums[s][l] = sums[s][l] * 0.5f + sink[l];
  for (size_t s = 0; s < kSums; ++s)
    for (size_t l = 0; l < L; ++l) sink[l] += sums[s][l];
  return rounds * kSums * L;
}

}  // namespace lcnet
