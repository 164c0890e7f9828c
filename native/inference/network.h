// The network's weights, packed for one ISA. Immutable once built; shared by every thread.
#pragma once

#include <cstdint>
#include <vector>

#include "buffer.h"
#include "geometry.h"
#include "../kernels/kernels.h"

namespace lcnet {

constexpr float kSixth = 1.0f / 6.0f;  // what hard-swish and hard-sigmoid leave to the next layer

// A layer as it arrives: batch norm folded, timm's layouts, no padding.
struct Dense {     // pointwise conv, squeeze-and-excite, head, classifier
  const float* w;  // [out][in]
  const float* b;  // [out]
  size_t in, out;
};
struct Spatial {   // stem (all input channels) or depthwise (one)
  const float* w;  // [channels][in_chans][kernel][kernel]
  const float* b;  // [channels]
  size_t channels, in_chans, kernel;
};
struct BlockSource {
  Spatial depthwise;
  Stride stride;
  bool se;
  Dense reduce, expand;  // when se
  Dense mid;             // the first of two pointwise layers; `out` 0: there is one
  Dense pointwise;
  bool shortcut;  // the block's input is added to its output
};
struct NetworkSource {
  Spatial stem;
  std::vector<BlockSource> blocks;
  std::vector<size_t> feature_maps;  // after how many blocks each is, ascending, from 1
  Dense head, classifier;            // `out` 0: none
  Stride stem_stride = {2, 2};
  Activation activation = Activation::hswish6;  // or relu
  std::vector<size_t> pooled;  // as feature_maps: whose means head or classifier read, side by side; empty: the last block's
  Activation gate = Activation::hsigmoid6;  // of squeeze-and-excite; or sigmoid
  bool plain_head = false;                  // the head's outputs have no activation
};

// What a stored value must be multiplied by to be the true one, and the other way round.
inline float unit_of(Activation act) { return act == Activation::hswish6 ? kSixth : 1.0f; }
inline float times_of(Activation act) { return act == Activation::hswish6 ? 6.0f : 1.0f; }
// The same of a gate.
inline float unit_of_gate(Activation gate) { return gate == Activation::hsigmoid6 ? kSixth : 1.0f; }

inline size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

// The same layers in the layouts of kernels.h. `in` and `out` are padded to whole vectors.
struct PackedDense {
  Buffer<float> w;
  Buffer<BF16> bf16_w;  // in place of `w` where the layer reads bfloat16
  Buffer<float> b;
  size_t in = 0, out = 0;

  bool bf16() const { return bf16_w.size() != 0; }
  // The weights from output `n` on; n a multiple of the panel.
  const float* panel(size_t n) const { return w.data() + n * in; }
  const BF16* bf16_panel(size_t n) const { return bf16_w.data() + n * in; }
};
// [out][in] -> panels of float [in][panel * L], `out` padded to whole vectors and `in` to a multiple of `unit`; see F32Gemm.
PackedDense pack_panels(const Dense& d, size_t lanes, size_t panel, size_t unit, float scale);

// A layer's weights with its inputs at their places among `in`, and zeros at the others; empty if they follow each other.
std::vector<float> spread(const Dense& d, const std::vector<size_t>& places, size_t in);

// Calls work(first output, outputs) for each weight panel of `out` outputs: full ones, then vectors by themselves.
template <class Work>
void for_panels(size_t lanes, size_t panel, size_t out, Work work) {
  for (size_t first = 0; first < out;) {
    const size_t columns = out - first < panel * lanes ? lanes : panel * lanes;
    work(first, columns);
    first += columns;
  }
}

// Fails if there is no depthwise kernel of this size and stride.
void check_geometry(size_t kernel, Stride stride);

// Channels that follow each other without gaps in a vector padded to whole vectors of lanes: the means of a map, or all of a
// head's outputs.
struct Part {
  size_t map;       // after how many blocks it is
  size_t offset;    // of its first channel
  size_t channels;  // without padding
};

// What is pooled, and what the classifier reads.
struct Ends {
  std::vector<Part> pooled, embedding;
  size_t pooled_size = 0;  // with padding

  template <class Source>
  Ends(const Source& s, size_t lanes);
  size_t embedding_channels() const;  // without padding
  // The embedding without padding, multiplied.
  void copy_embedding(const float* from, float* to, float scale) const;
  // For each input of a layer on what is pooled, its place there.
  std::vector<size_t> pooled_places() const;
};

template <class Source>
Ends::Ends(const Source& s, size_t lanes) {
  std::vector<size_t> maps = s.pooled;
  if (maps.empty() && !s.blocks.empty()) maps.push_back(s.blocks.size());
  for (size_t map : maps) {
    const size_t channels = s.blocks[map - 1].pointwise.out;
    pooled.push_back({map, pooled_size, channels});
    pooled_size += round_up(channels, lanes);
  }
  if (s.head.out)
    embedding.push_back({0, 0, s.head.out});
  else
    embedding = pooled;
}

inline bool in_place(const std::vector<size_t>& places) { return places.empty() || places.back() + 1 == places.size(); }

// Whether a network's first block runs on planes, as the stem makes them: 3x3, stride 1, and nothing but its two layers.
template <class Block>
bool runs_on_planes(const Block& b) {
  return b.depthwise.kernel == 3 && b.stride == Stride{1, 1} && !b.se && !b.mid.out && !b.shortcut;
}

struct PackedSpatial {
  Buffer<float> w, b;
  size_t channels = 0;
};
struct Block {
  PackedSpatial depthwise;
  bool planes = false;  // a network's first block may run on planes; it has no kernel, and neither se, mid nor shortcut
  F32Dwconv* f32_dwconv = nullptr;
  Bf16Dwconv* bf16_dwconv = nullptr;  // where the pointwise layer reads bfloat16
  size_t kernel = 0;
  Stride stride{};
  bool se = false;
  PackedDense reduce, expand, mid, pointwise;  // reduce and expand when se; mid as in BlockSource
  bool shortcut = false;
  size_t out_channels = 0;  // without padding

  bool split() const { return mid.out != 0; }
  // What reads the depthwise layer's output.
  const PackedDense& first() const { return split() ? mid : pointwise; }
};

struct Network : Ends {
  Network(const Kernels& kernels, const NetworkSource& source, Precision precision = Precision::f32);

  const Kernels& kernels;
  const Precision precision;
  const Activation activation, gate, head_activation;
  const Stride stem_stride;
  size_t in_chans;
  PackedSpatial stem;  // planes
  std::vector<Block> blocks;
  std::vector<size_t> feature_maps;  // as in NetworkSource
  // Blocks [0, front) run depth-first through rings private to a thread: rows are consumed while they are in cache.
  // Later blocks run one after the other over whole shared maps: there the weights outgrow the rows.
  size_t front;
  PackedDense head, classifier;
  size_t features, classes;  // without padding

  float embedding_scale() const { return unit_of(head_activation); }
  size_t padded(size_t channels) const { return round_up(channels, kernels.lanes); }
};

}  // namespace lcnet
