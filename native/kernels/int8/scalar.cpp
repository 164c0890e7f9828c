// The tables of scalar int8 kernels: the first is for CPUs without better ones, the others hold the fast kernels to the
// specification in their own layouts.
#include "scalar.h"

#include "planes_scalar.h"

#include "../../fail.h"

#include "../channel/scalar.h"
#include "../tables.h"

namespace lcnet {

template <size_t L, size_t G, size_t P>
constexpr Int8Kernels int8_scalar_table() {
  return {
      .isa = "scalar",
      .lanes = L,
      .group = G,
      .panel = P,
      .quantize = int8_quantize__scalar<G>,
      .stem_3x3 = int8_stem_3x3__scalar<G>,
      .stem_f32 = int8_stem_f32__scalar<G>,
      .interleave_planes = int8_interleave_planes__scalar<L, G>,
      .dwconv_planes = int8_dwconv_planes__scalar<L, G>,
      .interleave = int8_interleave__scalar<L, G>,
      .dwconv = {{int8_dwconv__scalar<L, G, 3, 1>, int8_dwconv__scalar<L, G, 3, 2>},
                 {int8_dwconv__scalar<L, G, 5, 1>, int8_dwconv__scalar<L, G, 5, 2>}},
      .dwconv_f32 = {{int8_dwconv_f32__scalar<L, G, 3, 1>, int8_dwconv_f32__scalar<L, G, 3, 2>},
                     {int8_dwconv_f32__scalar<L, G, 5, 1>, int8_dwconv_f32__scalar<L, G, 5, 2>}},
      .gemm = int8_gemm__scalar<L, G, P>,
      .gemm_f32 = int8_gemm_f32__scalar<L, G, P>,
      .gemv_f32 = int8_gemv_f32__scalar<L, G, P>,
      .code = int8_code__scalar<G>,
      .f32_gemv = int8_f32_gemv__scalar<L, P>,
      .f32_channel_sum = f32_channel_sum__scalar,
  };
}

const Int8Kernels int8_kernels__scalar = int8_scalar_table<4, 2, 2>();

const Int8Kernels& int8_scalar_kernels(size_t lanes, size_t group) {
#if LCNET_ARM64
  static const Int8Kernels tables[] = {int8_kernels__scalar, int8_scalar_table<4, 4, 4>()};
#else
  static const Int8Kernels tables[] = {int8_kernels__scalar, int8_scalar_table<8, 2, 2>(), int8_scalar_table<16, 4, 2>()};
#endif
  for (const Int8Kernels& table : tables)
    if (table.lanes == lanes && table.group == group) return table;
  fail("there is no scalar int8 table of these lanes");
}

}  // namespace lcnet
