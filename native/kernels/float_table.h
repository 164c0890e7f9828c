// The float kernels of a vector ISA, out of its vectors and its tiles: all that tells one ISA's table from another's. Included
// after simd/<isa>.h and resize/<isa>.h.
#pragma once

#include "simd/common.h"

#include "channel/simd.h"
#include "dwconv/simd.h"
#include "dwgrad/simd.h"
#include "gemm/simd.h"
#include "peak/simd.h"
#include "resize/simd.h"
#include "stem/simd.h"
#include "tables.h"

namespace {

// How much of each kernel's work is in registers at a time.
struct Tiles {
  size_t panel;                        // vectors of channels in a weight panel
  size_t stem_vectors, stem_channels;  // of pixels; they divide kPlanes
  size_t planes_vectors;               // of pixels, behind the stem
  size_t dwconv_pixels;
  size_t gemm_pixels;  // x panel accumulators, and registers for `panel` weights and one broadcast
  size_t gemv_panels;  // x panel accumulators: as many as hide the latency of the multiply-add
};

template <Tiles T>
constexpr lcnet::Kernels float_table(const char* isa, const lcnet::Bf16Kernels* bf16, const lcnet::Int8Kernels* int8) {
  return {
      .isa = isa,
      .fused = Vec::kFused,
      .lanes = Vec::L,
      .panel = T.panel,
      .f32_split = f32_split,
      .f32_stem_3x3 = f32_stem<T.stem_vectors, T.stem_channels>,
      .f32_dwconv_planes_3x3s1 = dwconv_planes<T.planes_vectors>,
      .f32_gemm_planes = gemm_planes<T.gemm_pixels, T.panel>,
      .f32_dwconv = {{dwconv<3, 1, T.dwconv_pixels, float>, dwconv<3, 2, T.dwconv_pixels, float>},
                     {dwconv<5, 1, T.dwconv_pixels, float>, dwconv<5, 2, T.dwconv_pixels, float>}},
      .f32_gemm = gemm<T.gemm_pixels, T.panel, F32Dot>,
      .f32_gemv = gemv<T.gemv_panels, T.panel, F32Dot>,
      .f32_channel_sum = f32_channel_sum,
      .f32_channel_scale = f32_channel_scale,
      .f32_dwgrad = {{dwgrad<3, 1>, dwgrad<3, 2>}, {dwgrad<5, 1>, dwgrad<5, 2>}},
      .f32_peak = f32_peak,
      .bf16 = bf16,
      .int8 = int8,
      .u8_resize_rows = u8_resize_rows,
      .u8_resize_columns = u8_resize_columns,
      .u8_lerp_rows = u8_lerp_rows,
      .i16_lerp_columns = i16_lerp_columns,
  };
}

}  // namespace
