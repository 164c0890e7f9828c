// The networks of tests/golden/networks.txt, whose weights and pixels are made of a seed by arithmetic that any language has:
// whole numbers modulo 2^32, and their quotients by powers of two, which floats hold exactly.
#pragma once

#include <cstdint>
#include <fstream>
#include <list>
#include <sstream>
#include <string>
#include <vector>

#include "../../../native/inference/fold.h"
#include "../../../native/inference/int8/network.h"
#include "made.h"

// Xorshift of 32 bits; the upper half of each state is what is drawn.
class Drawn {
 public:
  explicit Drawn(uint32_t seed) : state_(seed) {}
  uint32_t next() {
    state_ ^= state_ << 13, state_ ^= state_ >> 17, state_ ^= state_ << 5;
    return state_ >> 16;
  }
  // From -2^-shift up to 2^-shift.
  float value(int shift) { return std::ldexp(static_cast<float>(static_cast<int32_t>(next()) - 32768), -15 - shift); }
  // From 1 up to 2, times 2^-shift.
  float scale(int shift) { return std::ldexp(static_cast<float>(next() + 65536), -16 - shift); }

 private:
  uint32_t state_;
};

// Half the logarithm of how many inputs a sum has.
inline int shift_of(size_t taps) {
  int shift = 0;
  while (size_t{4} << (2 * shift) <= taps) ++shift;
  return shift;
}

struct Golden {
  Made made;
  uint32_t seed;
  size_t height, width;
  std::string expected[3];  // as lines of the file
};
constexpr const char* kFamilies[] = {"fma", "plain", "int8"};

inline std::vector<float> golden_pixels(const Golden& g) {
  Drawn drawn(g.seed);
  std::vector<float> x(g.made.in_chans * g.height * g.width);
  for (float& v : x) v = drawn.value(0);
  return x;
}

// Layers in the order of the network: of each conv its weights, then of its batch norm gamma, beta, mean and variance, or its bias.
class GoldenFloat {
 public:
  lcnet::NetworkSource source{};

  explicit GoldenFloat(const Golden& g) : drawn_(~g.seed) {
    const Made& made = g.made;
    source.stem = {normed(made.stem, made.in_chans * 9), last_, made.stem, made.in_chans, 3};
    source.feature_maps = made.feature_maps, source.pooled = made.pooled;
    source.stem_stride = made.stem_stride, source.activation = made.activation, source.gate = made.gate;
    source.plain_head = made.plain_head;
    size_t in = made.stem;
    for (const MadeBlock& b : made.blocks) in = block(b, in);
    const size_t pooled = made.pooled_channels();
    if (made.head) source.head = plain(pooled, made.head);
    if (made.classes) source.classifier = plain(made.head ? made.head : pooled, made.classes);
  }

 private:
  size_t block(const MadeBlock& b, size_t in) {
    lcnet::BlockSource s{};
    s.depthwise = {normed(in, b.kernel * b.kernel), last_, in, 1, b.kernel};
    s.stride = b.stride, s.se = b.se, s.shortcut = b.shortcut;
    if (b.se) s.reduce = plain(in, in / 4), s.expand = plain(in / 4, in);
    if (b.mid) s.mid = {normed(b.mid, in), last_, in, b.mid};
    const size_t depth = b.mid ? b.mid : in;
    s.pointwise = {normed(b.channels, depth), last_, depth, b.channels};
    source.blocks.push_back(s);
    return b.channels;
  }
  float* floats(size_t n, int shift) {
    auto& values = values_.emplace_back(n);
    for (float& v : values) v = drawn_.value(shift);
    return values.data();
  }
  float* around_one(size_t n) {
    auto& values = values_.emplace_back(n);
    for (float& v : values) v = drawn_.scale(1);
    return values.data();
  }
  // A conv with its batch norm folded in; its bias is `last_` then.
  const float* normed(size_t out, size_t taps) {
    const float* w = floats(out * taps, shift_of(taps));
    const float *gamma = around_one(out), *beta = floats(out, 2), *mean = floats(out, 2), *var = around_one(out);
    float *folded = values_.emplace_back(out * taps).data(), *bias = values_.emplace_back(out).data();
    lcnet::fold({gamma, beta, mean, var, 1e-5}, w, out, taps, folded, bias);
    last_ = bias;
    return folded;
  }
  lcnet::Dense plain(size_t in, size_t out) {
    const float* w = floats(in * out, shift_of(in));
    return {w, floats(out, 2), in, out};
  }

  Drawn drawn_;
  std::list<std::vector<float>> values_;
  const float* last_ = nullptr;
};

// The same networks quantised: of each layer its weights, the scales of its sums, its bias, the scales and the zeros of its input;
// of squeeze-and-excite what GoldenFloat has.
class GoldenInt8 {
 public:
  lcnet::Int8NetworkSource source{};

