#include "../simd/avx2.h"

#include "../simd/common.h"

#include "../resize/avx2.h"

#include "avx2.h"

#include "simd.h"

namespace lcnet {

const JpegKernels jpeg_kernels__avx2 = jpeg_table("avx2");

}  // namespace lcnet
