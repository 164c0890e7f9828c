// The int8 kernels for AVX2 with FMA. Compiled without contractions: a product is fused into a sum where the contract says so.
#include "../simd/avx2.h"

#include "../simd/common.h"

#include "../channel/simd.h"
#include "../gemm/simd.h"

#include "avx2.h"

#include "simd.h"

#include "gemm.h"
#include "planes.h"
#include "tables.h"

namespace lcnet {

const Int8Kernels int8_kernels__avx2 = {
    .isa = "avx2",
    .lanes = Vec::L,
    .group = G,
    .panel = 2,
    .quantise = int8_quantise,
    .stem_3x3s2 = int8_stem<2, 4>,
    .stem_f32 = int8_stem_f32,
    .interleave_planes = int8_interleave_planes,
    .dwconv_planes = int8_dwconv_planes<4>,
    .interleave = int8_interleave,
    .dwconv = {{int8_dwconv<3, 1, 8>, int8_dwconv<3, 2, 8>}, {int8_dwconv<5, 1, 8>, int8_dwconv<5, 2, 8>}},
    .dwconv_f32 = {{int8_dwconv_f32<3, 1, 8>, int8_dwconv_f32<3, 2, 8>},
                   {int8_dwconv_f32<5, 1, 8>, int8_dwconv_f32<5, 2, 8>}},
    .gemm = int8_gemm<6, 2>,  // 12 sums, 2 weights, 1 broadcast, 1 product
    .gemm_f32 = int8_gemm_f32<6, 2>,
    .gemv_f32 = int8_gemv_f32<4, 2>,
    .code = int8_code,
    .f32_gemv = gemv<6, 2, F32Dot>,
    .f32_channel_sum = f32_channel_sum,
};

}  // namespace lcnet
