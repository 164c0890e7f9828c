// The int8 kernels for WebAssembly.
#include "../simd/wasm.h"

#include "../simd/common.h"

#include "wasm.h"

#include "table.h"

namespace lcnet {

constexpr Int8Tiles kTiles = {
    .panel = 2,
    .stem_vectors = 2,
    .stem_channels = 4,
    .planes_vectors = 2,
    .dwconv_pixels = 4,
    .dwconv_f32_pixels = 4,
    .gemm_pixels = 4,
    .gemm_f32_pixels = 2,
    .gemv_panels = 2,
    .f32_gemv_panels = 1,
};

const Int8Kernels int8_kernels__wasm = int8_table<kTiles>(Vec::kFused ? "wasm_relaxed" : "wasm_simd128");

}  // namespace lcnet
