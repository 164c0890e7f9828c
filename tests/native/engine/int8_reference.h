// A quantised network and its arithmetic in plain loops over whole tensors, [channels][height][width], in the words of
// native/kernels/kernels.h: nothing is packed, cut, interleaved or shared. What every engine must equal to the bit.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <list>
#include <random>
#include <vector>

#include "../../../native/kernels/int8/arithmetic.h"
#include "made.h"
#include "tensor.h"
#include "../../../native/inference/int8/network.h"

// Random layers whose scales and biases fit a picture (see Int8Reference::fit): with random ones, deep networks give every
// picture the same answer.
class Int8Weights {
 public:
  lcnet::Int8NetworkSource source{};

  Int8Weights(std::mt19937& rng, const Made& made) : rng_(rng) {
    source.stem = spatial(made.stem, made.in_chans, 3, made.in_chans);
    source.feature_maps = made.feature_maps;
    source.stem_stride = made.stem_stride, source.activation = made.activation, source.pooled = made.pooled;
    source.gate = made.gate, source.plain_head = made.plain_head;
    float* mean = floats(made.in_chans, 0.0f);
    for (size_t c = 0; c < made.in_chans; ++c) mean[c] = static_cast<float>(source.stem.in_zero[c]) + 0.3f;
    source.mean_255 = mean;
    size_t in = made.stem;
    for (const MadeBlock& block : made.blocks) {
      lcnet::Int8BlockSource b{};
      b.depthwise = spatial(in, 1, block.kernel, in);
      b.stride = block.stride;
      if (block.mid) b.mid = dense(in, block.mid);
      b.pointwise = dense(block.mid ? block.mid : in, block.channels);
      b.shortcut = block.shortcut;
      if ((b.se = block.se)) b.reduce = plain(in, in / 4), b.expand = plain(in / 4, in);
      source.blocks.push_back(b);
      in = block.channels;
    }
    const size_t pooled = made.pooled_channels();
    if (made.head) source.head = dense(pooled, made.head);
    if (made.classes) source.classifier = dense(made.head ? made.head : pooled, made.classes);
  }

 private:
  float* floats(size_t n, float scale) {
    auto& values = floats_.emplace_back(n);
    for (float& v : values) v = scale * std::normal_distribution<float>()(rng_);
    return values.data();
  }
  lcnet::Dense plain(size_t in, size_t out) {
    return {floats(in * out, 1.0f / std::sqrt(static_cast<float>(in))), floats(out, 0.2f), in, out};
  }
  // `taps` weights an output; inputs are coded in `in` channels.
  lcnet::Int8Layer layer(size_t out, size_t taps, size_t in) {
    auto& w = weights_.emplace_back(out * taps);
    auto& zeros = zeros_.emplace_back(in);
    for (int8_t& v : w) v = static_cast<int8_t>(std::uniform_int_distribution<int>(-127, 127)(rng_));
    float *scale = floats(out, 0.0f), *in_scale = floats(in, 0.0f);
    for (size_t c = 0; c < in; ++c) {
      in_scale[c] = std::uniform_real_distribution<float>(0.01f, 0.03f)(rng_);
      zeros[c] = static_cast<uint8_t>(std::uniform_int_distribution<int>(10, 60)(rng_));
    }
    for (size_t o = 0; o < out; ++o)
      scale[o] = std::uniform_real_distribution<float>(1, 3)(rng_) / (73.0f * 60.0f * std::sqrt(static_cast<float>(taps)));
    return {w.data(), scale, floats(out, 0.5f), in_scale, zeros.data()};
  }
  lcnet::Int8Spatial spatial(size_t channels, size_t in_chans, size_t k, size_t in) {
    return {layer(channels, in_chans * k * k, in), channels, in_chans, k};
  }
  lcnet::Int8Dense dense(size_t in, size_t out) { return {layer(out, in, in), in, out}; }

