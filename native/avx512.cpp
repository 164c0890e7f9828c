// The kernels for AVX-512: 32 registers of 16 floats.
#include "simd/avx512.h"

#include "simd/common.h"

#include "channel/simd.h"
#include "dwconv/simd.h"
#include "gemm/simd.h"
#include "stem/simd.h"
#include "tables.h"

namespace lcnet {

const Kernels kernels__avx512 = {
    .isa = "avx512",
    .lanes = Vec::L,
    .panel = 2,
    .f32_stem_3x3s2 = f32_stem<14, 14>,
    .f32_dwconv_3x3s1 = f32_dwconv<3, 1, 14>,
    .f32_dwconv_3x3s2 = f32_dwconv<3, 2, 14>,
    .f32_dwconv_5x5s1 = f32_dwconv<5, 1, 14>,
    .f32_dwconv_5x5s2 = f32_dwconv<5, 2, 14>,
    .f32_gemm = f32_gemm<14, 2>,  // 28 accumulators, 2 weights; 14 divides 112, 56, 28 and 14
    .f32_gemv = f32_gemv<8, 2>,
    .f32_channel_sum = f32_channel_sum,
    .f32_channel_scale = f32_channel_scale,
};

}  // namespace lcnet
