// The activations on one float: what every vector form must equal.
#pragma once

#include <math.h>
#include <string.h>

#include "kernels.h"
#include "sigmoid.h"

namespace lcnet {

// Written as comparisons that are false for NaN, so that a NaN input stays NaN as IEEE arithmetic would have it.
inline float hsigmoid6(float x) {
  const float t = x + 3.0f;
  return t < 0.0f ? 0.0f : t > 6.0f ? 6.0f : t;
}

inline float hswish6(float x) { return x * hsigmoid6(x); }

// 2^n of n + kRoundToInteger, -126 <= n <= 127: n is in its last bits, and moves to where exponents are.
inline float power_of_two(float shifted) {
  uint32_t bits;
  memcpy(&bits, &shifted, sizeof bits);
  bits = (bits << 23) + kBitsOfOne;
  float power;
  memcpy(&power, &bits, sizeof power);
  return power;
}

// See sigmoid.h.
inline float sigmoid(float x) {
  const float low = x < -kLargestExponent ? -kLargestExponent : x, z = low > kLargestExponent ? -kLargestExponent : -low;
  const float shifted = fmaf(z, kLog2E, kRoundToInteger), n = shifted - kRoundToInteger;
  const float r = fmaf(n, -kLn2Low, fmaf(n, -kLn2High, z));
  float exp = kExp[0];
  for (size_t i = 1; i < kExpTerms; ++i) exp = fmaf(exp, r, kExp[i]);
  return 1.0f / fmaf(exp, power_of_two(shifted), 1.0f);
}

inline float activate(float x, Activation act) {
  switch (act) {
    case Activation::relu: return x < 0.0f ? 0.0f : x;
    case Activation::hswish6: return hswish6(x);
    case Activation::hsigmoid6: return hsigmoid6(x);
    case Activation::sigmoid: return sigmoid(x);
    case Activation::none: break;
  }
  return x;
}

}  // namespace lcnet
