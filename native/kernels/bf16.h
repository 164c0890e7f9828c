// bfloat16 in plain C++: what the CPU's conversions do, but for NaN payloads.
#pragma once

#include <string.h>

#include "kernels.h"

namespace lcnet {

inline float to_float(BF16 x) {
  const uint32_t bits = static_cast<uint32_t>(x) << 16;
  float y;
  memcpy(&y, &bits, sizeof y);
  return y;
}

inline BF16 to_bf16(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  if (x != x) return static_cast<BF16>(bits >> 16 | 0x40);  // a NaN must not round to infinity
  return static_cast<BF16>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

inline void put(float* at, float x) { *at = x; }
inline void put(BF16* at, float x) { *at = to_bf16(x); }

}  // namespace lcnet
