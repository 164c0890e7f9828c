// The kernels for AVX-512: 32 registers of 16 floats. Compiled twice: with bfloat16 instructions and without.
#pragma once

#include "simd/avx512.h"

#include "simd/common.h"

#include "channel/simd.h"
#include "dwconv/simd.h"
#include "dwgrad/simd.h"
#include "gemm/simd.h"
#include "int8/tables.h"
#include "peak/simd.h"
#include "resize/avx512.h"
#include "resize/simd.h"
#include "stem/simd.h"
#include "tables.h"

namespace {

constexpr lcnet::Kernels avx512_table(const char* isa, const lcnet::Bf16Kernels* bf16, const lcnet::Int8Kernels* int8) {
  return {
      .isa = isa,
      .lanes = Vec::L,
      .panel = 2,
      .f32_split = f32_split,
      .f32_stem_3x3s2 = f32_stem<3, 8>,
      .f32_dwconv_planes_3x3s1 = dwconv_planes<7>,
      .f32_gemm_planes = gemm_planes<14, 2>,
      .f32_dwconv_3x3s1 = dwconv<3, 1, 14, float>,
      .f32_dwconv_3x3s2 = dwconv<3, 2, 14, float>,
      .f32_dwconv_5x5s1 = dwconv<5, 1, 14, float>,
      .f32_dwconv_5x5s2 = dwconv<5, 2, 14, float>,
      .f32_gemm = gemm<14, 2, F32Dot>,  // 28 accumulators, 2 weights; 14 divides 112, 56, 28 and 14
      .f32_gemv = gemv<8, 2, F32Dot>,
      .f32_channel_sum = f32_channel_sum,
      .f32_channel_scale = f32_channel_scale,
      .f32_dwgrad_3x3s1 = dwgrad<3, 1>,
      .f32_dwgrad_3x3s2 = dwgrad<3, 2>,
      .f32_dwgrad_5x5s1 = dwgrad<5, 1>,
      .f32_dwgrad_5x5s2 = dwgrad<5, 2>,
      .f32_peak = f32_peak,
      .bf16 = bf16,
      .int8 = int8,
      .u8_resize_rows = u8_resize_rows,
      .u8_resize_columns = u8_resize_columns,
  };
}

}  // namespace
