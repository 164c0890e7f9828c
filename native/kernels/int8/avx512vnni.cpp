// The int8 kernels for AVX-512 with VNNI. Compiled without contractions: a product is fused into a sum where the contract says
// so.
#include "../simd/avx512.h"

#include "../simd/common.h"

#include "../channel/simd.h"
#include "../gemm/simd.h"

#include "avx512vnni.h"

#include "simd.h"

#include "gemm.h"
#include "planes.h"
#include "tables.h"

namespace lcnet {

const Int8Kernels int8_kernels__avx512vnni = {
    .isa = "avx512vnni",
    .lanes = Vec::L,
    .group = G,
    .panel = 2,
    .quantise = int8_quantise,
    .stem_3x3s2 = int8_stem<4, 4>,
    .stem_f32 = int8_stem_f32,
    .interleave_planes = int8_interleave_planes,
    .dwconv_planes = int8_dwconv_planes<4>,
    .interleave = int8_interleave,
    .dwconv = {{int8_dwconv<3, 1, 14>, int8_dwconv<3, 2, 14>}, {int8_dwconv<5, 1, 14>, int8_dwconv<5, 2, 14>}},
    .dwconv_f32 = {{int8_dwconv_f32<3, 1, 7>, int8_dwconv_f32<3, 2, 7>},
                   {int8_dwconv_f32<5, 1, 7>, int8_dwconv_f32<5, 2, 7>}},
    .gemm = int8_gemm<12, 2>,  // 24 sums, 2 weights, 1 broadcast; with more, GCC 12 copies sums in the loop
    .gemm_f32 = int8_gemm_f32<7, 2>,
    .gemv_f32 = int8_gemv_f32<8, 2>,
    .code = int8_code,
    .f32_gemv = gemv<8, 2, F32Dot>,
    .f32_channel_sum = f32_channel_sum,
};

}  // namespace lcnet
