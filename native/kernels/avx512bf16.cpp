// The kernels for AVX-512 with bfloat16: the products of two pairs are added to a float in one instruction, which doubles the
// rate of multiply-adds and halves the bytes of weights.
#include "simd/avx512.h"

namespace {

// Rounds to nearest even.
LCNET_INLINE void store(unsigned short* p, Vec a) {
  const __m256bh rounded = _mm512_cvtneps_pbh(a.v);
  __builtin_memcpy(p, &rounded, sizeof rounded);
}

}  // namespace

#include "avx512_tiles.h"

namespace {

using lcnet::BF16;

struct Bf16Dot {
  LCNET_INLINE Vec madd(Vec x, Vec w, Vec acc) {
    __m512bh a, b;
    __builtin_memcpy(&a, &x.v, sizeof a);
    __builtin_memcpy(&b, &w.v, sizeof b);
    return {_mm512_dpbf16_ps(acc.v, a, b)};
  }
};

// A pair of bfloat16 is read as a float that is never computed with.
template <class Out>
static void bf16_gemm(const BF16* a, const BF16* w, const float* bias, Out* const* out, size_t pixels, size_t depth,
                      size_t channels, size_t block_stride, Activation act) {
  gemm<kTiles.gemm_pixels, kTiles.panel, Bf16Dot>(reinterpret_cast<const float*>(a), reinterpret_cast<const float*>(w), bias,
                                                  out, pixels, depth / 2, channels, block_stride, act);
}

static void bf16_gemv(const BF16* x, const BF16* w, const float* bias, float* out, size_t depth, size_t channels,
                      Activation act) {
  gemv<kTiles.gemv_panels, kTiles.panel, Bf16Dot>(reinterpret_cast<const float*>(x), reinterpret_cast<const float*>(w), bias,
                                                  out, depth / 2, channels, act);
}

static void bf16_channel_scale(const float* x, const float* s, BF16* out, size_t pixels, size_t channels) {
  for (size_t p = 0; p < pixels; ++p)
    for (size_t c = 0; c < channels; c += Vec::L) store(out + p * channels + c, mul(load(x + p * channels + c), load(s + c)));
}

constexpr lcnet::Bf16Kernels bf16_table = {
    .dwconv = {{dwconv<3, 1, kTiles.dwconv_pixels, BF16>, dwconv<3, 2, kTiles.dwconv_pixels, BF16>},
               {dwconv<5, 1, kTiles.dwconv_pixels, BF16>, dwconv<5, 2, kTiles.dwconv_pixels, BF16>}},
    .gemm = bf16_gemm<float>,
    .gemm_narrow = bf16_gemm<BF16>,
    .gemv = bf16_gemv,
    .channel_scale = bf16_channel_scale,
};

}  // namespace

namespace lcnet {

const Kernels kernels__avx512bf16 = float_table<kTiles>("avx512bf16", &bf16_table, &int8_kernels__avx512vnni);

}  // namespace lcnet
