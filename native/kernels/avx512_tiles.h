// What the AVX-512 tables share, with bfloat16 instructions and without: 32 registers of 16 floats. Included after
// simd/avx512.h.
#pragma once

#include "resize/avx512.h"

#include "float_table.h"

namespace {

constexpr Tiles kTiles = {
    .panel = 2,
    .stem_vectors = 3,
    .stem_channels = 8,
    .planes_vectors = 7,
    .dwconv_pixels = 14,
    .gemm_pixels = 14,  // divides 112, 56, 28 and 14
    .gemv_panels = 8,
};

}  // namespace
