// The network's weights, packed for one ISA. Immutable once built; shared by every thread.
#pragma once

#include <cstdint>
#include <vector>

#include "buffer.h"
#include "kernels.h"

namespace lcnet {

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
  size_t stride;
  bool se;
  Dense reduce, expand;  // when se
  Dense pointwise;
};
struct NetworkSource {
  Spatial stem;
  std::vector<BlockSource> blocks;
  Dense head, classifier;  // classifier.out 0: none
};

// The same layers in the layouts of kernels.h. `in` and `out` are padded to whole vectors.
struct PackedDense {
  Buffer w, b;  // w holds pairs of bfloat16 where `bf16`
  size_t in = 0, out = 0;
  bool bf16 = false;

  // The weights from output `n` on; n a multiple of the panel.
  const float* panel(size_t n) const { return w.data() + n * (bf16 ? in / 2 : in); }
  const BF16* bf16_panel(size_t n) const { return reinterpret_cast<const BF16*>(panel(n)); }
};
struct PackedSpatial {
  Buffer w, b;
  size_t channels = 0;
};
struct Block {
  PackedSpatial depthwise;
  F32Dwconv* f32_dwconv = nullptr;
  Bf16Dwconv* bf16_dwconv = nullptr;  // where the pointwise layer reads bfloat16
  size_t kernel = 0, stride = 0;
  bool se = false;
  PackedDense reduce, expand, pointwise;
  size_t out_channels = 0;  // without padding
};

struct Network {
  Network(const Kernels& kernels, const NetworkSource& source, Precision precision = Precision::f32);

  const Kernels& kernels;
  const Precision precision;
  size_t in_chans;
  PackedSpatial stem;
  std::vector<Block> blocks;
  PackedDense head, classifier;
  size_t features, head_features, classes;  // without padding

  size_t padded(size_t channels) const { return (channels + kernels.lanes - 1) / kernels.lanes * kernels.lanes; }
};

}  // namespace lcnet
