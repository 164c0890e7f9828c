// OpenCV's `resize` of bytes with INTER_LINEAR, followed by a crop, to the bit: no antialiasing, so that of a picture made much
// smaller most pixels have no part in it, nor are they read.
#pragma once

#include "resize.h"

namespace lcnet {

// As `resize` does for Filter::opencv_bilinear.
void lerp(const Kernels& kernels, const Picture& picture, const Resize& to, RowSink& sink);

}  // namespace lcnet
