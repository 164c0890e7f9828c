// Everything here is double arithmetic in Pillow's order of operations (libImaging/Resample.c and Geometry.c), so that the
// rounded coefficients are Pillow's to the last bit. The file must not be compiled with fused multiply-adds.
#include "taps.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "../fail.h"

namespace lcnet {

static double box(double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }

static double triangle(double x) { return std::max(1.0 - std::fabs(x), 0.0); }

static double sinc(double x) {
  const double angle = x * std::numbers::pi;
  return x == 0.0 ? 1.0 : std::sin(angle) / angle;
}

// The window's constants are floats in Pillow.
static double hamming(double x) {
  const double window = 0.54f + 0.46f * std::cos(std::fabs(x) * std::numbers::pi);
  return std::fabs(x) < 1.0 ? sinc(std::fabs(x)) * window : 0.0;
}

// Keys' cubic convolution with a = -1/2.
static double cubic(double x) {
  constexpr double a = -0.5;
  const double d = std::fabs(x);
  if (d < 1.0) return ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0;
  return d < 2.0 ? (((d - 5.0) * d + 8.0) * d - 4.0) * a : 0.0;
}

static double lanczos3(double x) { return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3.0) : 0.0; }

namespace {
struct Kernel {
  const char* name;
  double support;  // on either side, in pixels of whichever picture is coarser
  double (*weight)(double);
};
}  // namespace

static constexpr Kernel kKernels[] = {{"nearest", 0, nullptr},        {"box", 0.5, box},     {"bilinear", 1, triangle},
                                      {"hamming", 1, hamming},        {"bicubic", 2, cubic}, {"lanczos", 3, lanczos3},
                                      {"opencv_bilinear", 0, nullptr}};

Filter filter_named(const std::string& name) {
  for (size_t i = 0; i < std::size(kKernels); ++i)
    if (name == kKernels[i].name) return static_cast<Filter>(i);
  fail(("there is no filter '" + name + "'").c_str());
}

// Halves away from zero; a conversion to a whole number cuts the rest.
static int32_t fixed_point(double weight) {
  const double scaled = weight * (1 << 22);
  return static_cast<int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
}

// Appends one output pixel's coefficients: [ceil(count / 2)][low, high][2].
static void append(std::vector<int16_t>& k, const std::vector<double>& weights) {
  const size_t at = k.size();
  k.resize(at + (weights.size() + 1) / 2 * 4);
  for (size_t t = 0; t < weights.size(); ++t) {
    const int32_t whole = fixed_point(weights[t]);
    int16_t* half = &k[at + t / 2 * 4 + t % 2];
    half[0] = static_cast<int16_t>(whole & 0x7fff);
    half[2] = static_cast<int16_t>(whole >> 15);
  }
}

AxisTaps axis_taps(Filter filter, const Axis& axis) {
  const Kernel& kernel = kKernels[static_cast<size_t>(filter)];
  const double scale = static_cast<double>(axis.in) / static_cast<double>(axis.out), stretch = std::max(scale, 1.0);
  const double support = kernel.support * stretch, shrink = 1.0 / stretch;
  AxisTaps result;
  std::vector<double> weights;
  for (size_t i = axis.begin; i < axis.end; ++i) {
    const double center = (static_cast<double>(i) + 0.5) * scale;
    const auto first = static_cast<size_t>(std::max(center - support + 0.5, 0.0));
    const size_t last = std::min(static_cast<size_t>(center + support + 0.5), axis.in);
    double sum = 0;
    weights.clear();
    for (size_t t = first; t < last; ++t) {
      weights.push_back(kernel.weight((static_cast<double>(t) - center + 0.5) * shrink));
      sum += weights.back();
    }
    if (sum != 0)
      for (double& weight : weights) weight /= sum;
    result.taps.push_back({static_cast<uint32_t>(first), static_cast<uint32_t>(last - first)});
    append(result.k, weights);
  }
  return result;
}

size_t AxisTaps::most() const {
  size_t most = 0;
  for (const ResizeTaps& t : taps) most = std::max<size_t>(most, t.count);
  return most;
}

// Pillow adds up the steps, with their rounding. For sides up to 2^24 that error is below 2^24 * 2^-53 of `in`, less than the
// half step that the last position keeps from the end.
std::vector<size_t> nearest_pixels(const Axis& axis) {
  const double step = static_cast<double>(axis.in) / static_cast<double>(axis.out);
  std::vector<size_t> pixels;
  double position = step * 0.5;
  for (size_t i = 0; i < axis.end; ++i, position += step)
    if (i >= axis.begin) pixels.push_back(static_cast<size_t>(position));
  return pixels;
}

}  // namespace lcnet
