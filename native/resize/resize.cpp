#include "resize.h"

#include <cstring>

#include "lerp.h"
#include "source.h"

namespace lcnet {

namespace {

constexpr size_t kGroup = 4;  // rows of one call of U8ResizeRows

// The picture's rows made as wide as the crop, from the first to the last that the crop needs. The newest are kept in a ring.
class WideRows {
 public:
  WideRows(const Kernels& kernels, const Picture& picture, const Resize& to, const AxisTaps& down)
      : kernels_(kernels), source_(picture), channels_(picture.channels), to_(to), capacity_(down.most() + kGroup),
        made_(down.taps.front().first), last_(down.taps.back().first + down.taps.back().count),
        pitch_(padded(to.columns() * channels_)), ring_(capacity_ * pitch_) {
    if (to.width != picture.width) across_ = axis_taps(to.filter, {picture.width, to.width, to.left, to.right});
  }

  // Makes every row below `end`, and at most three more: those that the ring forgets are older than most() before `end`.
  void make_until(size_t end) {
    while (made_ < end) {
      const size_t n = std::min(kGroup, last_ - made_);
      across_.taps.empty() ? copy(n) : scale(n);
      made_ += n;
    }
  }
  uint8_t* row(size_t y) { return &ring_[y % capacity_ * pitch_]; }

 private:
  void copy(size_t n) {
    for (size_t y = made_; y < made_ + n; ++y)
      std::memcpy(row(y), source_.row(y) + to_.left * channels_, to_.columns() * channels_);
  }
  void scale(size_t n) {
    const uint8_t* in[kGroup];
    uint8_t* out[kGroup];
    for (size_t r = 0; r < kGroup; ++r) {
      const size_t y = made_ + std::min(r, n - 1);
      in[r] = source_.row(y), out[r] = row(y);
    }
    kernels_.u8_resize_rows(in, across_.taps.data(), across_.k.data(), out, to_.columns(), channels_);
  }

  const Kernels& kernels_;
  const Source source_;
  const size_t channels_;
  const Resize& to_;
  AxisTaps across_;  // empty if the width stays
  const size_t capacity_;
  size_t made_;  // the first row that is not made yet
  const size_t last_;
  const size_t pitch_;
  std::vector<uint8_t> ring_;
};

// Goes down the output rows and their taps.
class Down {
 public:
  Down(const Kernels& kernels, const AxisTaps& taps)
      : kernels_(kernels), taps_(taps), k_(taps.k.data()), rows_(taps.most() + 1) {}

  const ResizeTaps& taps() const { return taps_.taps[y_]; }

  // Combines the rows that `row` names, then steps on to the next output row. An odd one out is paired with itself and a zero.
  template <class Row>
  void combine(Row row, uint8_t* out, size_t bytes) {
    const auto [first, count] = taps();
    for (size_t t = 0; t < count; ++t) rows_[t] = row(first + t);
    rows_[count] = rows_[count - 1];
    kernels_.u8_resize_columns(rows_.data(), k_, count, out, bytes);
    k_ += (count + 1) / 2 * 4;
    ++y_;
  }

 private:
  const Kernels& kernels_;
  const AxisTaps& taps_;
  const int16_t* k_;
  size_t y_ = 0;
  std::vector<const uint8_t*> rows_;
};

}  // namespace

static void across_then_down(const Kernels& kernels, const Picture& picture, const Resize& to, RowSink& sink) {
  const AxisTaps taps = axis_taps(to.filter, {picture.height, to.height, to.top, to.bottom});
  WideRows rows(kernels, picture, to, taps);
  Down down(kernels, taps);
  const size_t bytes = to.columns() * picture.channels;
  std::vector<uint8_t> line(padded(bytes));
  for (size_t y = 0; y < to.rows(); ++y) {
    rows.make_until(down.taps().first + down.taps().count);
    down.combine([&](size_t i) { return rows.row(i); }, line.data(), bytes);
    sink.row(y, line.data());
  }
}

static void down_then_across(const Kernels& kernels, const Picture& picture, const Resize& to, RowSink& sink) {
  const AxisTaps taps = axis_taps(to.filter, {picture.height, to.height, to.top, to.bottom});
  const AxisTaps across = axis_taps(to.filter, {picture.width, to.width, to.left, to.right});
  const Source source(picture);
  Down down(kernels, taps);
  const size_t begin = across.taps.front().first * picture.channels;
  const size_t end = (across.taps.back().first + across.taps.back().count) * picture.channels;
  const size_t in_pitch = padded(source.row_bytes()), out_pitch = padded(to.columns() * picture.channels);
  std::vector<uint8_t> tall(kGroup * in_pitch), lines(kGroup * out_pitch);
  for (size_t y = 0; y < to.rows(); y += kGroup) {
    const size_t n = std::min(kGroup, to.rows() - y);
    const uint8_t* in[kGroup];
    uint8_t* out[kGroup];
    for (size_t r = 0; r < kGroup; ++r) {
      const size_t i = std::min(r, n - 1);
      in[r] = &tall[i * in_pitch], out[r] = &lines[i * out_pitch];
      if (r < n) down.combine([&](size_t row) { return source.row(row) + begin; }, &tall[i * in_pitch + begin], end - begin);
    }
    kernels.u8_resize_rows(in, across.taps.data(), across.k.data(), out, to.columns(), picture.channels);
    for (size_t r = 0; r < n; ++r) sink.row(y + r, out[r]);
  }
}

static void pick_nearest(const Picture& picture, const Resize& to, RowSink& sink) {
  const std::vector<size_t> columns = nearest_pixels({picture.width, to.width, to.left, to.right});
  const std::vector<size_t> rows = nearest_pixels({picture.height, to.height, to.top, to.bottom});
  const size_t channels = picture.channels;
  std::vector<uint8_t> line(columns.size() * channels);
  for (size_t y = 0; y < rows.size(); ++y) {
    const uint8_t* row = picture.pixels + rows[y] * picture.width * channels;
    for (size_t x = 0; x < columns.size(); ++x)
      for (size_t c = 0; c < channels; ++c) line[x * channels + c] = row[columns[x] * channels + c];
    sink.row(y, line.data());
  }
}

// Pillow 13 goes down first where that loses more than twice as many rows as the other axis loses columns. With one axis
// unchanged there is one pass and no order.
static bool down_first(const Picture& picture, const Resize& to) {
  if (to.height >= picture.height || to.width == picture.width) return false;
  return picture.height - to.height + 2 * to.width > 2 * picture.width;
}

void resize(const Kernels& kernels, const Picture& picture, const Resize& to, RowSink& sink) {
  if (to.filter == Filter::opencv_bilinear) return lerp(kernels, picture, to, sink);
  if (to.filter == Filter::nearest) return pick_nearest(picture, to, sink);
  if (down_first(picture, to)) return down_then_across(kernels, picture, to, sink);
  across_then_down(kernels, picture, to, sink);
}

}  // namespace lcnet
