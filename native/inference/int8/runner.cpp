#include "runner.h"

#include <algorithm>
#include <utility>

namespace lcnet {

constexpr size_t kDensePanels = 8;  // of weights a piece

constexpr size_t kKeptRows = Int8Plan::kStemRows - 2, kBorderSlot = kKeptRows, kSortingSlot = kKeptRows + 1;

Unit* Int8Runner::pixel_slot(size_t slot) const {
  return own(plan_.stem_rows) + slot * net_.pixel_units() * plan_.stem_row.pitch;
}

// Image row r as unit planes; one slot holds rows above and below the image.
Unit* Int8Runner::pixel_row(size_t r) const { return pixel_slot(r < plan_.height ? r % kKeptRows : kBorderSlot); }

// With a stride of 1 across the columns, which the kernel puts apart by parity, are put side by side again.
void Int8Runner::quantize_row(size_t r) const {
  const size_t height = plan_.height, width = plan_.width, pitch = plan_.stem_row.pitch, half = pitch / 2;
  const bool apart = net_.stem_stride.w == 2;
  Unit *row = pixel_row(r), *coded = apart ? row : pixel_slot(kSortingSlot);
  k_.quantize(image_ + r * width, height * width, net_.stem.coding(), coded, width, half, net_.in_chans);
  for (size_t plane = 0; !apart && plane < net_.pixel_units(); ++plane, row += pitch, coded += pitch)
    for (size_t x = 0; x < width; ++x) row[1 + x] = coded[x % 2 ? x / 2 + 1 : half + x / 2];
}

// Rows [y0, y1) of map 0.
void Int8Runner::stem_rows(size_t y0, size_t y1) {
  const size_t planes = net_.pixel_units(), units_a_plane = plan_.stem_row.pitch;
  for (size_t plane = 0; plane < Int8Plan::kStemRows * planes; ++plane)
    std::fill_n(own(plan_.stem_rows) + plane * units_a_plane, units_a_plane, net_.stem.border.data()[plane % planes]);
  next_ = y0 ? net_.stem_stride.h * y0 - 1 : 0;
  for (size_t y = y0; y < y1; ++y) stem_row(y);
}

void Int8Runner::stem_row(size_t y) {
  const size_t top = net_.stem_stride.h * y;  // the row of the centre
  for (; next_ < std::min(plan_.height, top + 2); ++next_) quantize_row(next_);
  const Unit* in[3];
  for (size_t ky = 0; ky < 3; ++ky) in[ky] = pixel_row(top + ky - 1);  // beyond any height where there is no row
  const Int8Map& m = plan_.maps[0];
  if (m.dense)
    return k_.stem_f32(in, plan_.stem_row, net_.stem.w.data(), net_.stem.sums(), dense_pixels(0, y * m.width), m.width,
                       m.channels, net_.in_chans, net_.stem.out, net_.activation);
  if (!net_.blocks[0].planes) {
    float* row = own(plan_.exported);
    k_.stem_f32(in, plan_.stem_row, net_.stem.w.data(), net_.stem.sums(), row, m.width, m.channels, net_.in_chans,
                net_.stem.out, net_.activation);
    put_values(0, row, y * m.width, m.width);
    return code_pixels(0, row, y * m.width, m.width);
  }
  k_.stem_3x3(in, plan_.stem_row, net_.stem.w.data(), net_.stem.sums(), net_.blocks[0].depthwise.coding(),
              codes(0) + y * m.pitch, m.width, m.pixels(), net_.in_chans, net_.stem.out, net_.activation);
}

// Group row `n` of block i's input: rows n * G - pad and on, where pad is half the kernel.
void Int8Runner::make_group(size_t i, size_t n) {
  const Int8Map& m = plan_.maps[i];
  const Int8Block& b = net_.blocks[i];
  const size_t pad = b.kernel / 2, pixel_bytes = b.planes ? 1 : k_.lanes;
  const uint8_t* rows[4] = {};
  for (size_t g = 0; g < k_.group; ++g) {
    const size_t y = n * k_.group + g;
    if (y >= pad && y < m.height + pad) rows[g] = codes(i) + (y - pad) * m.pitch * pixel_bytes;
  }
  const Unit* zeros = b.depthwise.zeros.data();
  if (b.planes)
    k_.interleave_planes(rows, zeros, group(i, n), m.width, m.pixels(), m.channels);
  else
    k_.interleave(rows, zeros, group(i, n), m.width, m.pixels() * k_.lanes, pad, m.channels);
}

Unit* Int8Runner::group(size_t i, size_t n) const {
  return own(plan_.groups) + n % plan_.ring * plan_.maps[i].channels * plan_.group_pitch(net_, i);
}

// The group rows that output row y of block i reads.
const Unit* const* Int8Runner::groups(size_t i, size_t y) {
  const size_t top = y * net_.blocks[i].stride.h, first = top / k_.group;
  const size_t count = net_.groups(net_.blocks[i].kernel, top % k_.group);
  for (next_ = std::max(next_, first); next_ < first + count; ++next_) make_group(i, next_);
  for (size_t n = 0; n < count; ++n) in_[n] = group(i, first + n);
  return in_;
}

// Output rows [y0, y1) of block 0 where it runs on planes.
void Int8Runner::plane_rows(size_t y0, size_t y1) {
  const Int8Block& b = net_.blocks[0];
  const Int8PackedDepthwise& d = b.depthwise;
  const size_t width = plan_.maps[0].width;
  next_ = 0;
  for (size_t y = y0; y < y1; ++y) {
    const size_t phase = y % k_.group;
    k_.dwconv_planes(groups(0, y), net_.groups(b.kernel, phase), d.w[phase].data(), d.start.data(), d.sums(),
                     b.pointwise.coding(), own(plan_.coded), width, d.in, net_.activation);
    pointwise(0, y * width, width, net_.padded(width));
  }
}

// Output rows [y0, y1) of block i.
void Int8Runner::block_rows(size_t i, size_t y0, size_t y1) {
  const Int8Block& b = net_.blocks[i];
  const Int8PackedDepthwise& d = b.depthwise;
  const Tile& t = plan_.tiles[i];
  const size_t width = plan_.maps[i + 1].width, pitch = plan_.group_pitch(net_, i);
  next_ = 0;
  for (size_t y = y0; y < y1; y += t.rows) {
    const size_t rows = std::min(t.rows, y1 - y);
    for (size_t x = 0; x < width; x += t.columns) {
      const size_t columns = std::min(t.columns, width - x);
      for (size_t r = 0; r < rows; ++r) {
        const size_t phase = (y + r) * b.stride.h % k_.group, count = net_.groups(b.kernel, phase);
        groups(i, y + r);
        for (size_t n = 0; n < count; ++n) in_[n] += x * b.stride.w * k_.lanes;
        b.dwconv(in_, count, d.w[phase].data(), d.start.data(), d.sums(), b.first().coding(),
                 own(plan_.coded) + r * columns * d.in / k_.group, columns, pitch, d.in, net_.activation);
      }
      pointwise(i, y * width + x, rows * columns);
    }
  }
}

// Pixels of block i's output, from `first` on, out of as many that are coded in their buffer; `pitch` as in Int8Gemm.
void Int8Runner::pointwise(size_t i, size_t first, size_t pixels, size_t pitch) {
  const Int8Block& b = net_.blocks[i];
  const Int8PackedDense& d = b.pointwise;
  const Unit* in = own(plan_.coded);
  const Int8Map& to = plan_.maps[i + 1];
  if (b.split()) code_mid(b, pixels);
  if (!to.dense && !to.kept && !b.shortcut && !wanted(i + 1))
    return k_.gemm(in, pitch, d.panel(0), d.start.data(), d.sums(), net_.blocks[i + 1].depthwise.coding(),
                   codes(i + 1) + first * k_.lanes, pixels, d.in, d.out, to.pixels() * k_.lanes, net_.activation);
  float* x = values(i + 1, first);
  k_.gemm_f32(in, pitch, d.panel(0), d.start.data(), d.sums(), x, pixels, d.in, d.out, to.channels, net_.activation);
  if (b.shortcut) add_input(i, x, first, pixels);
  put_values(i + 1, x, first, pixels);
  if (!to.dense) code_pixels(i + 1, x, first, pixels);
}

// The first of a block's two pointwise layers: what is coded becomes the codes that the second reads.
void Int8Runner::code_mid(const Int8Block& b, size_t pixels) {
  const Int8PackedDense& d = b.mid;
  float* mid = own(plan_.mid_tile);
  k_.gemm_f32(own(plan_.coded), 0, d.panel(0), d.start.data(), d.sums(), mid, pixels, d.in, d.out, d.out, net_.activation);
  k_.code(mid, nullptr, b.pointwise.coding(), own(plan_.coded), pixels, d.out);
}

// The shortcut of block i, on pixels of its output.
void Int8Runner::add_input(size_t i, float* x, size_t first, size_t pixels) const {
  const float* in = plan_.maps[i].kept ? kept_pixels(i, first) : dense_pixels(i, first);
  for (size_t n = 0; n < pixels * plan_.maps[i].channels; ++n) x[n] += in[n];
}

// Where to compute float pixels of a map.
float* Int8Runner::values(size_t map, size_t first) const {
  return plan_.maps[map].dense ? dense_pixels(map, first) : own(plan_.exported);
}

// What `values` holds goes to whoever else wants it.
void Int8Runner::put_values(size_t map, const float* x, size_t first, size_t pixels) {
  if (float* to = kept_pixels(map, first)) std::copy(x, x + pixels * plan_.maps[map].channels, to);
  if (wanted(map)) export_pixels(map, x, first, pixels);
}

void Int8Runner::export_pixels(size_t map, const float* x, size_t first, size_t pixels) {
  const Int8Map& m = plan_.maps[map];
  float* out = wanted(map);
  const float unit = unit_of(net_.activation);
  for (size_t c = 0; c < net_.blocks[map - 1].out_channels; ++c)
    for (size_t p = 0; p < pixels; ++p) out[c * m.pixels() + first + p] = x[p * m.channels + c] * unit;
}

// Output rows [y0, y1) of block i's depthwise layer as float, dense.
void Int8Runner::dense_rows(size_t i, size_t y0, size_t y1, float* out) {
  const Int8Block& b = net_.blocks[i];
  const Int8PackedDepthwise& d = b.depthwise;
  const size_t width = plan_.maps[i + 1].width, pitch = plan_.group_pitch(net_, i);
  next_ = 0;
  for (size_t y = y0; y < y1; ++y) {
    const size_t phase = y * b.stride.h % k_.group;
    b.dwconv_f32(groups(i, y), net_.groups(b.kernel, phase), d.w[phase].data(), d.start.data(), d.sums(),
                 out + y * width * d.in, width, pitch, d.in, net_.activation);
  }
}

// The means of dense rows, divided by `times`. A row is added up before the rows are, so that members may share them one day or not.
void Int8Runner::means(const float* x, size_t height, size_t width, size_t channels, double times, float* out) {
  float* sums = own(plan_.row_sums);
  for (size_t y = 0; y < height; ++y) k_.f32_channel_sum(x + y * width * channels, sums + y * channels, width, channels, 1.0f);
  const double values = times * static_cast<double>(height * width);
  k_.f32_channel_sum(sums, out, height, channels, static_cast<float>(1.0 / values));
}

// The gates of squeeze-and-excite, [channels].
void Int8Runner::gates(size_t i) {
  const Int8Block& b = net_.blocks[i];
  const Int8Map& m = plan_.maps[i + 1];
  const size_t channels = b.depthwise.in;
  float *mean = own(plan_.means), *squeezed = own(plan_.squeezed), *gate = shared(plan_.gate);
  means(shared(plan_.depthwise_map), m.height, m.width, channels, times_of(net_.activation), mean);
  k_.f32_gemv(mean, b.reduce.panel(0), b.reduce.b.data(), squeezed, b.reduce.in, b.reduce.out, Activation::relu);
  k_.f32_gemv(squeezed, b.expand.panel(0), b.expand.b.data(), gate, b.expand.in, b.expand.out, net_.gate);
  for (size_t c = 0; c < channels; ++c) gate[c] *= unit_of_gate(net_.gate);
}

// Pixels [begin, end) of a block behind its gates.
void Int8Runner::gated_pixels(size_t i, size_t begin, size_t end) {
  const Int8Block& b = net_.blocks[i];
  const size_t step = plan_.tiles[i].rows * plan_.tiles[i].columns, channels = b.depthwise.in;
  for (size_t first = begin; first < end; first += step) {
    const size_t pixels = std::min(step, end - first);
    k_.code(shared(plan_.depthwise_map) + first * channels, shared(plan_.gate), b.first().coding(), own(plan_.coded), pixels,
            channels);
    pointwise(i, first, pixels);
  }
}

void Int8Runner::squeeze_excite_block(size_t i) {
  const Int8Map& m = plan_.maps[i + 1];
  share_rows(m.height, [&](size_t y0, size_t y1) { dense_rows(i, y0, y1, shared(plan_.depthwise_map)); });
  share(1, [&](size_t) { gates(i); });
  share_rows(m.pixels(), [&](size_t begin, size_t end) { gated_pixels(i, begin, end); });
}

void Int8Runner::trunk(const float* image, const Outputs& out) {
  image_ = image;
  out_ = out;
  share_rows(plan_.maps[0].height, [&](size_t y0, size_t y1) { stem_rows(y0, y1); });
  for (size_t i = 0; i < net_.blocks.size(); ++i) {
    if (net_.in_float(i))
      float_block(i);
    else if (net_.blocks[i].se)
      squeeze_excite_block(i);
    else
      share_rows(plan_.maps[i + 1].height,
                 [&](size_t y0, size_t y1) { net_.blocks[i].planes ? plane_rows(y0, y1) : block_rows(i, y0, y1); });
  }
}

void Int8Runner::load_trunk(const float* features) {
  const Int8Map& m = plan_.maps.back();
  for (size_t c = 0; c < net_.features; ++c)
    for (size_t p = 0; p < m.pixels(); ++p)
      last()[p * m.channels + c] = features[c * m.pixels() + p] * times_of(net_.activation);
}

void Int8Runner::pool(float* out) {
  const double times = net_.pools_for_float() ? 1.0 : times_of(net_.activation);
  for (const Part& part : net_.pooled) {
    const Int8Map& m = plan_.maps[part.map];
    const float* x = kept_pixels(part.map, 0);
    means(x ? x : last(), m.height, m.width, m.channels, times, out + part.offset);
  }
}

// A layer of one pixel.
void Int8Runner::dense(const Int8PackedDense& d, const float* x, Activation act, float* out) {
  if (const PackedDense* f = net_.in_float(d)) return float_dense(*f, x, act, out);
  const size_t step = kDensePanels * k_.panel * k_.lanes;
  const size_t pieces = team_.size() == 1 ? 1 : (d.out + step - 1) / step;
  Unit* in = own(plan_.coded);
  k_.code(x, nullptr, d.coding(), in, 1, d.in);  // every member for itself
  share(pieces, [&](size_t piece) {
    const size_t begin = piece * step, end = pieces == 1 ? d.out : std::min(d.out, begin + step);
    k_.gemv_f32(in, d.panel(begin), d.start.data() + begin, d.sums(begin), out + begin, d.in, end - begin, act);
  });
}

void Int8Runner::head() {
  float *embedding = own(plan_.means), *logits = shared(plan_.logits);
  pool(embedding);  // every member for itself: that is quicker than a phase of its own
  if (net_.head.out) {
    float* const pooled = std::exchange(embedding, shared(plan_.embedding));
    dense(net_.head, pooled, net_.head_activation, embedding);
  }
  if (out_.logits) dense(net_.classifier, embedding, Activation::none, logits);
  share(1, [&](size_t) {
    if (out_.embedding) net_.copy_embedding(embedding, out_.embedding, net_.embedding_scale());
    if (out_.logits) std::copy(logits, logits + net_.classes, out_.logits);
  });
}

void Int8Runner::run(const float* image, const Outputs& out) {
  trunk(image, out);
  if (out.head()) head();
}

}  // namespace lcnet
