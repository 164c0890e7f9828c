#include "avx512.h"

namespace lcnet {

const Kernels kernels__avx512 = avx512_table("avx512", nullptr);

}  // namespace lcnet
