// The only place that asks which CPU this is.
#pragma once

#include <string>
#include <vector>

#include "kernels/jpeg/jpeg.h"
#include "kernels/kernels.h"

namespace lcnet {

struct Isa {
  const Kernels* kernels;
  bool supported;  // by this CPU and its operating system
};

// Every ISA of this build, fastest first.
std::vector<Isa> isas();

// The kernels of the named ISA; an empty name means the environment variable LCNET_ISA, or else the fastest supported one.
// Throws std::invalid_argument for an ISA that this build or this CPU does not have, or that lacks the precision.
const Kernels& select_kernels(const std::string& name, Precision precision = Precision::f32);

// The float kernels for the parts of a quantised network that stay in float: with as many lanes as the int8 ones.
const Kernels& float_kernels(const Int8Kernels& int8);

// Those that decode JPEG files, of the same ISA or one that it includes.
const JpegKernels& jpeg_kernels(const Kernels& kernels);

}  // namespace lcnet
