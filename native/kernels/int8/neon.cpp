// The int8 kernels for AArch64 without the instructions for dot products.
#define LCNET_DOT 0

#include "../simd/neon.h"

#include "../simd/common.h"

#include "neon.h"

#include "table.h"

namespace lcnet {

constexpr Int8Tiles kTiles = {
    .panel = 4,
    .stem_vectors = 2,
    .stem_channels = 8,
    .planes_vectors = 4,
    .dwconv_pixels = 14,
    .dwconv_f32_pixels = 14,
    .gemm_pixels = 4,
    .gemm_f32_pixels = 4,
    .gemv_panels = 2,
    .f32_gemv_panels = 4,
};

const Int8Kernels int8_kernels__neon = int8_table<kTiles>("neon");

}  // namespace lcnet