  std::mt19937& rng_;
  std::list<std::vector<float>> floats_;
  std::list<std::vector<int8_t>> weights_;
  std::list<std::vector<uint8_t>> zeros_;
};

struct Int8Reference {
  const lcnet::Int8NetworkSource& net;
  std::vector<Tensor> maps;  // float, the feature maps
  std::vector<float> embedding, logits;
  bool fits = false;

  // Gives every conv's sums the spread and mean that batch norm would, as far as one picture tells. Changes the layers.
  void fit(const float* image, size_t height, size_t width) {
    fits = true;
    run(image, height, width);
    fits = false;
  }

  void run(const float* image, size_t height, size_t width) {
    Tensor codes{net.stem.in_chans, height, width, {}};
    for (size_t c = 0; c < codes.channels; ++c)
      for (size_t i = 0; i < height * width; ++i)
        codes.values.push_back(
            lcnet::to_code(image[c * height * width + i], reciprocal(net.stem.in_scale[c], 1), net.mean_255[c]));
    Tensor x = conv(codes, net.stem, net.stem_stride, false);
    std::vector<float> pooled;
    for (size_t i = 0; i < net.blocks.size(); ++i) {
      x = block(x, net.blocks[i]);
      for (size_t f : net.feature_maps)
        if (f == i + 1) maps.push_back(scaled(x));
      const auto has = std::find(net.pooled.begin(), net.pooled.end(), i + 1) != net.pooled.end();
      if (has || (net.pooled.empty() && i + 1 == net.blocks.size()))
        for (float mean : means(x)) pooled.push_back(mean);
    }
    head(pooled);
  }

  void head(const std::vector<float>& pooled) {
    embedding = pooled;
    const bool six = net.head.out && !net.plain_head;
    if (net.head.out) embedding = dense(code(pooled, net.head, 1), net.head, six);
    if (net.classifier.out) logits = dense(code(embedding, net.classifier, six ? times() : 1), net.classifier, false);
    if (six)
      for (float& v : embedding) v *= unit();
  }

  // Of the true values: the network computes `times` as much.
  std::vector<float> means(const Tensor& x) const {
    std::vector<float> out;
    for (size_t c = 0; c < x.channels; ++c) {
      float sum = 0;
      for (size_t y = 0; y < x.height; ++y) {
        float row = 0;
        for (size_t i = 0; i < x.width; ++i) row += x.at(c, y, i);
        sum += row;
      }
      out.push_back(sum * static_cast<float>(1.0 / (times() * static_cast<double>(x.height * x.width))));
    }
    return out;
  }

 private:
  double times() const { return net.activation == lcnet::Activation::relu ? 1.0 : 6.0; }
  float unit() const { return net.activation == lcnet::Activation::relu ? 1.0f : 1.0f / 6.0f; }
  static float reciprocal(float scale, double times) { return static_cast<float>(1.0 / (times * scale)); }

  Tensor scaled(Tensor x) const {
    for (float& v : x.values) v *= unit();
    return x;
  }

  static std::vector<float> code(const std::vector<float>& x, const lcnet::Int8Layer& next, double times) {
    std::vector<float> out;
    for (size_t c = 0; c < x.size(); ++c)
      out.push_back(lcnet::to_code(x[c], reciprocal(next.in_scale[c], times), next.in_zero[c]));
    return out;
  }
  Tensor code(Tensor x, const lcnet::Int8Layer& next) const {
    const size_t pixels = x.height * x.width;
    for (size_t i = 0; i < x.values.size(); ++i) {
      const size_t c = i / pixels;
      x.values[i] = lcnet::to_code(x.values[i], reciprocal(next.in_scale[c], times()), next.in_zero[c]);
    }
    return x;
  }

