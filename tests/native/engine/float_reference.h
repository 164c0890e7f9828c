// A float network and its arithmetic in plain loops over whole tensors, [channels][height][width]: nothing is packed, cut,
// padded or shared.
#pragma once

#include <algorithm>
#include <cmath>
#include <list>
#include <random>
#include <vector>

#include "../../../native/kernels/activation.h"
#include "made.h"
#include "tensor.h"

// Random weights of a scale that keeps signals alive.
class Weights {
 public:
  lcnet::NetworkSource source{};

  Weights(std::mt19937& rng, const Made& made) : rng_(rng) {
    source.stem = spatial(made.stem, made.in_chans, 3);
    source.feature_maps = made.feature_maps;
    source.stem_stride = made.stem_stride, source.activation = made.activation, source.pooled = made.pooled;
    source.gate = made.gate, source.plain_head = made.plain_head;
    size_t in = made.stem;
    for (const MadeBlock& block : made.blocks) {
      lcnet::BlockSource b{};
      b.depthwise = spatial(in, 1, block.kernel);
      b.stride = block.stride;
      if (block.mid) b.mid = dense(in, block.mid);
      b.pointwise = dense(block.mid ? block.mid : in, block.channels);
      b.shortcut = block.shortcut;
      if ((b.se = block.se)) b.reduce = dense(in, in / 4), b.expand = dense(in / 4, in);
      source.blocks.push_back(b);
      in = block.channels;
    }
    const size_t pooled = made.pooled_channels();
    if (made.head) source.head = dense(pooled, made.head);
    if (made.classes) source.classifier = dense(made.head ? made.head : pooled, made.classes);
  }

 private:
  const float* random(size_t n, float scale) {
    auto& values = kept_.emplace_back(n);
    for (float& v : values) v = scale * std::normal_distribution<float>()(rng_);
    return values.data();
  }
  lcnet::Dense dense(size_t in, size_t out) {
    return {random(in * out, std::sqrt(2.5f / static_cast<float>(in))), random(out, 0.2f), in, out};
  }
  lcnet::Spatial spatial(size_t channels, size_t in_chans, size_t k) {
    const size_t n = in_chans * k * k;
    return {random(channels * n, std::sqrt(2.5f / static_cast<float>(n))), random(channels, 0.2f), channels, in_chans, k};
  }

  std::mt19937& rng_;
  std::list<std::vector<float>> kept_;
};

struct Results {
  std::vector<float> logits, embedding;
  std::vector<std::vector<float>> maps;
};

class FloatReference {
 public:
  static Results run(const lcnet::NetworkSource& net, Tensor x) {
    Results out;
    const auto has = [](const std::vector<size_t>& maps, size_t map) {
      return std::find(maps.begin(), maps.end(), map) != maps.end();
    };
    x = conv(x, net.stem, net.stem_stride, false, net.activation);
    for (size_t i = 0; i < net.blocks.size(); ++i) {
      x = block(x, net.blocks[i], net);
      if (has(net.feature_maps, i + 1)) out.maps.push_back(x.values);
      if (has(net.pooled, i + 1) || (net.pooled.empty() && i + 1 == net.blocks.size()))
        for (float mean : means(x)) out.embedding.push_back(mean);
    }
    if (net.head.out) out.embedding = dense(out.embedding, net.head);
    if (net.head.out && !net.plain_head) out.embedding = activated(out.embedding, net.activation);
    if (net.classifier.out) out.logits = dense(out.embedding, net.classifier);
    return out;
  }

 private:
  static std::vector<float> activated(std::vector<float> x, lcnet::Activation act) {
    for (float& v : x) v = act == lcnet::Activation::relu ? std::max(v, 0.0f) : lcnet::hswish6(v) / 6.0f;
    return x;
  }

  static Tensor conv(const Tensor& x, const lcnet::Spatial& s, lcnet::Stride stride, bool depthwise, lcnet::Activation act) {
    Tensor out{s.channels, lcnet::strided(x.height, stride.h), lcnet::strided(x.width, stride.w), {}};
    const size_t taps = s.in_chans * s.kernel * s.kernel;
    for (size_t o = 0; o < s.channels; ++o)
      for (size_t y = 0; y < out.height; ++y)
        for (size_t i = 0; i < out.width; ++i) {
          float sum = s.b[o];
          for (size_t t = 0; t < taps; ++t) sum += s.w[o * taps + t] * under(x, s, stride, depthwise ? o : 0, t, y, i, 0.0f);
          out.values.push_back(sum);
        }
    out.values = activated(std::move(out.values), act);
    return out;
  }

  static std::vector<float> means(const Tensor& x) {
    std::vector<float> out(x.channels);
    const size_t pixels = x.height * x.width;
    for (size_t i = 0; i < x.values.size(); ++i) out[i / pixels] += x.values[i] / static_cast<float>(pixels);
    return out;
  }

  static std::vector<float> dense(const std::vector<float>& x, const lcnet::Dense& d) {
    std::vector<float> out(d.b, d.b + d.out);
    for (size_t o = 0; o < d.out; ++o)
      for (size_t i = 0; i < d.in; ++i) out[o] += d.w[o * d.in + i] * x[i];
    return out;
  }

  static float gate(float x, lcnet::Activation act) {
    if (act == lcnet::Activation::sigmoid) return static_cast<float>(1.0 / (1.0 + std::exp(-static_cast<double>(x))));
    return lcnet::hsigmoid6(x) / 6.0f;
  }

  static Tensor pointwise(const Tensor& x, const lcnet::Dense& d, lcnet::Activation act) {
    const size_t pixels = x.height * x.width;
    Tensor out{d.out, x.height, x.width, std::vector<float>(d.out * pixels)};
    for (size_t p = 0; p < pixels; ++p) {
      std::vector<float> pixel(x.channels);
      for (size_t c = 0; c < x.channels; ++c) pixel[c] = x.values[c * pixels + p];
      const std::vector<float> values = activated(dense(pixel, d), act);
      for (size_t o = 0; o < values.size(); ++o) out.values[o * pixels + p] = values[o];
    }
    return out;
  }

  static Tensor block(const Tensor& x, const lcnet::BlockSource& b, const lcnet::NetworkSource& net) {
    Tensor y = conv(x, b.depthwise, b.stride, true, net.activation);
    const size_t pixels = y.height * y.width;
    if (b.se) {
      std::vector<float> squeezed = dense(means(y), b.reduce);
      for (float& v : squeezed) v = std::max(v, 0.0f);
      const std::vector<float> gates = dense(squeezed, b.expand);
      for (size_t i = 0; i < y.values.size(); ++i) y.values[i] *= gate(gates[i / pixels], net.gate);
    }
    if (b.mid.out) y = pointwise(y, b.mid, net.activation);
    y = pointwise(y, b.pointwise, net.activation);
    for (size_t i = 0; b.shortcut && i < y.values.size(); ++i) y.values[i] += x.values[i];
    return y;
  }
};
