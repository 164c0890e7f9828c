// The int8 kernels for AVX-512 with VNNI. Compiled without contractions: a product is fused into a sum where the contract says
// so.
#include "../simd/avx512.h"

#include "../simd/common.h"

#include "avx512vnni.h"

#include "table.h"

namespace lcnet {

constexpr Int8Tiles kTiles = {
    .panel = 2,
    .stem_vectors = 4,
    .stem_channels = 4,
    .planes_vectors = 4,
    .dwconv_pixels = 14,
    .dwconv_f32_pixels = 7,
    .gemm_pixels = 12,  // 24 sums, 2 weights, 1 broadcast; with more, GCC 12 copies sums in the loop
    .gemm_f32_pixels = 7,
    .gemv_panels = 8,
    .f32_gemv_panels = 8,
};

const Int8Kernels int8_kernels__avx512vnni = int8_table<kTiles>("avx512vnni");

}  // namespace lcnet
