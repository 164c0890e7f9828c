// The float kernels for WebAssembly: registers of 4 floats, of which x86 has 16 and ARM 32. Those of training and of measuring peaks
// are left out, and the int8 ones are for who links them: a module without them is a third smaller.
#include "simd/wasm.h"

#include "resize/wasm.h"

#include "float_table.h"

namespace {

constexpr Tiles kTiles = {
    .panel = 2,
    .stem_vectors = 3,
    .stem_channels = 4,
    .planes_vectors = 2,
    .dwconv_pixels = 4,
    .gemm_pixels = 4,  // with 6, V8 spills on x86
    .gemv_panels = 2,
};

constexpr lcnet::Kernels for_inference(lcnet::Kernels kernels) {
  for (auto& of_kernel : kernels.f32_dwgrad)
    for (auto& kernel : of_kernel) kernel = nullptr;
  kernels.f32_peak = nullptr;
  return kernels;
}

}  // namespace

namespace lcnet {

const Kernels kernels__wasm =
    for_inference(float_table<kTiles>(Vec::kFused ? "wasm_relaxed" : "wasm_simd128", nullptr, nullptr));

}  // namespace lcnet
