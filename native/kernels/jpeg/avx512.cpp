#include "../simd/avx512.h"

#include "../simd/common.h"

#include "../resize/avx512.h"

#include "avx512.h"

#include "simd.h"

namespace lcnet {

const JpegKernels jpeg_kernels__avx512 = jpeg_table("avx512");

}  // namespace lcnet
