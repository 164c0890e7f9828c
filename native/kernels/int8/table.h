// The int8 kernels of a vector ISA, out of its vectors and its tiles. Included after simd/<isa>.h and int8/<isa>.h.
#pragma once

#include "../channel/simd.h"
#include "../gemm/simd.h"
#include "../tables.h"

#include "simd.h"

#include "gemm.h"
#include "planes.h"

namespace {

// How much of each kernel's work is in registers at a time.
struct Int8Tiles {
  size_t panel;                        // vectors of channels in a weight panel
  size_t stem_vectors, stem_channels;  // of pixels; they divide kPlanes
  size_t planes_vectors;               // of pixels, behind the stem
  size_t dwconv_pixels, dwconv_f32_pixels;
  size_t gemm_pixels, gemm_f32_pixels;  // x panel sums
  size_t gemv_panels, f32_gemv_panels;  // x panel sums
};

// Fused in all ISAs.
struct FusedDot {
  LCNET_INLINE Vec madd(Vec x, Vec w, Vec acc) { return fma(x, w, acc); }
};

template <Int8Tiles T>
constexpr lcnet::Int8Kernels int8_table(const char* isa) {
  constexpr size_t P = T.dwconv_pixels, F = T.dwconv_f32_pixels;
  return {
      .isa = isa,
      .lanes = Vec::L,
      .group = G,
      .panel = T.panel,
      .quantize = int8_quantize,
      .stem_3x3 = int8_stem<T.stem_vectors, T.stem_channels>,
      .stem_f32 = int8_stem_f32,
      .interleave_planes = int8_interleave_planes,
      .dwconv_planes = int8_dwconv_planes<T.planes_vectors>,
      .interleave = int8_interleave,
      .dwconv = {{int8_dwconv<3, 1, P>, int8_dwconv<3, 2, P>}, {int8_dwconv<5, 1, P>, int8_dwconv<5, 2, P>}},
      .dwconv_f32 = {{int8_dwconv_f32<3, 1, F>, int8_dwconv_f32<3, 2, F>},
                     {int8_dwconv_f32<5, 1, F>, int8_dwconv_f32<5, 2, F>}},
      .gemm = int8_gemm<T.gemm_pixels, T.panel>,
      .gemm_f32 = int8_gemm_f32<T.gemm_f32_pixels, T.panel>,
      .gemv_f32 = int8_gemv_f32<T.gemv_panels, T.panel>,
      .code = int8_code,
      .f32_gemv = gemv<T.f32_gemv_panels, T.panel, FusedDot>,
      .f32_channel_sum = f32_channel_sum,
  };
}

}  // namespace
