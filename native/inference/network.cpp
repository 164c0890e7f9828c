// Packing: folded weights into the layouts of kernels.h, with the 1/6 of each hard-swish moved into the layer after it.
#include "network.h"

#include <algorithm>

#include "../fail.h"
#include "../kernels/bf16.h"

namespace lcnet {

static Buffer<float> pack_bias(const float* b, size_t n, size_t padded) {
  Buffer<float> out(padded);
  std::copy(b, b + n, out.data());
  return out;
}

// [channels][taps] -> [channels/group][taps][group]; `taps` in the order that the kernel walks them. Channels are padded to a
// multiple of `pad`.
static PackedSpatial pack_spatial(const Spatial& s, size_t group, size_t pad, const std::vector<size_t>& taps, float scale) {
  const size_t padded = round_up(s.channels, pad), n = taps.size();
  Buffer<float> w(padded * n);
  for (size_t c = 0; c < s.channels; ++c)
    for (size_t t = 0; t < n; ++t) w[(c / group * n + t) * group + c % group] = s.w[c * n + taps[t]] * scale;
  return {std::move(w), pack_bias(s.b, s.channels, padded), padded};
}

static std::vector<size_t> in_order(size_t n) {
  std::vector<size_t> taps(n);
  for (size_t i = 0; i < n; ++i) taps[i] = i;
  return taps;
}

// The stem's weights are [channels][ci][ky][kx]; its kernel walks [ky][ci][kx].
static std::vector<size_t> stem_order(size_t in_chans) {
  std::vector<size_t> taps;
  for (size_t ky = 0; ky < 3; ++ky)
    for (size_t ci = 0; ci < in_chans; ++ci)
      for (size_t kx = 0; kx < 3; ++kx) taps.push_back((ci * 3 + ky) * 3 + kx);
  return taps;
}

PackedDense pack_panels(const Dense& d, size_t lanes, size_t panel, size_t unit, float scale) {
  const size_t in = round_up(d.in, unit), out = round_up(d.out, lanes);
  PackedDense packed{Buffer<float>(in * out), {}, pack_bias(d.b, d.out, out), in, out};
  for_panels(lanes, panel, out, [&](size_t first, size_t columns) {
    float* weights = packed.w.data() + first * in;
    for (size_t n = first; n < std::min(first + columns, d.out); ++n)
      for (size_t k = 0; k < d.in; ++k) weights[k * columns + n - first] = d.w[n * d.in + k] * scale;
  });
  return packed;
}

static PackedDense pack_dense(const Network& net, const Dense& d, float scale) {
  return pack_panels(d, net.kernels.lanes, net.kernels.panel, net.kernels.lanes, scale);
}

// [out][in] -> panels [depth/2][vectors * L][2] of bfloat16; see Bf16Gemm.
static PackedDense pack_dense_bf16(const Network& net, const Dense& d, float scale) {
  const size_t in = net.padded(d.in), out = net.padded(d.out);
  PackedDense packed{{}, Buffer<BF16>(in * out), pack_bias(d.b, d.out, out), in, out};
  for_panels(net.kernels.lanes, net.kernels.panel, out, [&](size_t first, size_t columns) {
    BF16* panel = packed.bf16_w.data() + first * in;
    for (size_t n = first; n < std::min(first + columns, d.out); ++n)
      for (size_t k = 0; k < d.in; ++k) panel[(k / 2 * columns + n - first) * 2 + k % 2] = to_bf16(d.w[n * d.in + k] * scale);
  });
  return packed;
}

// Where there are many multiply-adds, the network's precision decides.
static PackedDense pack_large(const Network& net, const Dense& d, float scale) {
  return net.precision == Precision::bf16 ? pack_dense_bf16(net, d, scale) : pack_dense(net, d, scale);
}

void check_geometry(size_t kernel, Stride stride) {
  if (!has_geometry(kernel, stride.w) || stride.h < 1 || stride.h > kMaxStride)
    fail("no depthwise kernel of this size and stride");
}

size_t Ends::embedding_channels() const {
  size_t channels = 0;
  for (const Part& part : embedding) channels += part.channels;
  return channels;
}

void Ends::copy_embedding(const float* from, float* to, float scale) const {
  for (const Part& part : embedding)
    to = std::transform(from + part.offset, from + part.offset + part.channels, to, [=](float x) { return x * scale; });
}

std::vector<size_t> Ends::pooled_places() const {
  std::vector<size_t> places;
  for (const Part& part : pooled)
    for (size_t c = 0; c < part.channels; ++c) places.push_back(part.offset + c);
  return places;
}

std::vector<float> spread(const Dense& d, const std::vector<size_t>& places, size_t in) {
  std::vector<float> w(d.out * in);
  for (size_t o = 0; o < d.out; ++o)
    for (size_t i = 0; i < d.in; ++i) w[o * in + places[i]] = d.w[o * d.in + i];
  return w;
}

// A layer on what is pooled.
static PackedDense pack_pooled(const Network& net, const Dense& d, float scale) {
  const std::vector<size_t> places = net.pooled_places();
  if (in_place(places)) return pack_large(net, d, scale);
  const std::vector<float> w = spread(d, places, net.pooled_size);
  return pack_large(net, {w.data(), d.b, net.pooled_size, d.out}, scale);
}

static Block pack_block(const Network& net, const BlockSource& s) {
  check_geometry(s.depthwise.kernel, s.stride);
  Block b;
  const size_t L = net.kernels.lanes;
  const float unit = unit_of(net.activation);
  b.depthwise = pack_spatial(s.depthwise, L, L, in_order(s.depthwise.kernel * s.depthwise.kernel), unit);
  b.f32_dwconv = of_geometry(net.kernels.f32_dwconv, s.depthwise.kernel, s.stride.w);
  if (net.precision == Precision::bf16) b.bf16_dwconv = of_geometry(net.kernels.bf16->dwconv, s.depthwise.kernel, s.stride.w);
  b.kernel = s.depthwise.kernel;
  b.stride = s.stride;
  b.se = s.se;
  if (s.se) {
    b.reduce = pack_dense(net, s.reduce, unit);
    b.expand = pack_dense(net, s.expand, 1.0f);
  }
  // Behind squeeze-and-excite the values carry the gate's six too.
  const float first = s.se ? unit * unit_of_gate(net.gate) : unit;
  if (s.mid.out) b.mid = pack_large(net, s.mid, first);
  b.pointwise = pack_large(net, s.pointwise, s.mid.out ? unit : first);
  b.shortcut = s.shortcut;
  b.out_channels = s.pointwise.out;
  return b;
}

// In float whatever the precision: the block behind the stem is so narrow that bfloat16 would save nothing.
static Block pack_planes(const Network& net, const BlockSource& s) {
  Block b;
  b.planes = true;
  b.depthwise = pack_spatial(s.depthwise, 1, kPlanes, in_order(9), unit_of(net.activation));
  b.kernel = s.depthwise.kernel;
  b.stride = s.stride;
  b.pointwise = pack_panels(s.pointwise, net.kernels.lanes, net.kernels.panel, kPlanes, unit_of(net.activation));
  b.out_channels = s.pointwise.out;
  return b;
}

// To the first block that leaves no more than a pixel of each 16 x 16 of the image's, and not into a 5x5 without a stride, which
// follows there in networks whose rows and columns shrink alike: bands of a team would share most of their rows, and two threads
// take 1.4 times as long for a line of text. Squeeze-and-excite looks at whole maps, and so does the pooling.
static size_t front_blocks(const Network& net) {
  const size_t most = net.pooled.empty() ? net.blocks.size() : net.pooled.front().map;
  for (size_t i = 0; i < most; ++i) {
    if (net.blocks[i].se || (net.blocks[i].kernel == 5 && net.blocks[i].stride == Stride{1, 1})) return i;
    const Stride total = total_stride(net, i + 1);
    if (total.h * total.w >= 16 * 16) return i + 1;
  }
  return most;
}

Network::Network(const Kernels& k, const NetworkSource& s, Precision p)
    : Ends(s, k.lanes), kernels(k), precision(p), activation(s.activation), gate(s.gate),
      head_activation(s.plain_head ? Activation::none : s.activation), stem_stride(s.stem_stride), in_chans(s.stem.in_chans),
      feature_maps(s.feature_maps), features(s.blocks.empty() ? 0 : s.blocks.back().pointwise.out), classes(s.classifier.out) {
  stem = pack_spatial(s.stem, kPlanes, kPlanes, stem_order(in_chans), 1.0f);
  for (const BlockSource& block : s.blocks) {
    const bool first = stem.channels && blocks.empty();
    blocks.push_back(first && runs_on_planes(block) ? pack_planes(*this, block) : pack_block(*this, block));
  }
  front = front_blocks(*this);
  const float unit = unit_of(activation);
  if (s.head.out) head = pack_pooled(*this, s.head, unit);
  const float read = unit_of(head_activation);  // without a head the same
  if (classes) classifier = s.head.out ? pack_large(*this, s.classifier, read) : pack_pooled(*this, s.classifier, read);
}

}  // namespace lcnet
