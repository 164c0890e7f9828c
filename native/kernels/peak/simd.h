// The multiply-add loop for any vector width. Included after simd/<isa>.h and simd/common.h.
#pragma once

namespace {

// Ten sums: two multiply-adds a cycle with a latency of four or five.
static size_t f32_peak(float* sink, size_t rounds) {
  constexpr size_t kSums = 10;
  Vec sums[kSums];
  const Vec half = set(0.5f), one = load(sink);
  LCNET_UNROLL (size_t s = 0; s < kSums; ++s) sums[s] = set(static_cast<float>(s));
  for (size_t i = 0; i < rounds; ++i)
    LCNET_UNROLL (size_t s = 0; s < kSums; ++s) sums[s] = multiply_add(sums[s], half, one);
  LCNET_UNROLL (size_t s = 1; s < kSums; ++s) sums[0] = add(sums[0], sums[s]);
  store(sink, sums[0]);
  return rounds * kSums * Vec::L;
}

}  // namespace
