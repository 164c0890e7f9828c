// Networks to test with, by their shape: LCNet's own, and others that an engine must not mistake for it.
#pragma once

#include <string>
#include <vector>

#include "../../../native/inference/network.h"

struct MadeBlock {
  size_t channels, kernel;  // out
  lcnet::Stride stride;
  bool se = false;
  size_t mid = 0;  // channels between two pointwise layers
  bool shortcut = false;
};

struct Made {
  std::string name;
  size_t in_chans, stem;  // channels
  std::vector<MadeBlock> blocks;
  std::vector<size_t> feature_maps;
  size_t head, classes;
  lcnet::Stride stem_stride = {2, 2};
  lcnet::Activation activation = lcnet::Activation::hswish6;
  std::vector<size_t> pooled = {};
  lcnet::Activation gate = lcnet::Activation::hsigmoid6;
  bool plain_head = false;

  // Channels that head or classifier read.
  size_t pooled_channels() const {
    if (pooled.empty()) return blocks.back().channels;
    size_t channels = 0;
    for (size_t map : pooled) channels += blocks[map - 1].channels;
    return channels;
  }
};

inline Made lcnet_shape(size_t width, size_t in_chans) {
  Made made{"lcnet x" + std::to_string(width), in_chans, width, {}, {1, 3, 5, 11, 13}, 70, 11};
  const size_t outs[] = {2, 4, 4, 8, 8, 16, 16, 16, 16, 16, 16, 32, 32}, strides[] = {1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1};
  for (size_t i = 0; i < 13; ++i)
    made.blocks.push_back({outs[i] * width, i < 6 ? size_t{3} : size_t{5}, {strides[i], strides[i]}, i >= 11});
  return made;
}

// More blocks than LCNet, most of them too narrow to need a second vector.
inline Made deep_shape() {
  Made made{"deep", 3, 8, {}, {4, 20}, 30, 5};
  for (size_t i = 0; i < 20; ++i)
    made.blocks.push_back(
        {8 + 4 * (i % 3), i % 2 ? size_t{5} : size_t{3}, {i % 7 == 3 ? 2u : 1u, i % 5 == 2 ? 2u : 1u}, i > 17});
  return made;
}

// Maps of one shape in a row, with feature maps among them that must not make room for each other.
inline Made alike_shape() {
  Made made{"all alike", 3, 8, {}, {1, 2, 3, 6, 7, 8}, 9, 4};
  for (size_t i = 0; i < 10; ++i) {
    const size_t stride = i == 0 || i == 3 || i == 4 ? 2 : 1;
    made.blocks.push_back({16, i == 0 ? size_t{3} : size_t{5}, {stride, stride}});
  }
  return made;
}

// LCNetV2's stages in small: two pointwise layers behind gates that are sigmoids, and shortcuts.
inline Made v2_shape(size_t width, size_t in_chans) {
  const size_t w = width;
  return {"v2 x" + std::to_string(width),
          in_chans,
          w,
          {{2 * w, 3, {1, 1}},
           {4 * w, 3, {2, 2}},
           {4 * w, 3, {1, 1}},
           {8 * w, 5, {2, 2}, true, 4 * w},
           {8 * w, 5, {1, 1}, true, 4 * w},
           {16 * w, 5, {2, 2}},
           {16 * w, 5, {1, 1}, false, 0, true}},
          {3, 5, 7},
          52,
          9,
          {2, 2},
          lcnet::Activation::relu,
          {},
          lcnet::Activation::sigmoid};
}

// Both kinds of blocks wherever a network may have them: first, in front of feature maps and behind them, in a row, at the end;
// one shortcut's output is the next one's input.
inline std::vector<Made> mixed_shapes() {
  const std::vector<MadeBlock> mixed = {{12, 3, {1, 1}, false, 20, true}, {20, 3, {2, 1}, false, 8},
                                        {20, 5, {1, 1}, true, 12, true},  {20, 3, {1, 1}, false, 0, true},
                                        {20, 5, {1, 1}, true, 0, true},   {36, 3, {2, 2}, true, 28},
                                        {36, 5, {1, 1}, false, 44, true}, {36, 3, {1, 1}, false, 0, true}},
                               few = {
                                   {8, 3, {1, 1}, false, 0, true}, {8, 3, {1, 1}, false, 0, true}, {24, 3, {2, 2}, false, 9}};
  const auto relu = lcnet::Activation::relu, hswish = lcnet::Activation::hswish6;
  const auto sigmoid = lcnet::Activation::sigmoid, hsigmoid = lcnet::Activation::hsigmoid6;
  return {
      {"mixed", 3, 12, mixed, {1, 3, 4, 8}, 21, 6, {2, 2}, relu, {}, sigmoid, true},
      {"mixed, hard-swish", 3, 12, mixed, {2, 5, 7}, 21, 6, {2, 2}, hswish, {}, sigmoid},
      {"mixed, hard gates", 1, 12, mixed, {3, 8}, 0, 6, {1, 2}, hswish, {1, 4, 7}, hsigmoid},
      {"mixed, plain embedding", 3, 12, mixed, {8}, 40, 0, {2, 2}, hswish, {}, sigmoid, true},
      {"few", 3, 8, few, {1, 2, 3}, 12, 3, {1, 1}, relu, {2, 3}, sigmoid, true},
  };
}

// Rows and columns that shrink apart, as text needs it; a first block that is not on planes, with squeeze-and-excite and
// without; no squeeze-and-excite at all; no classifier, and no head; stems of all strides, ReLU, and several pooled maps.
inline std::vector<Made> other_shapes() {
  const std::vector<MadeBlock> one = {{20, 3, {1, 1}}},
                               text = {{16, 3, {1, 1}},
                                       {24, 3, {2, 1}},
                                       {24, 3, {1, 2}},
                                       {40, 5, {2, 1}, true},
                                       {40, 5, {1, 1}}},
                               rows = {{24, 3, {2, 1}}, {24, 5, {1, 2}}, {48, 3, {2, 2}}, {32, 5, {1, 2}}},
                               columns = {{12, 3, {1, 2}}, {20, 3, {1, 1}}, {36, 5, {2, 1}}},
                               gated = {{20, 5, {1, 2}, true}, {28, 3, {2, 1}, true}, {20, 3, {2, 2}}};
  return {
      {"one block", 3, 8, one, {1}, 12, 4},
      {"text", 3, 8, text, {2, 5}, 40, 7},
      {"rows first", 1, 16, rows, {1, 2, 3}, 24, 0},
      {"columns first", 3, 12, columns, {1, 3}, 10, 3},
      {"gated first", 3, 8, gated, {1}, 0, 0},
      alike_shape(),
      deep_shape(),
      {"no head", 3, 8, text, {2, 5}, 0, 7, {1, 2}},
      {"fine stem", 3, 12, gated, {1, 3}, 12, 3, {1, 1}, lcnet::Activation::relu},
      {"wide stem", 2, 8, text, {1, 5}, 0, 4, {2, 1}, lcnet::Activation::relu, {2, 4, 5}},
      {"pooled early", 3, 16, rows, {1, 4}, 9, 5, {2, 2}, lcnet::Activation::hswish6, {1, 3, 4}},
      {"pooled only", 3, 8, one, {1}, 0, 0, {2, 2}, lcnet::Activation::relu, {1}},
  };
}
