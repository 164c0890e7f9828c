// The layers of a network as Python hands them over, in float or quantised: checks that they fit each other, and keeps their
// arrays alive until they are packed.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "engine/engine.h"

namespace nb = nanobind;
using lcnet::Dense;
using lcnet::Spatial;

template <size_t N>
using In = nb::ndarray<const float, nb::ndim<N>, nb::c_contig, nb::device::cpu>;
inline void require(bool good, const char* what) {
  if (!good) throw std::invalid_argument(what);
}

inline Spatial spatial(const In<4>& w, const In<1>& b) {
  require(w.shape(0) == b.shape(0) && w.shape(2) == w.shape(3), "a conv's weight and bias do not fit");
  return {w.data(), b.data(), w.shape(0), w.shape(1), w.shape(2)};
}

inline Dense dense(const In<2>& w, const In<1>& b) {
  require(w.shape(0) == b.shape(0), "a layer's weight and bias do not fit");
  return {w.data(), b.data(), w.shape(1), w.shape(0)};
}

// Puts squeeze-and-excite into the last block of `blocks`.
template <class Block>
Block& add_squeeze_excite(std::vector<Block>& blocks, const Dense& reduce, const Dense& expand) {
  require(!blocks.empty(), "squeeze-and-excite belongs to a block");
  Block& block = blocks.back();
  const size_t channels = block.depthwise.channels;
  require(reduce.in == channels && expand.out == channels && expand.in == reduce.out,
          "squeeze-and-excite does not fit its block");
  block.se = true, block.reduce = reduce, block.expand = expand;
  return block;
}

// Puts a second pointwise layer behind the one of `block`.
template <class Block, class Layer>
void add_pointwise(Block& block, const Layer& layer) {
  require(!block.mid.out && layer.in == block.pointwise.out, "a second pointwise layer does not fit its block");
  block.mid = block.pointwise, block.pointwise = layer;
}

inline bool fits_shortcut(const lcnet::BlockSource& b) {
  return !b.shortcut || (b.stride == lcnet::Stride{1, 1} && b.pointwise.out == b.depthwise.channels);
}
inline bool fits_shortcut(const lcnet::Int8BlockSource& b) {
  const bool like = b.stride == lcnet::Stride{1, 1} && b.pointwise.out == b.depthwise.channels;
  return b.in_float ? fits_shortcut(b.floats) : !b.shortcut || like;
}

// Of the rows and of the columns.
using Strides = std::tuple<size_t, size_t>;
inline lcnet::Stride stride(const Strides& s) { return {std::get<0>(s), std::get<1>(s)}; }

// What both kinds of layers need: how wide the trunk is so far, and arrays kept alive until they are packed.
template <class Source>
class KeptLayers {
 public:
  // After how many blocks each feature map is: ascending, from 1.
  void feature_maps(const std::vector<size_t>& after_blocks) { source_.feature_maps = after_blocks; }
  // The same of the maps whose means head or classifier read, side by side; by default the last block's. Known before either.
  void pooled(const std::vector<size_t>& after_blocks) { source_.pooled = after_blocks; }
  void activation(const std::string& name) {
    require(name == "hard_swish" || name == "relu", "there is no such activation");
    source_.activation = name == "relu" ? lcnet::Activation::relu : lcnet::Activation::hswish6;
  }
  // Of squeeze-and-excite.
  void gate(const std::string& name) {
    require(name == "hard_sigmoid" || name == "sigmoid", "there is no such gate");
    source_.gate = name == "sigmoid" ? lcnet::Activation::sigmoid : lcnet::Activation::hsigmoid6;
  }

 protected:
  size_t trunk_channels() const { return source_.blocks.empty() ? source_.stem.channels : source_.blocks.back().pointwise.out; }
  template <class... Arrays>
  void keep(const Arrays&... arrays) {
    (kept_.push_back(nb::cast(arrays)), ...);
  }
  void check() const {
    require(source_.stem.w && !source_.blocks.empty(), "a stem and a block are needed");
    for (const auto& block : source_.blocks) require(fits_shortcut(block), "a shortcut needs an output like the block's input");
    check_order(source_.feature_maps, "feature maps come after blocks, in their order");
    check_order(source_.pooled, "pooled maps come after blocks, in their order");
  }
  void check_order(const std::vector<size_t>& after_blocks, const char* what) const {
    size_t last = 0;
    for (size_t index : after_blocks) {
      require(last < index && index <= source_.blocks.size(), what);
      last = index;
    }
  }
  void stem_stride(const Strides& s) {
    source_.stem_stride = stride(s);
    const auto good = [](size_t n) { return n == 1 || n == 2; };
    require(good(source_.stem_stride.h) && good(source_.stem_stride.w), "the stem's strides are 1 or 2");
  }
  // Channels that the layer behind the pooling reads.
  size_t pooled_channels() const {
    if (source_.pooled.empty()) return trunk_channels();
    check_order(source_.pooled, "pooled maps come after blocks, in their order");
    size_t channels = 0;
    for (size_t index : source_.pooled) channels += source_.blocks[index - 1].pointwise.out;
    return channels;
  }
  void check_head(bool activate) {
    require(source_.head.in == pooled_channels(), "the head does not fit what is pooled");
    source_.plain_head = !activate;
  }
  lcnet::BlockSource float_source(const Strides& strides, const In<4>& dw_w, const In<1>& dw_b, const In<2>& pw_w,
                                  const In<1>& pw_b, bool shortcut) const {
    lcnet::BlockSource block{};
    block.depthwise = spatial(dw_w, dw_b);
    block.pointwise = dense(pw_w, pw_b);
    block.stride = stride(strides);
    block.shortcut = shortcut;
    require(block.depthwise.in_chans == 1 && block.pointwise.in == block.depthwise.channels, "a block's convs do not fit");
    require(block.depthwise.channels == trunk_channels(), "a block does not fit the layer before it");
    return block;
  }
  auto& last_block() {
    require(!source_.blocks.empty(), "a second pointwise layer belongs to a block");
    return source_.blocks.back();
  }
  void check_classifier() const {
    const size_t in = source_.head.out ? source_.head.out : pooled_channels();
    require(source_.classifier.in == in, "the classifier does not fit the layer before it");
  }

