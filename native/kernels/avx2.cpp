// The kernels for AVX2 with FMA: 16 registers of 8 floats.
#include "simd/avx2.h"

#include "resize/avx2.h"

#include "float_table.h"

namespace {

constexpr Tiles kTiles = {
    .panel = 2,
    .stem_vectors = 3,
    .stem_channels = 4,
    .planes_vectors = 4,
    .dwconv_pixels = 8,
    .gemm_pixels = 6,
    .gemv_panels = 6,
};

}  // namespace

namespace lcnet {

const Kernels kernels__avx2 = float_table<kTiles>("avx2", nullptr, &int8_kernels__avx2);

}  // namespace lcnet
