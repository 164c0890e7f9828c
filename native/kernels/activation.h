// The activations on one float: what every vector form must equal.
#pragma once

#include "kernels.h"

namespace lcnet {

// Written as comparisons that are false for NaN, so that a NaN input stays NaN as IEEE arithmetic would have it.
inline float hsigmoid6(float x) {
  const float t = x + 3.0f;
  return t < 0.0f ? 0.0f : t > 6.0f ? 6.0f : t;
}

inline float hswish6(float x) { return x * hsigmoid6(x); }

inline float activate(float x, Activation act) {
  switch (act) {
    case Activation::relu: return x < 0.0f ? 0.0f : x;
    case Activation::hswish6: return hswish6(x);
    case Activation::hsigmoid6: return hsigmoid6(x);
    case Activation::none: break;
  }
  return x;
}

}  // namespace lcnet
