#include "scalar.h"

namespace lcnet {

const JpegKernels jpeg_kernels__scalar = {
    .isa = "scalar",
    .transform = jpeg_transform__scalar,
    .widen = jpeg_widen__scalar,
    .widen_both = jpeg_widen_both__scalar,
    .blend = jpeg_blend__scalar,
    .colors = jpeg_colors__scalar,
};

}  // namespace lcnet
