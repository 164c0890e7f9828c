// Packing: folded weights into the layouts of kernels.h, with the 1/6 of each hard-swish moved into the layer after it.
#include "network.h"

#include <algorithm>
#include <stdexcept>

namespace lcnet {

constexpr float kSixth = 1.0f / 6.0f;

static Buffer pack_bias(const float* b, size_t n, size_t padded) {
  Buffer out(padded);
  std::copy(b, b + n, out.data());
  return out;
}

// [channels][taps] -> [channels/L][taps][L]; `taps` in the order that the kernel walks them.
static PackedSpatial pack_spatial(const Network& net, const Spatial& s, const std::vector<size_t>& taps, float scale) {
  const size_t L = net.kernels.lanes, padded = net.padded(s.channels), n = taps.size();
  Buffer w(padded * n);
  for (size_t c = 0; c < s.channels; ++c)
    for (size_t t = 0; t < n; ++t) w[(c / L * n + t) * L + c % L] = s.w[c * n + taps[t]] * scale;
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

// [out][in] -> panels [depth][vectors * L]; see F32Gemm.
static PackedDense pack_dense(const Network& net, const Dense& d, float scale) {
  const size_t L = net.kernels.lanes, in = net.padded(d.in), out = net.padded(d.out);
  Buffer w(in * out);
  for (size_t block = 0; block < out / L;) {
    const size_t vectors = out / L - block < net.kernels.panel ? 1 : net.kernels.panel, columns = vectors * L;
    float* panel = w.data() + block * L * in;
    for (size_t n = block * L; n < std::min(block * L + columns, d.out); ++n)
      for (size_t k = 0; k < d.in; ++k) panel[k * columns + n - block * L] = d.w[n * d.in + k] * scale;
    block += vectors;
  }
  return {std::move(w), pack_bias(d.b, d.out, out), in, out};
}

static F32Dwconv* pick_dwconv(const Kernels& k, size_t kernel, size_t stride) {
  if (kernel == 3 && stride <= 2) return stride == 1 ? k.f32_dwconv_3x3s1 : k.f32_dwconv_3x3s2;
  if (kernel == 5 && stride <= 2) return stride == 1 ? k.f32_dwconv_5x5s1 : k.f32_dwconv_5x5s2;
  throw std::invalid_argument("no depthwise kernel of this size and stride");
}

static Block pack_block(const Network& net, const BlockSource& s) {
  Block b;
  b.depthwise = pack_spatial(net, s.depthwise, in_order(s.depthwise.kernel * s.depthwise.kernel), kSixth);
  b.kernel_fn = pick_dwconv(net.kernels, s.depthwise.kernel, s.stride);
  b.kernel = s.depthwise.kernel;
  b.stride = s.stride;
  b.se = s.se;
  if (s.se) {
    b.reduce = pack_dense(net, s.reduce, kSixth);
    b.expand = pack_dense(net, s.expand, 1.0f);
  }
  // Behind squeeze-and-excite the values carry two sixes: hard-swish's and the gate's.
  b.pointwise = pack_dense(net, s.pointwise, s.se ? kSixth * kSixth : kSixth);
  b.out_channels = s.pointwise.out;
  return b;
}

Network::Network(const Kernels& k, const NetworkSource& s)
    : kernels(k), in_chans(s.stem.in_chans), features(s.head.in), head_features(s.head.out), classes(s.classifier.out) {
  stem = pack_spatial(*this, s.stem, stem_order(in_chans), 1.0f);
  for (const BlockSource& block : s.blocks) blocks.push_back(pack_block(*this, block));
  head = pack_dense(*this, s.head, kSixth);
  if (classes) classifier = pack_dense(*this, s.classifier, kSixth);
}

}  // namespace lcnet
