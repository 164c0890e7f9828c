// The sigmoid's arithmetic, the same to the bit wherever it is written: only fused multiply-adds, subtractions that are exact,
// and a division. With z = -x cut to +-kLargestExponent, n the integer nearest to z / ln 2 and r = z - n ln 2,
//
//   sigmoid(x) = 1 / (1 + exp(r) * 2^n)
//
// where exp(r), |r| <= ln 2 / 2, is its Taylor polynomial, whose error is below 2^-24 there.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace lcnet {

constexpr float kLargestExponent = 87.0f;  // exp of it and of its negative are normal numbers
constexpr float kLog2E = 1.44269504f;
constexpr float kRoundToInteger = 12582912.0f;  // 1.5 * 2^23: adding it leaves no bits after the point
constexpr float kLn2High = 0.693359375f;        // times any n it is exact
constexpr float kLn2Low = -2.12194440e-4f;
constexpr float kExp[] = {1.0f / 5040, 1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f};
constexpr size_t kExpTerms = sizeof kExp / sizeof *kExp;
constexpr uint32_t kBitsOfOne = 0x3f800000;

}  // namespace lcnet
