// How large a picture is made, and which part of that becomes the network's input: timm 1.0.31's rules, rounded as there, or
// PaddleClas's. Halves round to even wherever Python's `round` was the rule.
#pragma once

#include <cstdint>
#include <string>

#include "resize.h"

namespace lcnet {

enum class CropMode { center, squash, border };

// By its name, as above; fails for another.
CropMode crop_mode_named(const std::string& name);

struct CropRule {
  size_t height, width;  // of the input
  double crop_pct;
  CropMode mode;
  bool opencv;  // PaddleClas's rules, not timm's
};

struct Scaled {
  int64_t height, width;
};

// Of the whole picture, before the crop. Both sides are 0 if crop_pct is too large for the input; either may be 0, or beyond
// kMaxSide, of a picture that is too narrow: then it has to be refused.
Scaled scaled_size(const CropRule& rule, size_t height, size_t width);

// Along one axis: scaled pixels `first` .. `first` + `count` - 1 are kept, and are the input's from `at` on.
struct Kept {
  size_t first, count, at;
};
Kept kept(const CropRule& rule, size_t scaled, size_t target);

// What surrounds a picture that is smaller than the input: black, but with CropMode::border the channel's mean.
uint8_t fill(const CropRule& rule, double mean);

}  // namespace lcnet
