// The int8 kernels for AVX2 with FMA. Compiled without contractions: a product is fused into a sum where the contract says so.
#include "../simd/avx2.h"

#include "../simd/common.h"

#include "avx2.h"

#include "table.h"

namespace lcnet {

constexpr Int8Tiles kTiles = {
    .panel = 2,
    .stem_vectors = 2,
    .stem_channels = 4,
    .planes_vectors = 4,
    .dwconv_pixels = 8,
    .dwconv_f32_pixels = 8,
    .gemm_pixels = 6,  // 12 sums, 2 weights, 1 broadcast, 1 product
    .gemm_f32_pixels = 6,
    .gemv_panels = 4,
    .f32_gemv_panels = 6,
};

const Int8Kernels int8_kernels__avx2 = int8_table<kTiles>("avx2");

}  // namespace lcnet
