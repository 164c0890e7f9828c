// The parts of a quantised network that stay in float: the float engine's kernels and weights between maps of this one. They
// are few where there are any, so they are simple rather than fast: a row at a time, maps between them in the plain dense
// layout.
#include <algorithm>

#include "runner.h"

namespace lcnet {

// Row y of a float block's input, blocked and with zero columns on both sides, in its place in a ring of as many rows as the
// kernel has.
const float* Int8Runner::padded_row(size_t i, size_t y) {
  const Int8Map& m = plan_.maps[i];
  const size_t L = k_.lanes, K = net_.blocks[i].kernel, pitch = m.width + K - 1, pad = K / 2;
  float* row = own(plan_.padded_rows) + y % K * m.channels * pitch;
  if (y < next_) return row;
  std::fill(row, row + m.channels * pitch, 0.0f);
  const float* in = dense_pixels(i, y * m.width);
  for (size_t x = 0; x < m.width; ++x)
    for (size_t c = 0; c < m.channels; c += L)
      std::copy(in + x * m.channels + c, in + x * m.channels + c + L, row + c * pitch + (pad + x) * L);
  next_ = y + 1;
  return row;
}

// Output row y of the depthwise layer, dense.
void Int8Runner::float_depthwise_row(size_t i, size_t y, float* out) {
  const Block& b = net_.float_block(i);
  const Int8Map& m = plan_.maps[i];
  const size_t pad = b.kernel / 2, top = y * b.stride.h;
  const size_t ky0 = top < pad ? pad - top : 0, ky1 = std::min(b.kernel, m.height + pad - top);
  const float* in[kMaxKernel] = {};
  for (size_t ky = ky0; ky < ky1; ++ky) in[ky] = padded_row(i, top + ky - pad);
  b.f32_dwconv(in, b.depthwise.w.data(), b.depthwise.b.data(), out, plan_.maps[i + 1].width, m.width + b.kernel - 1, m.channels,
               ky0, ky1, net_.activation);
}

// A pointwise layer on dense pixels, as dense ones.
void Int8Runner::float_gemm(const PackedDense& d, const float* x, float* made, size_t pixels) {
  float** out = own(plan_.pixel_pointers);
  for (size_t p = 0; p < pixels; ++p) out[p] = made + p * d.out;
  net_.floats.kernels.f32_gemm(x, d.panel(0), d.b.data(), out, pixels, d.in, d.out, k_.lanes, net_.activation);
}

// Pixels of the block's output from `first` on, out of dense depthwise output.
void Int8Runner::float_pointwise(size_t i, const float* x, size_t first, size_t pixels) {
  const Block& b = net_.float_block(i);
  float *made = values(i + 1, first), *mid = own(plan_.mid_tile);
  if (b.split()) float_gemm(b.mid, x, mid, pixels);
  float_gemm(b.pointwise, b.split() ? mid : x, made, pixels);
  if (b.shortcut) add_input(i, made, first, pixels);
  put_values(i + 1, made, first, pixels);
  if (!plan_.maps[i + 1].dense) code_pixels(i + 1, made, first, pixels);
}

// Dense pixels into the codes of a map.
void Int8Runner::code_pixels(size_t map, const float* x, size_t first, size_t pixels) {
  const Int8Map& m = plan_.maps[map];
  const size_t L = k_.lanes, bytes = net_.code_bytes();
  const uint8_t* coded = own(plan_.coded.as<uint8_t>());  // the low byte of a code comes first
  k_.code(x, nullptr, net_.blocks[map].depthwise.coding(), own(plan_.coded), pixels, m.channels);
  for (size_t c = 0; c < m.channels; c += L) {
    uint8_t* to = codes(map) + (c / L * m.pixels() + first) * L;
    for (size_t p = 0; p < pixels; ++p)
      for (size_t l = 0; l < L; ++l) to[p * L + l] = coded[(p * m.channels + c + l) * bytes];
  }
}

void Int8Runner::float_block(size_t i) {
  if (net_.blocks[i].se) return float_squeeze_excite_block(i);
  const Int8Map& to = plan_.maps[i + 1];
  share_rows(to.height, [&](size_t y0, size_t y1) {
    next_ = 0;
    for (size_t y = y0; y < y1; ++y) {
      float_depthwise_row(i, y, own(plan_.float_row));
      float_pointwise(i, own(plan_.float_row), y * to.width, to.width);
    }
  });
}

void Int8Runner::float_squeeze_excite_block(size_t i) {
  const Int8Map& to = plan_.maps[i + 1];
  const size_t channels = plan_.maps[i].channels, row = to.width * channels;
  float* map = shared(plan_.depthwise_map);
  share_rows(to.height, [&](size_t y0, size_t y1) {
    next_ = 0;
    for (size_t y = y0; y < y1; ++y) float_depthwise_row(i, y, map + y * row);
  });
  share(1, [&](size_t) { float_gates(i); });
  share_rows(to.height, [&](size_t y0, size_t y1) {
    for (size_t y = y0; y < y1; ++y) {
      net_.floats.kernels.f32_channel_scale(map + y * row, shared(plan_.gate), to.width, channels);
      float_pointwise(i, map + y * row, y * to.width, to.width);
    }
  });
}

// As the float engine's: the pointwise weights know whether they are six times too large.
void Int8Runner::float_gates(size_t i) {
  const Block& b = net_.float_block(i);
  const Int8Map& to = plan_.maps[i + 1];
  const Kernels& k = net_.floats.kernels;
  float *means = own(plan_.means), *squeezed = own(plan_.squeezed);
  k.f32_channel_sum(shared(plan_.depthwise_map), means, to.pixels(), plan_.maps[i].channels,
                    1.0f / static_cast<float>(to.pixels()));
  k.f32_gemv(means, b.reduce.panel(0), b.reduce.b.data(), squeezed, b.reduce.in, b.reduce.out, Activation::relu);
  k.f32_gemv(squeezed, b.expand.panel(0), b.expand.b.data(), shared(plan_.gate), b.expand.in, b.expand.out, net_.gate);
}

// A layer of one pixel.
void Int8Runner::float_dense(const PackedDense& d, const float* x, Activation act, float* out) {
  share(1, [&](size_t) { net_.floats.kernels.f32_gemv(x, d.panel(0), d.b.data(), out, d.in, d.out, act); });
}

}  // namespace lcnet
