// The float kernels for AArch64: 32 registers of 4 floats.
#include "simd/neon.h"

#include "resize/neon.h"

#include "float_table.h"

namespace {

constexpr Tiles kTiles = {
    .panel = 4,
    .stem_vectors = 3,
    .stem_channels = 8,
    .planes_vectors = 7,
    .dwconv_pixels = 14,
    .gemm_pixels = 6,  // 24 sums, 6 vectors of pixels, 2 of weights
    .gemv_panels = 4,
};

}  // namespace

namespace lcnet {

const Kernels kernels__neon = float_table<kTiles>("neon", nullptr, &int8_kernels__neon);
const Kernels kernels__neon_dot = float_table<kTiles>("neon_dot", nullptr, &int8_kernels__neon_dot);

}  // namespace lcnet
