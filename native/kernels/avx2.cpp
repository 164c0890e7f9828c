// The kernels for AVX2 with FMA: 16 registers of 8 floats.
#include "simd/avx2.h"

#include "simd/common.h"

#include "channel/simd.h"
#include "dwconv/simd.h"
#include "dwgrad/simd.h"
#include "gemm/simd.h"
#include "int8/tables.h"
#include "peak/simd.h"
#include "resize/avx2.h"
#include "resize/simd.h"
#include "stem/simd.h"
#include "tables.h"

namespace lcnet {

const Kernels kernels__avx2 = {
    .isa = "avx2",
    .lanes = Vec::L,
    .panel = 2,
    .f32_split = f32_split,
    .f32_stem_3x3s2 = f32_stem<3, 4>,
    .f32_dwconv_planes_3x3s1 = dwconv_planes<4>,
    .f32_gemm_planes = gemm_planes<6, 2>,
    .f32_dwconv_3x3s1 = dwconv<3, 1, 8, float>,
    .f32_dwconv_3x3s2 = dwconv<3, 2, 8, float>,
    .f32_dwconv_5x5s1 = dwconv<5, 1, 8, float>,
    .f32_dwconv_5x5s2 = dwconv<5, 2, 8, float>,
    .f32_gemm = gemm<6, 2, F32Dot>,  // 12 accumulators, 2 weights, 1 broadcast
    .f32_gemv = gemv<6, 2, F32Dot>,
    .f32_channel_sum = f32_channel_sum,
    .f32_channel_scale = f32_channel_scale,
    .f32_dwgrad_3x3s1 = dwgrad<3, 1>,
    .f32_dwgrad_3x3s2 = dwgrad<3, 2>,
    .f32_dwgrad_5x5s1 = dwgrad<5, 1>,
    .f32_dwgrad_5x5s2 = dwgrad<5, 2>,
    .f32_peak = f32_peak,
    .bf16 = nullptr,
    .int8 = &int8_kernels__avx2,
    .u8_resize_rows = u8_resize_rows,
    .u8_resize_columns = u8_resize_columns,
};

}  // namespace lcnet
