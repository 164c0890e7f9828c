// Packing: folded weights into the layouts of kernels.h, with the 1/6 of each hard-swish moved into the layer after it.
#include "network.h"

#include <algorithm>
#include <stdexcept>

#include "bf16.h"

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

// Calls work(first column, columns) for each panel of `out` columns.
template <class Work>
static void for_panels(const Network& net, size_t out, Work work) {
  const size_t L = net.kernels.lanes, full = net.kernels.panel * L;
  for (size_t first = 0; first < out;) {
    const size_t columns = out - first < full ? L : full;
    work(first, columns);
    first += columns;
  }
}

// [out][in] -> panels [depth][vectors * L]; see F32Gemm.
static PackedDense pack_dense(const Network& net, const Dense& d, float scale) {
  const size_t in = net.padded(d.in), out = net.padded(d.out);
  PackedDense packed{Buffer(in * out), pack_bias(d.b, d.out, out), in, out, false};
  for_panels(net, out, [&](size_t first, size_t columns) {
    float* panel = packed.w.data() + first * in;
    for (size_t n = first; n < std::min(first + columns, d.out); ++n)
      for (size_t k = 0; k < d.in; ++k) panel[k * columns + n - first] = d.w[n * d.in + k] * scale;
  });
  return packed;
}

// [out][in] -> panels [depth/2][vectors * L][2] of bfloat16; see Bf16Gemm.
static PackedDense pack_dense_bf16(const Network& net, const Dense& d, float scale) {
  const size_t in = net.padded(d.in), out = net.padded(d.out);
  PackedDense packed{Buffer(in * out / 2), pack_bias(d.b, d.out, out), in, out, true};
  for_panels(net, out, [&](size_t first, size_t columns) {
    BF16* panel = reinterpret_cast<BF16*>(packed.w.data()) + first * in;
    for (size_t n = first; n < std::min(first + columns, d.out); ++n)
      for (size_t k = 0; k < d.in; ++k)
        panel[(k / 2 * columns + n - first) * 2 + k % 2] = to_bf16(d.w[n * d.in + k] * scale);
  });
  return packed;
}

// Where there are many multiply-adds, the network's precision decides.
static PackedDense pack_large(const Network& net, const Dense& d, float scale) {
  return net.precision == Precision::bf16 ? pack_dense_bf16(net, d, scale) : pack_dense(net, d, scale);
}

// One of four kernels by size and stride.
template <class Kernel>
static Kernel* pick(size_t kernel, size_t stride, Kernel* k3s1, Kernel* k3s2, Kernel* k5s1, Kernel* k5s2) {
  if (kernel == 3 && (stride == 1 || stride == 2)) return stride == 1 ? k3s1 : k3s2;
  if (kernel == 5 && (stride == 1 || stride == 2)) return stride == 1 ? k5s1 : k5s2;
  throw std::invalid_argument("no depthwise kernel of this size and stride");
}

static Block pack_block(const Network& net, const BlockSource& s) {
  Block b;
  b.depthwise = pack_spatial(net, s.depthwise, in_order(s.depthwise.kernel * s.depthwise.kernel), kSixth);
  const Kernels& k = net.kernels;
  b.f32_dwconv = pick(s.depthwise.kernel, s.stride, k.f32_dwconv_3x3s1, k.f32_dwconv_3x3s2, k.f32_dwconv_5x5s1,
                      k.f32_dwconv_5x5s2);
  if (net.precision == Precision::bf16)
    b.bf16_dwconv = pick(s.depthwise.kernel, s.stride, k.bf16->dwconv_3x3s1, k.bf16->dwconv_3x3s2, k.bf16->dwconv_5x5s1,
                         k.bf16->dwconv_5x5s2);
  b.kernel = s.depthwise.kernel;
  b.stride = s.stride;
  b.se = s.se;
  if (s.se) {
    b.reduce = pack_dense(net, s.reduce, kSixth);
    b.expand = pack_dense(net, s.expand, 1.0f);
  }
  // Behind squeeze-and-excite the values carry two sixes: hard-swish's and the gate's.
  b.pointwise = pack_large(net, s.pointwise, s.se ? kSixth * kSixth : kSixth);
  b.out_channels = s.pointwise.out;
  return b;
}

Network::Network(const Kernels& k, const NetworkSource& s, Precision p)
    : kernels(k), precision(p), in_chans(s.stem.in_chans), features(s.head.in), head_features(s.head.out), classes(s.classifier.out) {
  stem = pack_spatial(*this, s.stem, stem_order(in_chans), 1.0f);
  for (const BlockSource& block : s.blocks) blocks.push_back(pack_block(*this, block));
  head = pack_large(*this, s.head, kSixth);
  if (classes) classifier = pack_large(*this, s.classifier, kSixth);
}

}  // namespace lcnet
