#include "avx512.h"

namespace lcnet {

const Kernels kernels__avx512 = avx512_table("avx512", nullptr, &int8_kernels__avx2);
const Kernels kernels__avx512vnni = avx512_table("avx512vnni", nullptr, &int8_kernels__avx512vnni);

}  // namespace lcnet
