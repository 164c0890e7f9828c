// Sums and products along channels for any vector width. Included after simd/<isa>.h and simd/common.h.
#pragma once

namespace {

// N vectors of channels at a time: as many sums in flight as hide the latency of an addition.
template <size_t N>
LCNET_INLINE void channel_sum_tile(const float* x, float* out, size_t pixels, size_t channels, float scale) {
  constexpr size_t L = Vec::L;
  Vec sum[N];
  LCNET_UNROLL (size_t n = 0; n < N; ++n) sum[n] = set(0.0f);
  for (size_t p = 0; p < pixels; ++p)
    LCNET_UNROLL (size_t n = 0; n < N; ++n) sum[n] = add(sum[n], load(x + p * channels + n * L));
  LCNET_UNROLL (size_t n = 0; n < N; ++n) store(out + n * L, mul(sum[n], set(scale)));
}

static void f32_channel_sum(const float* x, float* out, size_t pixels, size_t channels, float scale) {
  for_tiles<8>(channels / Vec::L, [&]<size_t N>(size_t block) {
    channel_sum_tile<N>(x + block * Vec::L, out + block * Vec::L, pixels, channels, scale);
  });
}

[[maybe_unused]] static void f32_channel_scale(float* x, const float* s, size_t pixels, size_t channels) {
  for (size_t p = 0; p < pixels; ++p)
    for (size_t c = 0; c < channels; c += Vec::L) {
      float* at = x + p * channels + c;
      store(at, mul(load(at), load(s + c)));
    }
}

}  // namespace
