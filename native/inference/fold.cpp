#include "fold.h"

#include <cmath>

namespace lcnet {

Affine affine(double gamma, double beta, double mean, double var, double eps) {
  const double scale = gamma / std::sqrt(var + eps);
  return {scale, beta - mean * scale};
}

void fold(const BatchNorm& n, const float* w, size_t channels, size_t taps, float* folded, float* bias) {
  for (size_t c = 0; c < channels; ++c) {
    const Affine a = affine(n.gamma[c], n.beta[c], n.mean[c], n.var[c], n.eps);
    for (size_t t = 0; t < taps; ++t) folded[c * taps + t] = static_cast<float>(w[c * taps + t] * a.scale);
    bias[c] = static_cast<float>(a.shift);
  }
}

}  // namespace lcnet