  explicit GoldenInt8(const Golden& g) : drawn_(~g.seed) {
    const Made& made = g.made;
    source.stem = spatial(made.stem, made.in_chans, 3, made.in_chans);
    auto& mean = values_.emplace_back();
    for (size_t c = 0; c < made.in_chans; ++c) mean.push_back(static_cast<float>(source.stem.in_zero[c]) + 0.3125f);
    source.mean_255 = mean.data();
    source.feature_maps = made.feature_maps, source.pooled = made.pooled;
    source.stem_stride = made.stem_stride, source.activation = made.activation, source.gate = made.gate;
    source.plain_head = made.plain_head;
    size_t in = made.stem;
    for (const MadeBlock& b : made.blocks) in = block(b, in);
    const size_t pooled = made.pooled_channels();
    if (made.head) source.head = dense(pooled, made.head);
    if (made.classes) source.classifier = dense(made.head ? made.head : pooled, made.classes);
  }

 private:
  size_t block(const MadeBlock& b, size_t in) {
    lcnet::Int8BlockSource s{};
    s.depthwise = spatial(in, 1, b.kernel, in);
    s.stride = b.stride, s.se = b.se, s.shortcut = b.shortcut;
    if (b.se) s.reduce = plain(in, in / 4), s.expand = plain(in / 4, in);
    if (b.mid) s.mid = dense(in, b.mid);
    s.pointwise = dense(b.mid ? b.mid : in, b.channels);
    source.blocks.push_back(s);
    return b.channels;
  }
  float* floats(size_t n, int shift, float (Drawn::*draw)(int) = &Drawn::value) {
    auto& values = values_.emplace_back(n);
    for (float& v : values) v = (drawn_.*draw)(shift);
    return values.data();
  }
  lcnet::Dense plain(size_t in, size_t out) {
    const float* w = floats(in * out, shift_of(in));
    return {w, floats(out, 2), in, out};
  }
  lcnet::Int8Layer layer(size_t out, size_t taps, size_t in) {
    auto& w = weights_.emplace_back(out * taps);
    for (int8_t& v : w) v = static_cast<int8_t>(static_cast<int>(drawn_.next() % 255) - 127);
    const float *scale = floats(out, shift_of(taps) + 11, &Drawn::scale), *bias = floats(out, 0);
    const float* in_scale = floats(in, 6, &Drawn::scale);
    auto& zeros = zeros_.emplace_back(in);
    for (uint8_t& v : zeros) v = static_cast<uint8_t>(10 + drawn_.next() % 51);
    return {w.data(), scale, bias, in_scale, zeros.data()};
  }
  lcnet::Int8Spatial spatial(size_t channels, size_t in_chans, size_t k, size_t in) {
    return {layer(channels, in_chans * k * k, in), channels, in_chans, k};
  }
  lcnet::Int8Dense dense(size_t in, size_t out) { return {layer(out, in, in), in, out}; }

  Drawn drawn_;
  std::list<std::vector<float>> values_;
  std::list<std::vector<int8_t>> weights_;
  std::list<std::vector<uint8_t>> zeros_;
};

// A network of the file: a line a word, which the head of the file explains.
inline void read_line(Golden& g, const std::string& line) {
  std::istringstream words(line);
  std::string word, name;
  words >> word;
  Made& m = g.made;
  const auto numbers = [&](std::vector<size_t>& into) {
    for (size_t n; words >> n;) into.push_back(n);
  };
  if (word == "seed") words >> g.seed;
  if (word == "input") words >> m.in_chans >> g.height >> g.width;
  if (word == "stem") words >> m.stem >> m.stem_stride.h >> m.stem_stride.w;
  if (word == "activation") words >> name, m.activation = name == "relu" ? lcnet::Activation::relu : lcnet::Activation::hswish6;
  if (word == "gate") words >> name, m.gate = name == "sigmoid" ? lcnet::Activation::sigmoid : lcnet::Activation::hsigmoid6;
  if (word == "maps") numbers(m.feature_maps);
  if (word == "pooled") numbers(m.pooled);
  if (word == "head") words >> m.head >> name, m.plain_head = name == "plain";
  if (word == "classes") words >> m.classes;
  if (word == "block") {
    MadeBlock& b = m.blocks.emplace_back();
    words >> b.channels >> b.kernel >> b.stride.h >> b.stride.w >> b.se >> b.mid >> b.shortcut;
  }
  for (size_t f = 0; f < 3; ++f)
    if (word == kFamilies[f]) g.expected[f] = line;
}

inline std::list<Golden> read_golden(std::istream& file) {
  std::list<Golden> all;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("network ", 0) == 0) all.push_back({{line.substr(8), 0, 0, {}, {}, 0, 0}, 0, 0, 0, {}});
    if (!all.empty()) read_line(all.back(), line);
  }
  return all;
}
