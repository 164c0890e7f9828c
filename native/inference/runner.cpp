#include "runner.h"

#include <algorithm>
#include <utility>

#include "../kernels/bf16.h"

namespace lcnet {

constexpr size_t kGatedPieces = 2;  // a member: fewer would leave one waiting, more would read the weights too often
constexpr size_t kDensePanels = 6;  // of weights a piece: what f32_gemv does side by side

float* Runner::row(size_t map, size_t y) const {
  const Map& m = plan_.maps[map];
  return (map < plan_.front ? own(m.place) : shared(m.place)) + y % m.ring * m.row_floats();
}

// The last map is dense [pixels][channels], as the pooling and the head want it.
float* Runner::pixel(size_t map, size_t y, size_t x) const {
  const Map& m = plan_.maps[map];
  if (map + 1 == plan_.maps.size()) return shared(m.place) + (y * m.width + x) * m.channels;
  return row(map, y) + (m.pad + x) * net_.kernels.lanes;
}

size_t Runner::block_stride(size_t map) const {
  return map + 1 == plan_.maps.size() ? net_.kernels.lanes : plan_.maps[map].pitch * net_.kernels.lanes;
}

// Where `columns` pixels of row y are, from x0 on.
void Runner::point(size_t map, size_t y, size_t x0, size_t columns, float** out) const {
  const size_t step = map + 1 == plan_.maps.size() ? plan_.maps[map].channels : net_.kernels.lanes;
  float* first = pixel(map, y, x0);
  for (size_t x = 0; x < columns; ++x) out[x] = first + x * step;
}

// Channel c of the next image row as the stem reads it.
void Runner::image_row(size_t c, float* out) const {
  const float* in = image_ + (c * plan_.height + image_rows_) * plan_.width;
  if (net_.stem_stride.w == 1)
    std::copy(in, in + plan_.width, out + plan_.stem_row.center);
  else
    net_.kernels.f32_split(in, out, plan_.width, plan_.stem_row.center);
}

// Row y of map 0.
void Runner::stem_row(size_t y) {
  const size_t C = net_.in_chans, floats = plan_.stem_row.pitch, top = net_.stem_stride.h * y;  // the row of the centre
  const size_t ky0 = y == 0 ? 1 : 0, ky1 = std::min<size_t>(3, plan_.height + 1 - top);
  float* rows = own(plan_.stem_rows);  // [3][in_chans][floats]; image row r is in slot r % 3
  for (image_rows_ = std::max(image_rows_, top + ky0 - 1); image_rows_ < top + ky1 - 1; ++image_rows_)
    for (size_t c = 0; c < C; ++c) image_row(c, rows + (image_rows_ % 3 * C + c) * floats);

  const float** in = own(plan_.stem_pointers);
  for (size_t ky = ky0; ky < ky1; ++ky)
    for (size_t c = 0; c < C; ++c) in[ky * C + c] = rows + ((top + ky - 1) % 3 * C + c) * floats;
  const Map& m = plan_.maps[0];
  const bool planes = net_.blocks[0].planes;
  float* out = planes ? row(0, y) + m.pad : own(plan_.stem_planes);
  net_.kernels.f32_stem_3x3(in, plan_.stem_row, net_.stem.w.data(), net_.stem.b.data(), out, m.width,
                            planes ? m.pitch : net_.padded(m.width), C, net_.stem.channels, ky0, ky1, net_.activation);
  if (!planes) blocked_row(y, out);
}

// Row y of map 0 out of planes. Both may be padded, each to its own multiple: channels beyond either are zero from the start.
void Runner::blocked_row(size_t y, const float* planes) {
  const Map& m = plan_.maps[0];
  const size_t L = net_.kernels.lanes, pitch = net_.padded(m.width), stride = block_stride(0);
  float* out = pixel(0, y, 0);
  for (size_t c = 0; c < std::min(net_.stem.channels, m.channels); ++c)
    for (size_t x = 0; x < m.width; ++x) out[c / L * stride + x * L + c % L] = planes[c * pitch + x];
}

// `columns` output pixels of block 0, which runs on planes, from column x0 of row y on.
void Runner::planes(size_t y, size_t x0, size_t columns) {
  const Block& b = net_.blocks[0];
  const Map& m = plan_.maps[0];
  const size_t ky0 = y == 0 ? 1 : 0, ky1 = std::min<size_t>(3, m.height + 1 - y), pitch = net_.padded(columns);
  const float* in[3] = {};
  for (size_t ky = ky0; ky < ky1; ++ky) in[ky] = row(0, y + ky - 1) + m.pad + x0;
  float* dense = own(plan_.dense_tile);
  net_.kernels.f32_dwconv_planes_3x3s1(in, b.depthwise.w.data(), b.depthwise.b.data(), dense, columns, m.pitch, pitch,
                                       m.channels, ky0, ky1, net_.activation);
  float** out = own(plan_.pixel_pointers);
  point(1, y, x0, columns, out);
  net_.kernels.f32_gemm_planes(dense, pitch, b.pointwise.w.data(), b.pointwise.b.data(), out, columns, b.pointwise.in,
                               b.pointwise.out, block_stride(1), net_.activation);
}

// `columns` output pixels from x0 of output row y of block i's depthwise layer; out: dense, float or bfloat16.
template <class Dwconv, class Out>
void Runner::depthwise_row(size_t i, size_t y, size_t x0, size_t columns, Dwconv* kernel, Out* out) {
  const Block& b = net_.blocks[i];
  const Map& m = plan_.maps[i];
  const size_t pad = b.kernel / 2, top = y * b.stride.h;  // input row of the kernel's first row, plus pad
  const size_t ky0 = top < pad ? pad - top : 0, ky1 = std::min(b.kernel, m.height + pad - top);
  const float* in[kMaxKernel] = {};
  for (size_t ky = ky0; ky < ky1; ++ky) in[ky] = row(i, top + ky - pad) + x0 * b.stride.w * net_.kernels.lanes;
  kernel(in, b.depthwise.w.data(), b.depthwise.b.data(), out, columns, m.pitch, m.channels, ky0, ky1, net_.activation);
}

// A pointwise layer on dense input, which is bfloat16 where the layer's weights are.
void Runner::gemm(const PackedDense& d, const float* x, float* const* out, size_t pixels, size_t block_stride) {
  net_.kernels.f32_gemm(x, d.panel(0), d.b.data(), out, pixels, d.in, d.out, block_stride, net_.activation);
}
void Runner::gemm(const PackedDense& d, const BF16* x, float* const* out, size_t pixels, size_t block_stride) {
  net_.kernels.bf16->gemm(x, d.bf16_panel(0), d.b.data(), out, pixels, d.in, d.out, block_stride, net_.activation);
}

void Runner::gemm(const PackedDense& d, const BF16* x, BF16* const* out, size_t pixels, size_t block_stride) {
  net_.kernels.bf16->gemm_narrow(x, d.bf16_panel(0), d.b.data(), out, pixels, d.in, d.out, block_stride, net_.activation);
}

// What follows block i's depthwise layer or its gates, on the pixels that lie dense in `x`.
template <class In>
void Runner::pointwise(size_t i, const In* x, float* const* out, size_t pixels) {
  const Block& b = net_.blocks[i];
  if (b.split()) {
    In *mid = own(plan_.mid_tile.as<In>()), **to = own(plan_.mid_pointers.as<In*>());
    for (size_t p = 0; p < pixels; ++p) to[p] = mid + p * b.mid.out;
    gemm(b.mid, x, to, pixels, net_.kernels.lanes);
    x = mid;
  }
  gemm(b.pointwise, x, out, pixels, block_stride(i + 1));
}

// The shortcut of block i, on `columns` pixels of its output.
void Runner::add_input(size_t i, size_t y, size_t x0, size_t columns) const {
  const size_t L = net_.kernels.lanes, channels = plan_.maps[i + 1].channels, from = block_stride(i), to = block_stride(i + 1);
  for (size_t x = x0; x < x0 + columns; ++x) {
    const float* in = pixel(i, y, x);
    float* out = pixel(i + 1, y, x);
    for (size_t c = 0; c < channels; c += L)
      for (size_t l = 0; l < L; ++l) out[c / L * to + l] += in[c / L * from + l];
  }
}

template <class In, class Dwconv>
void Runner::tile(size_t i, size_t y, size_t rows, size_t x0, size_t columns, Dwconv* kernel, In* dense) {
  const Block& b = net_.blocks[i];
  float** out = own(plan_.pixel_pointers);
  for (size_t r = 0; r < rows; ++r) {
    depthwise_row(i, y + r, x0, columns, kernel, dense + r * columns * b.first().in);
    point(i + 1, y + r, x0, columns, out + r * columns);
  }
  pointwise(i, dense, out, rows * columns);
  for (size_t r = 0; b.shortcut && r < rows; ++r) add_input(i, y + r, x0, columns);
}

// Output rows [y0, y1) of block i.
void Runner::block_rows(size_t i, size_t y0, size_t y1) {
  const Tile& t = plan_.tiles[i];
  const Block& b = net_.blocks[i];
  const size_t width = plan_.maps[i + 1].width;
  for (size_t y = y0; y < y1; y += t.rows) {
    const size_t rows = std::min(t.rows, y1 - y);
    if (i < plan_.front) demand(i, std::min(plan_.maps[i].height, (y + rows - 1) * b.stride.h + b.kernel / 2 + 1));
    for (size_t x = 0; x < width; x += t.columns) {
      const size_t columns = std::min(t.columns, width - x);
      if (b.planes)
        planes(y, x, columns);
      else if (b.pointwise.bf16())
        tile(i, y, rows, x, columns, b.bf16_dwconv, own(plan_.dense_tile.as<BF16>()));
      else
        tile(i, y, rows, x, columns, b.f32_dwconv, own(plan_.dense_tile));
    }
  }
}

// Produce rows of a private map until there are `rows`, asking the blocks before it for what they need.
void Runner::demand(size_t map, size_t rows) {
  for (size_t& done = own(plan_.rows_done)[map]; done < rows;) {
    const size_t n = map == 0 ? 1 : std::min(plan_.tiles[map - 1].rows, plan_.maps[map].height - done);
    if (map == 0)
      stem_row(done);
    else
      block_rows(map - 1, done, done + n);
    export_rows(map, done, done + n);
    done += n;
  }
}

// A band of rows of the first shared map, depth-first through this member's rings from the image on. Bands overlap a little in
// the rows that they need of earlier maps: those are computed twice, which costs less than to wait for each other.
void Runner::front(size_t band) {
  const size_t height = plan_.maps[plan_.front].height;
  const size_t begin = height * band / team_.size(), end = height * (band + 1) / team_.size();
  if (begin == end) return;
  image_rows_ = 0;
  size_t first = begin, *done = own(plan_.rows_done);
  for (size_t i = plan_.front; i-- > 0;) {
    const Block& b = net_.blocks[i];
    done[i] = first = first * b.stride.h < b.kernel / 2 ? 0 : first * b.stride.h - b.kernel / 2;
  }
  if (plan_.front)
    block_rows(plan_.front - 1, begin, end);
  else
    for (size_t y = begin; y < end; ++y) stem_row(y);
}

// The gates of squeeze-and-excite, [channels]; hard-sigmoid's six times too large whatever the activation.
void Runner::gate(const Block& b, const float* x, size_t pixels) {
  float *sums = own(plan_.sums), *squeezed = own(plan_.squeezed), *gate = shared(plan_.gate);
  const Kernels& k = net_.kernels;
  k.f32_channel_sum(x, sums, pixels, b.depthwise.channels, 1.0f / static_cast<float>(pixels));
  k.f32_gemv(sums, b.reduce.w.data(), b.reduce.b.data(), squeezed, b.reduce.in, b.reduce.out, Activation::relu);
  k.f32_gemv(squeezed, b.expand.w.data(), b.expand.b.data(), gate, b.expand.in, b.expand.out, net_.gate);
}

void Runner::squeeze_excite_block(size_t i) {
  const Block& b = net_.blocks[i];
  const Map& m = plan_.maps[i + 1];
  const size_t channels = b.depthwise.channels, pixels = m.height * m.width;
  float* x = shared(plan_.depthwise_map);  // dense [pixels][channels]
  share(m.height, [&](size_t y) { depthwise_row(i, y, 0, m.width, b.f32_dwconv, x + y * m.width * channels); });
  share(1, [&](size_t) { gate(b, x, pixels); });
  const size_t pieces = team_.size() == 1 ? 1 : std::min(pixels, kGatedPieces * team_.size());
  share(pieces, [&](size_t piece) {
    const size_t begin = pixels * piece / pieces, n = pixels * (piece + 1) / pieces - begin;
    gated_pixels(i, x + begin * channels, shared(plan_.gate), begin, n);
  });
}

// Pixels [begin, begin + n) of a block behind its gates; x: their depthwise output.
void Runner::gated_pixels(size_t i, float* x, const float* gates, size_t begin, size_t n) {
  const Block& b = net_.blocks[i];
  const size_t width = plan_.maps[i + 1].width, channels = b.depthwise.channels, most = b.split() ? Plan::kMidPixels : n;
  float** out = own(plan_.pixel_pointers);
  for (size_t p = 0; p < n; ++p) out[p] = pixel(i + 1, (begin + p) / width, (begin + p) % width);
  for (size_t p = 0; p < n; p += most) {
    const size_t pixels = std::min(most, n - p);
    if (b.pointwise.bf16()) {
      BF16* gated = shared(plan_.gated_map) + (begin + p) * channels;
      net_.kernels.bf16->channel_scale(x + p * channels, gates, gated, pixels, channels);
      pointwise(i, gated, out + p, pixels);
    } else {
      net_.kernels.f32_channel_scale(x + p * channels, gates, pixels, channels);
      pointwise(i, x + p * channels, out + p, pixels);
    }
  }
  for (size_t p = begin; b.shortcut && p < begin + n; ++p) add_input(i, p / width, p % width, 1);
}

// Rows [y0, y1) of a map as the feature map it is, if it is one and is wanted.
void Runner::export_rows(size_t map, size_t y0, size_t y1) {
  float* out = wanted(map);
  if (!out) return;
  const Map& m = plan_.maps[map];
  const size_t L = net_.kernels.lanes, channels = net_.blocks[map - 1].out_channels, stride = block_stride(map);
  const float unit = unit_of(net_.activation);
  for (size_t y = y0; y < y1; ++y)
    for (size_t c = 0; c < channels; ++c)
      for (size_t x = 0; x < m.width; ++x)
        out[(c * m.height + y) * m.width + x] = pixel(map, y, x)[c / L * stride + c % L] * unit;
}

// A dense layer of one pixel; `copied` of its outputs also go to `copy`, scaled, if that is wanted.
void Runner::dense(const PackedDense& d, const float* x, float* out, Activation act, float* copy, size_t copied, float scale) {
  const size_t step = kDensePanels * net_.kernels.panel * net_.kernels.lanes;
  const size_t pieces = team_.size() == 1 ? 1 : (d.out + step - 1) / step;
  if (d.bf16()) std::transform(x, x + d.in, own(plan_.narrow), to_bf16);
  share(pieces, [&](size_t piece) {
    const size_t begin = piece * step, end = pieces == 1 ? d.out : std::min(d.out, begin + step);
    dense_columns(d, x, out, act, begin, end);
    for (size_t i = begin; copy && i < std::min(end, copied); ++i) copy[i] = out[i] * scale;
  });
}

void Runner::dense_columns(const PackedDense& d, const float* x, float* out, Activation act, size_t begin, size_t end) {
  const float* bias = d.b.data() + begin;
  if (d.bf16())
    net_.kernels.bf16->gemv(own(plan_.narrow), d.bf16_panel(begin), bias, out + begin, d.in, end - begin, act);
  else
    net_.kernels.f32_gemv(x, d.panel(begin), bias, out + begin, d.in, end - begin, act);
}

void Runner::pool(float* out) {
  for (const Part& part : net_.pooled) means(part.map, out + part.offset);
}

// The means of a shared map's channels. Of blocked rows each is added up before they are.
void Runner::means(size_t map, float* out) {
  const Map& m = plan_.maps[map];
  const size_t L = net_.kernels.lanes, pixels = m.height * m.width;
  const float scale = 1.0f / static_cast<float>(pixels);
  if (map + 1 == plan_.maps.size()) return net_.kernels.f32_channel_sum(pixel(map, 0, 0), out, pixels, m.channels, scale);
  float* sums = own(plan_.row_sums);  // [height][channels]
  for (size_t y = 0; y < m.height; ++y)
    for (size_t c = 0; c < m.channels; c += L)
      net_.kernels.f32_channel_sum(pixel(map, y, 0) + c / L * block_stride(map), sums + y * m.channels + c, m.width, L, 1.0f);
  net_.kernels.f32_channel_sum(sums, out, m.height, m.channels, scale);
}

void Runner::head() {
  float* embedding = own(plan_.sums);
  pool(embedding);  // every member for itself: that is quicker than a phase of its own
  const float scale = net_.embedding_scale();
  if (net_.head.out) {
    float* const pooled = std::exchange(embedding, shared(plan_.embedding));
    dense(net_.head, pooled, embedding, net_.head_activation, out_.embedding, net_.embedding_channels(), scale);
  } else if (out_.embedding) {
    share(1, [&](size_t) { net_.copy_embedding(embedding, out_.embedding, scale); });
  }
  if (out_.logits) dense(net_.classifier, embedding, shared(plan_.logits), Activation::none, out_.logits, net_.classes, 1.0f);
}

void Runner::run(const float* image, const Outputs& out) {
  trunk(image, out);
  if (out.head()) head();
}

void Runner::trunk(const float* image, const Outputs& out) {
  image_ = image;
  out_ = out;
  share(team_.size(), [&](size_t band) { front(band); });
  for (size_t i = plan_.front; i < net_.blocks.size(); ++i) {
    if (net_.blocks[i].se)
      squeeze_excite_block(i);
    else
      shared_block(i);
  }
  share(plan_.maps.size() - plan_.front,
        [&](size_t n) { export_rows(plan_.front + n, 0, plan_.maps[plan_.front + n].height); });
}

// A block between shared maps, a tile of rows at a time.
void Runner::shared_block(size_t i) {
  const size_t height = plan_.maps[i + 1].height, rows = plan_.tiles[i].rows;
  share((height + rows - 1) / rows, [&](size_t n) { block_rows(i, n * rows, std::min(height, (n + 1) * rows)); });
}

void Runner::load_trunk(const float* features) {
  const Map& m = plan_.maps.back();
  const size_t pixels = m.height * m.width;
  float* dense = pixel(plan_.maps.size() - 1, 0, 0);
  for (size_t c = 0; c < net_.features; ++c)
    for (size_t p = 0; p < pixels; ++p) dense[p * m.channels + c] = features[c * pixels + p] * times_of(net_.activation);
}

}  // namespace lcnet