  Source source_{};

 private:
  std::vector<nb::object> kept_;
};

// The folded layers of one network, handed over in its order.
class Layers : KeptLayers<lcnet::NetworkSource> {
 public:
  using KeptLayers::activation;
  using KeptLayers::feature_maps;
  using KeptLayers::gate;
  using KeptLayers::pooled;
  void stem(const In<4>& w, const In<1>& b, const Strides& strides) {
    source_.stem = spatial(w, b);
    stem_stride(strides);
    require(source_.stem.kernel == 3, "the stem is a 3x3 conv");
    keep(w, b);
  }
  void block(const Strides& strides, const In<4>& dw_w, const In<1>& dw_b, const In<2>& pw_w, const In<1>& pw_b,
             bool shortcut) {
    source_.blocks.push_back(float_source(strides, dw_w, dw_b, pw_w, pw_b, shortcut));
    keep(dw_w, dw_b, pw_w, pw_b);
  }
  // A second one behind the last block's first.
  void pointwise(const In<2>& w, const In<1>& b) {
    add_pointwise(last_block(), dense(w, b));
    keep(w, b);
  }
  void squeeze_excite(const In<2>& reduce_w, const In<1>& reduce_b, const In<2>& expand_w, const In<1>& expand_b) {
    add_squeeze_excite(source_.blocks, dense(reduce_w, reduce_b), dense(expand_w, expand_b));
    keep(reduce_w, reduce_b, expand_w, expand_b);
  }
  void head(const In<2>& w, const In<1>& b, bool activate) {
    source_.head = dense(w, b);
    check_head(activate);
    keep(w, b);
  }
  void classifier(const In<2>& w, const In<1>& b) {
    source_.classifier = dense(w, b);
    check_classifier();
    keep(w, b);
  }
  const lcnet::NetworkSource& source() const {
    check();
    return source_;
  }
};

