// The table of scalar kernels. Four lanes are what every 64-bit CPU has (SSE2, NEON), so the compiler vectorises the loops;
// the wider tables exist for the tests, which hold each fast kernel against the specification in the same layout.
#include "tables.h"

#include <stdexcept>

#include "channel/scalar.h"
#include "dwconv/scalar.h"
#include "gemm/scalar.h"
#include "stem/scalar.h"

namespace lcnet {

template <size_t L, size_t P>
constexpr Kernels scalar_table() {
  return {
      .isa = "scalar",
      .lanes = L,
      .panel = P,
      .f32_stem_3x3s2 = f32_stem_3x3s2__scalar<L>,
      .f32_dwconv_3x3s1 = f32_dwconv__scalar<L, 3, 1>,
      .f32_dwconv_3x3s2 = f32_dwconv__scalar<L, 3, 2>,
      .f32_dwconv_5x5s1 = f32_dwconv__scalar<L, 5, 1>,
      .f32_dwconv_5x5s2 = f32_dwconv__scalar<L, 5, 2>,
      .f32_gemm = f32_gemm__scalar<L, P>,
      .f32_gemv = f32_gemv__scalar<L, P>,
      .f32_channel_sum = f32_channel_sum__scalar,
      .f32_channel_scale = f32_channel_scale__scalar,
  };
}

const Kernels kernels__scalar = scalar_table<4, 2>();

const Kernels& scalar_kernels(size_t lanes, size_t panel) {
  static const Kernels tables[] = {kernels__scalar, scalar_table<8, 2>(), scalar_table<16, 2>()};
  for (const Kernels& table : tables)
    if (table.lanes == lanes && table.panel == panel) return table;
  throw std::invalid_argument("there is no scalar table of these lanes");
}

}  // namespace lcnet