  // What a conv makes, its activation `times` too large: of each channel alone, or of all input channels where it has as many. The stem's codes keep their zero.
  Tensor conv(const Tensor& x, const lcnet::Int8Spatial& s, lcnet::Stride stride, bool centered) const {
    Tensor out{s.channels, lcnet::strided(x.height, stride.h), lcnet::strided(x.width, stride.w), {}};
    const size_t pixels = out.height * out.width, taps = s.in_chans * s.kernel * s.kernel;
    const bool depthwise = centered && s.kernel > 1;
    for (size_t o = 0; o < s.channels; ++o) {
      std::vector<int32_t> sums(pixels);
      for (size_t p = 0; p < pixels; ++p)
        for (size_t t = 0; t < taps; ++t) {
          const size_t first = depthwise ? o : 0;
          const uint8_t zero = s.in_zero[first + t / (s.kernel * s.kernel)];
          const int code = static_cast<int>(under(x, s, stride, first, t, p / out.width, p % out.width, zero));
          sums[p] += s.w[o * taps + t] * (centered ? code - zero : code);
        }
      if (fits) fit_channel(sums, const_cast<float&>(s.scale[o]), const_cast<float&>(s.b[o]));
      for (int32_t sum : sums)
        out.values.push_back(lcnet::activate(lcnet::pre_activation(sum, s.scale[o], s.b[o]), net.activation));
    }
    return out;
  }

  static void fit_channel(const std::vector<int32_t>& sums, float& scale, float& bias) {
    double mean = 0, square = 1;
    for (int32_t sum : sums) mean += sum / static_cast<double>(sums.size());
    for (int32_t sum : sums) square += (sum - mean) * (sum - mean) / static_cast<double>(sums.size());
    scale = static_cast<float>(2.0 / std::sqrt(square));
    bias = static_cast<float>(0.5 - mean * static_cast<double>(scale));
  }

  std::vector<float> dense(const std::vector<float>& codes, const lcnet::Int8Dense& d, bool activated) const {
    std::vector<float> out;
    for (size_t o = 0; o < d.out; ++o) {
      int32_t sum = 0;
      for (size_t i = 0; i < d.in; ++i) sum += d.w[o * d.in + i] * (static_cast<int>(codes[i]) - d.in_zero[i]);
      const float pre = lcnet::pre_activation(sum, d.scale[o], d.b[o]);
      out.push_back(activated ? lcnet::activate(pre, net.activation) : pre);
    }
    return out;
  }

  static std::vector<float> plain(const std::vector<float>& x, const lcnet::Dense& d) {
    std::vector<float> out;
    for (size_t o = 0; o < d.out; ++o) {
      float sum = d.b[o];
      for (size_t i = 0; i < d.in; ++i) sum = fmaf(x[i], d.w[o * d.in + i], sum);
      out.push_back(sum);
    }
    return out;
  }

  Tensor block(const Tensor& x, const lcnet::Int8BlockSource& b) const {
    Tensor h6 = conv(code(x, b.depthwise), b.depthwise, b.stride, true);
    const size_t pixels = h6.height * h6.width;
    if (b.se) {
      std::vector<float> squeezed = plain(means(h6), b.reduce);
      for (float& v : squeezed) v = std::max(v, 0.0f);
      const std::vector<float> gates = plain(squeezed, b.expand);
      for (size_t i = 0; i < h6.values.size(); ++i) h6.values[i] *= gate(gates[i / pixels]);
    }
    if (b.mid.out) h6 = pointwise(h6, b.mid);
    h6 = pointwise(h6, b.pointwise);
    for (size_t i = 0; b.shortcut && i < h6.values.size(); ++i) h6.values[i] += x.values[i];
    return h6;
  }

  float gate(float x) const {
    return net.gate == lcnet::Activation::sigmoid ? lcnet::sigmoid(x) : lcnet::hsigmoid6(x) * (1.0f / 6.0f);
  }
  Tensor pointwise(const Tensor& x, const lcnet::Int8Dense& d) const {
    return conv(code(x, d), {d, d.out, d.in, 1}, {1, 1}, true);
  }
};
