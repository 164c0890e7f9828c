// Batch norm folded into the conv before it, in double precision.
#pragma once

#include <cstddef>

namespace lcnet {

// What a batch norm multiplies a channel by, and then adds.
struct Affine {
  double scale, shift;
};
Affine affine(double gamma, double beta, double mean, double var, double eps);

// As a model file has it, a value a channel.
struct BatchNorm {
  const float *gamma, *beta, *mean, *var;
  double eps;
};

// w, folded: [channels][taps]; bias [channels].
void fold(const BatchNorm& norm, const float* w, size_t channels, size_t taps, float* folded, float* bias);

}  // namespace lcnet