using Int8Weights = nb::ndarray<const int8_t, nb::c_contig, nb::device::cpu>;
using Zeros = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// The same of a quantised network.
class Int8Layers : KeptLayers<lcnet::Int8NetworkSource> {
 public:
  using KeptLayers::activation;
  using KeptLayers::feature_maps;
  using KeptLayers::gate;
  using KeptLayers::pooled;
  void stem(const Int8Weights& w, const In<1>& scale, const In<1>& b, const In<1>& in_scale, const Zeros& in_zero,
            const In<1>& mean_255, const Strides& strides) {
    stem_stride(strides);
    source_.stem = int8_spatial(w, scale, b, in_scale, in_zero);
    require(source_.stem.kernel == 3, "the stem is a 3x3 conv");
    require(in_scale.shape(0) == source_.stem.in_chans && mean_255.shape(0) == source_.stem.in_chans,
            "the coding does not fit the stem");
    source_.mean_255 = mean_255.data();
    keep(w, scale, b, in_scale, in_zero, mean_255);
  }
  void block(const Strides& strides, const Int8Weights& dw_w, const In<1>& dw_scale, const In<1>& dw_b,
             const In<1>& dw_in_scale, const Zeros& dw_in_zero, const Int8Weights& pw_w, const In<1>& pw_scale,
             const In<1>& pw_b, const In<1>& pw_in_scale, const Zeros& pw_in_zero, bool shortcut) {
    lcnet::Int8BlockSource block{};
    block.depthwise = int8_spatial(dw_w, dw_scale, dw_b, dw_in_scale, dw_in_zero);
    block.pointwise = int8_dense(pw_w, pw_scale, pw_b, pw_in_scale, pw_in_zero);
    block.stride = stride(strides);
    require(block.depthwise.in_chans == 1 && block.pointwise.in == block.depthwise.channels, "a block's convs do not fit");
    require(dw_in_scale.shape(0) == block.depthwise.channels, "the coding does not fit a block");
    require(block.depthwise.channels == trunk_channels(), "a block does not fit the layer before it");
    block.shortcut = shortcut;
    source_.blocks.push_back(block);
    keep(dw_w, dw_scale, dw_b, dw_in_scale, dw_in_zero, pw_w, pw_scale, pw_b, pw_in_scale, pw_in_zero);
  }
  // A block, the head and the classifier that stay in float, as in Layers.
  void float_block(const Strides& strides, const In<4>& dw_w, const In<1>& dw_b, const In<2>& pw_w, const In<1>& pw_b,
                   bool shortcut) {
    lcnet::Int8BlockSource block{};
    block.in_float = true;
    block.floats = float_source(strides, dw_w, dw_b, pw_w, pw_b, shortcut);
    block.depthwise.channels = block.floats.depthwise.channels;
    block.pointwise.out = block.floats.pointwise.out;
    source_.blocks.push_back(block);
    keep(dw_w, dw_b, pw_w, pw_b);
  }
  // A second one behind the last block's first, which is of its kind.
  void pointwise(const Int8Weights& w, const In<1>& scale, const In<1>& b, const In<1>& in_scale, const Zeros& in_zero) {
    require(!last_block().in_float, "a block is in float as a whole");
    add_pointwise(last_block(), int8_dense(w, scale, b, in_scale, in_zero));
    keep(w, scale, b, in_scale, in_zero);
  }
  void float_pointwise(const In<2>& w, const In<1>& b) {
    require(last_block().in_float, "a block is in float as a whole");
    add_pointwise(last_block().floats, ::dense(w, b));
    last_block().pointwise.out = last_block().floats.pointwise.out;
    keep(w, b);
  }
  void float_head(const In<2>& w, const In<1>& b, bool activate) {
    source_.float_head = ::dense(w, b);
    source_.head.in = source_.float_head.in, source_.head.out = source_.float_head.out;
    check_head(activate);
    keep(w, b);
  }
  void float_classifier(const In<2>& w, const In<1>& b) {
    source_.float_classifier = ::dense(w, b);
    source_.classifier.in = source_.float_classifier.in, source_.classifier.out = source_.float_classifier.out;
    check_classifier();
    keep(w, b);
  }
  void squeeze_excite(const In<2>& reduce_w, const In<1>& reduce_b, const In<2>& expand_w, const In<1>& expand_b) {
    auto& block = add_squeeze_excite(source_.blocks, dense(reduce_w, reduce_b), dense(expand_w, expand_b));
    block.floats.se = true, block.floats.reduce = block.reduce, block.floats.expand = block.expand;
    keep(reduce_w, reduce_b, expand_w, expand_b);
  }
  void head(const Int8Weights& w, const In<1>& scale, const In<1>& b, const In<1>& in_scale, const Zeros& in_zero,
            bool activate) {
    source_.head = int8_dense(w, scale, b, in_scale, in_zero);
    check_head(activate);
    keep(w, scale, b, in_scale, in_zero);
  }
  void classifier(const Int8Weights& w, const In<1>& scale, const In<1>& b, const In<1>& in_scale, const Zeros& in_zero) {
    source_.classifier = int8_dense(w, scale, b, in_scale, in_zero);
    check_classifier();
    keep(w, scale, b, in_scale, in_zero);
  }
  const lcnet::Int8NetworkSource& source() const {
    check();
    return source_;
  }

 private:
  static lcnet::Int8Spatial int8_spatial(const Int8Weights& w, const In<1>& scale, const In<1>& b, const In<1>& in_scale,
                                         const Zeros& in_zero) {
    require(w.ndim() == 4 && w.shape(2) == w.shape(3), "a conv's weight is not [O,I,k,k]");
    return {layer(w, scale, b, in_scale, in_zero), w.shape(0), w.shape(1), w.shape(2)};
  }
  static lcnet::Int8Dense int8_dense(const Int8Weights& w, const In<1>& scale, const In<1>& b, const In<1>& in_scale,
                                     const Zeros& in_zero) {
    require(w.ndim() == 2 && in_scale.shape(0) == w.shape(1), "a layer's weight and coding do not fit");
    return {layer(w, scale, b, in_scale, in_zero), w.shape(1), w.shape(0)};
  }
  static lcnet::Int8Layer layer(const Int8Weights& w, const In<1>& scale, const In<1>& b, const In<1>& in_scale,
                                const Zeros& in_zero) {
    require(w.shape(0) == scale.shape(0) && w.shape(0) == b.shape(0), "a layer's weight, scale and bias do not fit");
    require(in_scale.shape(0) == in_zero.shape(0), "a layer's input scales and zeros do not fit");
    return {w.data(), scale.data(), b.data(), in_scale.data(), in_zero.data()};
  }
};
