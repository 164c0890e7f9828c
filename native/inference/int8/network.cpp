// Packing: quantised weights into the layouts of kernels.h.
#include "network.h"

#include <algorithm>

namespace lcnet {

// `times`: six where hard-swish's division by six is still to be done.
static float reciprocal(float scale, double times) { return static_cast<float>(1.0 / (times * scale)); }

template <class T>
static Buffer<T> pack_values(const T* values, size_t n, size_t padded) {
  Buffer<T> out(padded);
  std::copy(values, values + n, out.data());
  return out;
}

// `w` holds `taps` weights of each output; `channel(o, t)` says which input channel one multiplies. packed.in and .out
// are set already, with their padding.
template <class Channel>
static void pack_layer(const Int8Layer& layer, size_t in, size_t out, size_t taps, double times, Channel channel,
                       Int8Packed& packed) {
  std::vector<float> inverse_scale(in), zero_point(in);
  for (size_t c = 0; c < in; ++c) {
    inverse_scale[c] = reciprocal(layer.in_scale[c], times);
    zero_point[c] = layer.in_zero[c];
  }
  std::vector<int32_t> start(out);
  for (size_t o = 0; o < out; ++o)
    for (size_t t = 0; t < taps; ++t) start[o] -= layer.w[o * taps + t] * layer.in_zero[channel(o, t)];
  packed.scale = pack_values(layer.scale, out, packed.out);
  packed.bias = pack_values(layer.b, out, packed.out);
  packed.start = pack_values(start.data(), out, packed.out);
  packed.inverse_scale = pack_values(inverse_scale.data(), in, packed.in);
  packed.zero_point = pack_values(zero_point.data(), in, packed.in);
}

// Puts `weight` into place `g` of a unit.
static void set_weight(const Int8Network& net, Unit& unit, size_t g, int8_t weight) {
  const size_t bits = 32 / net.kernels.group;
  const Unit mask = (1u << bits) - 1;
  unit |= (static_cast<Unit>(static_cast<int32_t>(weight)) & mask) << (g * bits);
}

// Inputs are padded to a multiple of `unit`.
static Int8PackedDense pack_dense(const Int8Network& net, const Int8Dense& d, size_t unit, double times) {
  Int8PackedDense packed;
  packed.in = round_up(d.in, unit), packed.out = net.padded(d.out);
  pack_layer(d, d.in, d.out, d.in, times, [](size_t, size_t t) { return t; }, packed);
  packed.w = Buffer<int8_t>(packed.in * packed.out);
  const size_t G = net.kernels.group;
  for_panels(net.kernels.lanes, net.kernels.panel, packed.out, [&](size_t first, size_t columns) {
    for (size_t n = first; n < std::min(first + columns, d.out); ++n)
      for (size_t k = 0; k < d.in; ++k)
        packed.w[first * packed.in + (k / G * columns + n - first) * G + k % G] = d.w[n * d.in + k];
  });
  return packed;
}

// Weights go in groups of L channels, channels are padded to a multiple of `unit`.
static Int8PackedDepthwise pack_depthwise(const Int8Network& net, const Int8Spatial& s, size_t row_stride, size_t L,
                                          size_t unit) {
  Int8PackedDepthwise packed;
  const size_t G = net.kernels.group, K = s.kernel;
  packed.in = packed.out = round_up(s.channels, unit);
  pack_layer(s, s.channels, s.channels, K * K, times_of(net.activation), [](size_t o, size_t) { return o; }, packed);
  for (size_t phase = 0; phase < G; phase += row_stride) {
    const size_t groups = net.groups(K, phase);
    packed.w[phase] = Buffer<Unit>(packed.in * groups * K);
    Unit* units = packed.w[phase].data();
    for (size_t c = 0; c < s.channels; ++c)
      for (size_t ky = 0; ky < K; ++ky)
        for (size_t kx = 0; kx < K; ++kx) {
          const size_t row = phase + ky, unit = ((c / L * groups + row / G) * K + kx) * L + c % L;
          set_weight(net, units[unit], row % G, s.w[(c * K + ky) * K + kx]);
        }
  }
  packed.zeros = Buffer<Unit>(packed.in);
  for (size_t c = 0; c < s.channels; ++c)
    for (size_t g = 0; g < G; ++g) packed.zeros[c] |= static_cast<Unit>(s.in_zero[c]) << (g * 32 / G);
  return packed;
}

// For f32_gemv, whose panels are as wide as the int8 kernels'.
static PackedDense pack_f32(const Int8Network& net, const Dense& d) {
  return pack_panels(d, net.kernels.lanes, net.kernels.panel, net.kernels.lanes, 1.0f);
}

// The packed float network holds only what stays in float.
static Network pack_floats(const Kernels& kernels, const Int8NetworkSource& s) {
  NetworkSource kept{};
  for (const Int8BlockSource& b : s.blocks)
    if (b.in_float) kept.blocks.push_back(b.floats);
  kept.head = s.float_head;
  kept.classifier = s.float_classifier;
  kept.activation = s.activation;
  kept.gate = s.gate;
  kept.plain_head = s.plain_head;
  const Ends ends(s, kernels.lanes);
  const std::vector<size_t> places = ends.pooled_places();
  Dense& first = s.head.out ? kept.head : kept.classifier;
  std::vector<float> w;
  if (first.w && !in_place(places)) {
    w = spread(first, places, ends.pooled_size);
    first.w = w.data(), first.in = ends.pooled_size;
  }
  return Network(kernels, kept);
}

static Int8Block pack_sizes(const Int8Network& net, const Int8BlockSource& s, size_t number) {
  Int8Block b;
  b.in_float = number;
  b.depthwise.in = b.depthwise.out = net.padded(s.floats.depthwise.channels);
  b.kernel = s.floats.depthwise.kernel;
  b.stride = s.floats.stride;
  b.se = s.floats.se;
  if (s.floats.mid.out) b.mid.out = net.padded(s.floats.mid.out);
  b.pointwise.in = net.padded(s.floats.pointwise.in);
  b.pointwise.out = net.padded(s.floats.pointwise.out);
  b.shortcut = s.floats.shortcut;
  if (b.se) b.reduce.out = net.padded(s.floats.reduce.out);
  b.out_channels = s.floats.pointwise.out;
  return b;
}

static Int8Block pack_block(const Int8Network& net, const Int8BlockSource& s) {
  const size_t K = s.depthwise.kernel;
  check_geometry(K, s.stride);
  const size_t L = net.kernels.lanes;
  Int8Block b;
  b.depthwise = pack_depthwise(net, s.depthwise, s.stride.h, L, L);
  b.dwconv = of_geometry(net.kernels.dwconv, K, s.stride.w);
  b.dwconv_f32 = of_geometry(net.kernels.dwconv_f32, K, s.stride.w);
  b.kernel = K;
  b.stride = s.stride;
  b.se = s.se;
  if (s.se) b.reduce = pack_f32(net, s.reduce), b.expand = pack_f32(net, s.expand);
  if (s.mid.out) b.mid = pack_dense(net, s.mid, L, times_of(net.activation));
  b.pointwise = pack_dense(net, s.pointwise, L, times_of(net.activation));
  b.shortcut = s.shortcut;
  b.out_channels = s.pointwise.out;
  return b;
}

static Int8Block pack_planes(const Int8Network& net, const Int8BlockSource& s) {
  Int8Block b;
  b.planes = true;
  b.depthwise = pack_depthwise(net, s.depthwise, s.stride.h, 1, kPlanes);
  b.kernel = s.depthwise.kernel;
  b.stride = s.stride;
  b.pointwise = pack_dense(net, s.pointwise, kPlanes, times_of(net.activation));
  b.out_channels = s.pointwise.out;
  return b;
}

// Weights and the coding of the pixels; the mean pixel is in the bias already.
static Int8PackedStem pack_stem(const Int8Network& net, const Int8Spatial& s, const float* mean_255) {
  Int8PackedStem packed;
  const size_t G = net.kernels.group, planes = net.pixel_units();
  packed.out = round_up(s.channels, kPlanes);
  packed.scale = pack_values(s.scale, s.channels, packed.out);
  packed.bias = pack_values(s.b, s.channels, packed.out);
  packed.inverse_scale = Buffer<float>(s.in_chans);
  for (size_t c = 0; c < s.in_chans; ++c) packed.inverse_scale[c] = reciprocal(s.in_scale[c], 1.0);
  packed.zero_point = pack_values(mean_255, s.in_chans, s.in_chans);
  packed.w = Buffer<Unit>(packed.out * 9 * planes);
  for (size_t c = 0; c < s.channels; ++c)
    for (size_t ci = 0; ci < s.in_chans; ++ci)
      for (size_t ky = 0; ky < 3; ++ky)
        for (size_t kx = 0; kx < 3; ++kx) {
          const size_t unit = (((c / kPlanes * 3 + ky) * planes + ci / G) * 3 + kx) * kPlanes + c % kPlanes;
          set_weight(net, packed.w[unit], ci % G, s.w[((c * s.in_chans + ci) * 3 + ky) * 3 + kx]);
        }
  packed.border = Buffer<Unit>(planes);
  for (size_t c = 0; c < s.in_chans; ++c) packed.border[c / G] |= static_cast<Unit>(s.in_zero[c]) << (c % G * 32 / G);
  return packed;
}

static Int8PackedDense pack_end(const Int8Network& net, const Int8Dense& d, double times) {
  if (d.w) return pack_dense(net, d, net.kernels.lanes, times);
  Int8PackedDense sizes;
  sizes.in = net.padded(d.in), sizes.out = net.padded(d.out);
  return sizes;
}

// A layer on what is pooled: means of what has been divided already. Between the maps it reads codes of zero.
static Int8PackedDense pack_pooled(const Int8Network& net, const Int8Dense& d) {
  const std::vector<size_t> places = net.pooled_places();
  if (in_place(places)) return pack_end(net, d, 1.0);
  Int8Dense wide = d;
  wide.in = net.pooled_size;
  if (!d.w) return pack_end(net, wide, 1.0);
  std::vector<int8_t> w(d.out * wide.in);
  std::vector<float> in_scale(wide.in, 1.0f);
  std::vector<uint8_t> in_zero(wide.in);
  for (size_t i = 0; i < d.in; ++i) {
    for (size_t o = 0; o < d.out; ++o) w[o * wide.in + places[i]] = d.w[o * d.in + i];
    in_scale[places[i]] = d.in_scale[i], in_zero[places[i]] = d.in_zero[i];
  }
  wide.w = w.data(), wide.in_scale = in_scale.data(), wide.in_zero = in_zero.data();
  return pack_end(net, wide, 1.0);
}

Int8Network::Int8Network(const Int8Kernels& k, const Int8NetworkSource& s, const Kernels& float_kernels)
    : Ends(s, k.lanes), kernels(k), activation(s.activation), gate(s.gate),
      head_activation(s.plain_head ? Activation::none : s.activation), stem_stride(s.stem_stride),
      floats(pack_floats(float_kernels, s)), in_chans(s.stem.in_chans), feature_maps(s.feature_maps),
      features(s.blocks.back().pointwise.out), classes(s.classifier.out) {
  stem = pack_stem(*this, s.stem, s.mean_255);
  size_t in_float = 0;
  for (const Int8BlockSource& block : s.blocks)
    blocks.push_back(block.in_float                            ? pack_sizes(*this, block, in_float++)
                     : blocks.empty() && runs_on_planes(block) ? pack_planes(*this, block)
                                                               : pack_block(*this, block));
  if (s.head.out) head = pack_pooled(*this, s.head);
  if (!classes) return;
  classifier = s.head.out ? pack_end(*this, s.classifier, times_of(head_activation)) : pack_pooled(*this, s.classifier);
}

}  // namespace lcnet
