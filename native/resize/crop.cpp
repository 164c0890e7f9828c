#include "crop.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "../fail.h"

namespace lcnet {

CropMode crop_mode_named(const std::string& name) {
  constexpr const char* names[] = {"center", "squash", "border"};
  for (size_t i = 0; i < std::size(names); ++i)
    if (name == names[i]) return static_cast<CropMode>(i);
  fail(("there is no crop mode '" + name + "'").c_str());
}

// Far beyond any side, and still an integer.
static int64_t whole(double x) { return static_cast<int64_t>(std::min(x, 1e18)); }

static int64_t rounded(double x) { return whole(std::nearbyint(x)); }

// timm's for equal sides: the shorter one becomes the target, the longer one is cut to a whole number.
static Scaled by_shorter_side(int64_t target, double height, double width) {
  const int64_t longer = whole(static_cast<double>(target) * std::max(height, width) / std::min(height, width));
  return width <= height ? Scaled{longer, target} : Scaled{target, longer};
}

Scaled scaled_size(const CropRule& rule, size_t in_height, size_t in_width) {
  const int64_t target_h = whole(std::floor(static_cast<double>(rule.height) / rule.crop_pct));
  const int64_t target_w = whole(std::floor(static_cast<double>(rule.width) / rule.crop_pct));
  if (!target_h || !target_w) return {0, 0};
  if (rule.mode == CropMode::squash) return {target_h, target_w};
  const auto height = static_cast<double>(in_height), width = static_cast<double>(in_width);
  const auto to_h = static_cast<double>(target_h), to_w = static_cast<double>(target_w);
  const bool border = rule.mode == CropMode::border;
  if (rule.opencv) {
    const double scale = border ? std::min(to_h / height, to_w / width) : std::max(to_h / height, to_w / width);
    return {rounded(height * scale), rounded(width * scale)};
  }
  if (!border && target_h == target_w) return by_shorter_side(target_h, height, width);
  const double ratio = border ? std::max(height / to_h, width / to_w) : std::min(height / to_h, width / to_w);
  return {rounded(height / ratio), rounded(width / ratio)};
}

Kept kept(const CropRule& rule, size_t scaled, size_t target) {
  if (scaled < target) return {0, scaled, (target - scaled) / 2};
  const size_t beyond = scaled - target, half = beyond / 2;
  const bool up = !rule.opencv && beyond % 2 && half % 2;  // a half to even
  return {half + up, target, 0};
}

uint8_t fill(const CropRule& rule, double mean) {
  if (rule.mode != CropMode::border) return 0;
  return static_cast<uint8_t>(std::clamp(std::nearbyint(255 * mean), 0.0, 255.0));
}

}  // namespace lcnet
