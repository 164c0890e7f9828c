// Positions are double and float arithmetic in OpenCV's order of operations (modules/imgproc/src/resize.cpp), so that the rounded
// coefficients are OpenCV's to the last bit. The file must not be compiled with fused multiply-adds.
//
// What OpenCV does by itself needs no code here, as the same numbers come out of it: an axis that keeps its size (coefficients
// 2048 and 0), and halving both axes, which it does as a mean of four, (a + b + c + d + 2) >> 2 (coefficients 1024 and 1024; of
// pictures with 1, 3 and 4 channels, others it rounds half to even).
#include "lerp.h"

#include <cmath>

#include "source.h"

namespace lcnet {

namespace {

constexpr size_t kGroup = 4;  // rows of one call of U8LerpRows

struct Position {
  ptrdiff_t first;  // of the two pixels that it lies between; -1 before the first one
  float rest;       // how far it is from that one to the next, 0 to 1
};

Position position(const Axis& axis, size_t i) {
  const double scale = 1.0 / (static_cast<double>(axis.out) / static_cast<double>(axis.in));
  const auto at = static_cast<float>((static_cast<double>(i) + 0.5) * scale - 0.5);
  const float whole = std::floor(at);
  return {static_cast<ptrdiff_t>(whole), at - whole};
}

// Halves to even.
int16_t fixed_point(float weight) { return static_cast<int16_t>(std::lrint(weight * 2048.0f)); }

// Beyond the border lies the pixel at it, by coefficients 1 and 0.
std::vector<LerpTap> column_taps(const Axis& axis) {
  const auto last = static_cast<ptrdiff_t>(axis.in) - 1;
  std::vector<LerpTap> taps;
  for (size_t i = axis.begin; i < axis.end; ++i) {
    const auto [first, rest] = position(axis, i);
    const float f = first < 0 || first >= last ? 0.0f : rest;
    const ptrdiff_t pixel = std::clamp<ptrdiff_t>(first, 0, last);
    taps.push_back({static_cast<uint32_t>(pixel), {fixed_point(1.0f - f), fixed_point(f)}});
  }
  return taps;
}

// Two rows, as numbers in the list of those that are needed.
struct RowTap {
  size_t rows[2];
  int16_t k[2];
};

// Beyond the border lies the row at it, by the coefficients of both: their products are cut one by one, so it is not the same.
struct RowTaps {
  explicit RowTaps(const Axis& axis) {
    const auto last = static_cast<ptrdiff_t>(axis.in) - 1;
    for (size_t i = axis.begin; i < axis.end; ++i) {
      const auto [first, rest] = position(axis, i);
      const size_t a = number(std::clamp<ptrdiff_t>(first, 0, last)), b = number(std::clamp<ptrdiff_t>(first + 1, 0, last));
      taps.push_back({{a, b}, {fixed_point(1.0f - rest), fixed_point(rest)}});
    }
  }

  std::vector<size_t> needed;  // rows of the picture, from top to bottom
  std::vector<RowTap> taps;

 private:
  // Of one of the last two, or of a new one below them.
  size_t number(ptrdiff_t y) {
    const auto row = static_cast<size_t>(y);
    if (needed.empty() || row > needed.back()) needed.push_back(row);
    return needed.size() - 1 - (row < needed.back());
  }
};

// The needed rows made as wide as the crop. The newest are kept in a ring.
class WideRows {
 public:
  WideRows(const Kernels& kernels, const Picture& picture, const Resize& to, const std::vector<size_t>& needed)
      : kernels_(kernels), source_(picture), channels_(picture.channels), needed_(needed),
        taps_(column_taps({picture.width, to.width, to.left, to.right})), pitch_(padded(taps_.size() * channels_)),
        ring_(kRing * pitch_) {}

  // Makes every row before number `end`, and at most three more.
  void make_until(size_t end) {
    for (; made_ < end; made_ = std::min(made_ + kGroup, needed_.size())) {
      const uint8_t* in[kGroup];
      int16_t* out[kGroup];
      for (size_t r = 0; r < kGroup; ++r) {
        const size_t i = std::min(made_ + r, needed_.size() - 1);
        in[r] = source_.row(needed_[i]), out[r] = row(i);
      }
      kernels_.u8_lerp_rows(in, taps_.data(), out, taps_.size(), channels_);
    }
  }
  int16_t* row(size_t i) { return &ring_[i % kRing * pitch_]; }

 private:
  static constexpr size_t kRing = 2 * kGroup;  // the last two, and the group that has the next one

  const Kernels& kernels_;
  const Source source_;
  const size_t channels_;
  const std::vector<size_t>& needed_;
  const std::vector<LerpTap> taps_;
  const size_t pitch_;
  std::vector<int16_t> ring_;
  size_t made_ = 0;
};

}  // namespace

void lerp(const Kernels& kernels, const Picture& picture, const Resize& to, RowSink& sink) {
  const RowTaps down({picture.height, to.height, to.top, to.bottom});
  WideRows rows(kernels, picture, to, down.needed);
  const size_t bytes = to.columns() * picture.channels;
  std::vector<uint8_t> line(padded(bytes));
  for (size_t y = 0; y < to.rows(); ++y) {
    const auto& [pair, k] = down.taps[y];
    rows.make_until(pair[1] + 1);
    const int16_t* in[] = {rows.row(pair[0]), rows.row(pair[1])};
    kernels.i16_lerp_columns(in, k, line.data(), bytes);
    sink.row(y, line.data());
  }
}

}  // namespace lcnet
