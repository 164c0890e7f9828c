// A quantised network's weights, packed for one ISA. Immutable once built; shared by every thread.
#pragma once

#include <vector>

#include "../network.h"
#include "../../kernels/kernels.h"

namespace lcnet {

// A quantised layer as it arrives; see kernels.h for what the numbers mean.
struct Int8Layer {
  const int8_t* w;        // timm's layout, -127..127
  const float* scale;     // [out], of the sums
  const float* b;         // [out]
  const float* in_scale;  // [in], of the input's codes
  const uint8_t* in_zero;
};
struct Int8Dense : Int8Layer {
  size_t in, out;
};
struct Int8Spatial : Int8Layer {
  size_t channels, in_chans, kernel;
};
struct Int8BlockSource {
  bool in_float = false;  // then it is in `floats`, and below only the sizes are set
  BlockSource floats{};
  Int8Spatial depthwise;
  Stride stride;
  bool se;
  Dense reduce, expand;  // when se; in float
  Int8Dense mid;         // these three as in BlockSource
  Int8Dense pointwise;
  bool shortcut;
};
struct Int8NetworkSource {
  Int8Spatial stem;       // its sums take the codes as they are: the mean pixel is in the bias
  const float* mean_255;  // [in_chans]: what the input's zero is as a code, before it is rounded
  std::vector<Int8BlockSource> blocks;
  std::vector<size_t> feature_maps;        // after how many blocks each is, ascending, from 1
  Int8Dense head, classifier;              // `out` 0: none
  Dense float_head{}, float_classifier{};  // in place of the weights of the other two, where `w` is set
  Stride stem_stride = {2, 2};             // these as in NetworkSource
  Activation activation = Activation::hswish6;
  std::vector<size_t> pooled;
  Activation gate = Activation::hsigmoid6;
  bool plain_head = false;
};

// What all layers have, each array padded to whole vectors.
struct Int8Packed {
  Buffer<float> scale, bias;
  Buffer<float> inverse_scale, zero_point;  // they code the layer's input
  Buffer<int32_t> start;
  size_t in = 0, out = 0;

  Sums sums() const { return {scale.data(), bias.data()}; }
  Coding coding() const { return {inverse_scale.data(), zero_point.data()}; }
  // The same from an output on.
  Sums sums(size_t n) const { return {scale.data() + n, bias.data() + n}; }
};
struct Int8PackedDense : Int8Packed {
  Buffer<int8_t> w;
  const int8_t* panel(size_t n) const { return w.data() + n * in; }
};
struct Int8PackedDepthwise : Int8Packed {
  static constexpr size_t kPhases = 4;
  Buffer<Unit> w[kPhases];  // by the place of the kernel's first row in its group
  Buffer<Unit> zeros;
};
struct Int8PackedStem : Int8Packed {
  Buffer<Unit> w;       // in planes
  Buffer<Unit> border;  // [pixel_units]: what surrounds the image
};
struct Int8Block {
  static constexpr size_t kNone = ~size_t{0};
  size_t in_float = kNone;  // its number in Int8Network::floats, if it stays in float; then `depthwise` has no more than sizes
  Int8PackedDepthwise depthwise;
  bool planes = false;  // a network's first block may run on planes; it has no kernel, and neither se, mid nor shortcut
  Int8Dwconv* dwconv = nullptr;
  Int8DwconvF32* dwconv_f32 = nullptr;
  size_t kernel = 0;
  Stride stride{};
  bool se = false;
  PackedDense reduce, expand;
  Int8PackedDense mid, pointwise;
  bool shortcut = false;
  size_t out_channels = 0;  // without padding

  bool split() const { return mid.out != 0; }
  // What reads the depthwise layer's output.
  const Int8PackedDense& first() const { return split() ? mid : pointwise; }
};

struct Int8Network : Ends {
  // float_kernels: of the same number of lanes, for the parts that stay in float.
  Int8Network(const Int8Kernels& kernels, const Int8NetworkSource& source, const Kernels& float_kernels);

  const Int8Kernels& kernels;
  const Activation activation, gate, head_activation;
  const Stride stem_stride;
  Network floats;  // the blocks, the head and the classifier that stay in float, and nothing else
  size_t in_chans;
  Int8PackedStem stem;
  std::vector<Int8Block> blocks;
  std::vector<size_t> feature_maps;   // as in Int8NetworkSource
  static constexpr size_t front = 0;  // no map is private to a thread
  Int8PackedDense head, classifier;
  size_t features, classes;  // without padding

  bool in_float(size_t block) const { return blocks[block].in_float != Int8Block::kNone; }
  const Block& float_block(size_t block) const { return floats.blocks[blocks[block].in_float]; }
  // The head or the classifier in float, null if it is not.
  const PackedDense* in_float(const Int8PackedDense& d) const {
    const PackedDense& f = &d == &head ? floats.head : floats.classifier;
    return f.out ? &f : nullptr;
  }

  // Whether the layer behind the pooling is in float: then its weights have hard-swish's division, and the means have not.
  bool pools_for_float() const { return in_float(head.out ? head : classifier); }
  float embedding_scale() const { return head.out || pools_for_float() ? unit_of(head_activation) : 1.0f; }

  size_t padded(size_t channels) const { return round_up(channels, kernels.lanes); }
  size_t pixel_units() const { return round_up(in_chans, kernels.group) / kernels.group; }
  size_t code_bytes() const { return sizeof(Unit) / kernels.group; }
  // Group rows that a depthwise kernel of `kernel` rows touches whose first one is at `phase` of its group.
  size_t groups(size_t kernel, size_t phase) const { return (phase + kernel + kernels.group - 1) / kernels.group; }
};

}  // namespace lcnet
