// The kernels for AVX-512 without bfloat16 instructions.
#include "simd/avx512.h"

#include "avx512_tiles.h"

namespace lcnet {

const Kernels kernels__avx512 = float_table<kTiles>("avx512", nullptr, &int8_kernels__avx2);
const Kernels kernels__avx512vnni = float_table<kTiles>("avx512vnni", nullptr, &int8_kernels__avx512vnni);

}  // namespace lcnet
