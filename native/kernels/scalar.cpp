// The table of scalar kernels. Four lanes are what every 64-bit CPU has (SSE2, NEON), so the compiler vectorises the loops;
// the wider tables exist for the tests, which hold each fast kernel against the specification in the same layout.
#include "tables.h"

#include "../fail.h"

#include "channel/scalar.h"
#include "dwconv/scalar.h"
#include "dwgrad/scalar.h"
#include "gemm/scalar.h"
#include "peak/scalar.h"
#include "resize/scalar.h"
#include "stem/scalar.h"

namespace lcnet {

template <size_t L, size_t P>
constexpr Bf16Kernels bf16_scalar = {
    .dwconv = {{dwconv__scalar<L, 3, 1, BF16>, dwconv__scalar<L, 3, 2, BF16>},
               {dwconv__scalar<L, 5, 1, BF16>, dwconv__scalar<L, 5, 2, BF16>}},
    .gemm = gemm__scalar<L, P, BF16>,
    .gemm_narrow = gemm__scalar<L, P, BF16, BF16>,
    .gemv = gemv__scalar<L, P, BF16>,
    .channel_scale = bf16_channel_scale__scalar,
};

template <size_t L, size_t P>
constexpr Kernels scalar_table() {
  return {
      .isa = "scalar",
      .fused = false,
      .lanes = L,
      .panel = P,
      .f32_split = f32_split__scalar,
      .f32_stem_3x3 = f32_stem_3x3__scalar<L>,
      .f32_dwconv_planes_3x3s1 = f32_dwconv_planes_3x3s1__scalar,
      .f32_gemm_planes = gemm_planes__scalar<L, P>,
      .f32_dwconv = {{dwconv__scalar<L, 3, 1, float>, dwconv__scalar<L, 3, 2, float>},
                     {dwconv__scalar<L, 5, 1, float>, dwconv__scalar<L, 5, 2, float>}},
      .f32_gemm = gemm__scalar<L, P, float>,
      .f32_gemv = gemv__scalar<L, P, float>,
      .f32_channel_sum = f32_channel_sum__scalar,
      .f32_channel_scale = f32_channel_scale__scalar,
      .f32_dwgrad = {{dwgrad__scalar<3, 1>, dwgrad__scalar<3, 2>}, {dwgrad__scalar<5, 1>, dwgrad__scalar<5, 2>}},
      .f32_peak = f32_peak__scalar<L>,
      .bf16 = &bf16_scalar<L, P>,
      .int8 = &int8_kernels__scalar,
      .u8_resize_rows = u8_resize_rows__scalar,
      .u8_resize_columns = u8_resize_columns__scalar,
      .u8_lerp_rows = u8_lerp_rows__scalar,
      .i16_lerp_columns = i16_lerp_columns__scalar,
  };
}

const Kernels kernels__scalar = scalar_table<4, 2>();

const Kernels& scalar_kernels(size_t lanes, size_t panel) {
#if LCNET_ARM64
  static const Kernels tables[] = {kernels__scalar, scalar_table<4, 4>()};
#else
  static const Kernels tables[] = {kernels__scalar, scalar_table<8, 2>(), scalar_table<16, 2>()};
#endif
  for (const Kernels& table : tables)
    if (table.lanes == lanes && table.panel == panel) return table;
  fail("there is no scalar table of these lanes");
}

}  // namespace lcnet
