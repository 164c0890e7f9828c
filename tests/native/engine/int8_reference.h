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
#include "../../../native/engine/int8/network.h"

struct Tensor {
  size_t channels, height, width;
  std::vector<float> values;
  float at(size_t c, size_t y, size_t x) const { return values[(c * height + y) * width + x]; }
};

// Random layers whose scales and biases fit a picture (see Int8Reference::fit): with random ones, deep networks give every
// picture the same answer.
class Int8Weights {
 public:
  lcnet::Int8NetworkSource source;

  Int8Weights(std::mt19937& rng, size_t width, size_t in_chans, size_t classes) : rng_(rng) {
    const size_t outs[13] = {2, 4, 4, 8, 8, 16, 16, 16, 16, 16, 16, 32, 32};
    const size_t kernels[13] = {3, 3, 3, 3, 3, 3, 5, 5, 5, 5, 5, 5, 5}, strides[13] = {1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1};
    source.stem = spatial(width, in_chans, 3, in_chans);
    float* mean = floats(in_chans, 0.0f);
    for (size_t c = 0; c < in_chans; ++c) mean[c] = static_cast<float>(source.stem.in_zero[c]) + 0.3f;
    source.mean_255 = mean;
    size_t in = width;
    for (size_t i = 0; i < 13; ++i) {
      lcnet::Int8BlockSource b{};
      const size_t out = outs[i] * width;
      b.depthwise = spatial(in, 1, kernels[i], in);
      b.stride = strides[i];
      b.pointwise = dense(in, out);
      if ((b.se = i >= 11)) b.reduce = plain(in, in / 4), b.expand = plain(in / 4, in);
      source.blocks.push_back(b);
      in = out;
    }
    source.head = dense(in, 70);
    source.classifier = dense(70, classes);
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
  std::vector<Tensor> maps;  // float, after blocks 1, 3, 5, 11 and 13
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
    Tensor x = conv(codes, net.stem, 2, false);
    for (size_t i = 0; i < net.blocks.size(); ++i) {
      x = block(x, net.blocks[i]);
      for (size_t f : {1, 3, 5, 11, 13})
        if (f == i + 1) maps.push_back(scaled(x));
    }
    head(means(x));
  }

  void head(const std::vector<float>& pooled) {
    embedding = dense(code(pooled, net.head, 1), net.head, true);
    logits = dense(code(embedding, net.classifier, 6), net.classifier, false);
    for (float& v : embedding) v *= 1.0f / 6.0f;
  }

  // Six times the means that the network computes.
  static std::vector<float> means(const Tensor& x) {
    std::vector<float> out;
    for (size_t c = 0; c < x.channels; ++c) {
      float sum = 0;
      for (size_t y = 0; y < x.height; ++y) {
        float row = 0;
        for (size_t i = 0; i < x.width; ++i) row += x.at(c, y, i);
        sum += row;
      }
      out.push_back(sum * static_cast<float>(1.0 / (6.0 * static_cast<double>(x.height * x.width))));
    }
    return out;
  }

 private:
  static float reciprocal(float scale, double six) { return static_cast<float>(1.0 / (six * scale)); }

  static Tensor scaled(Tensor x) {
    for (float& v : x.values) v *= 1.0f / 6.0f;
    return x;
  }

  static std::vector<float> code(const std::vector<float>& x, const lcnet::Int8Layer& next, double six) {
    std::vector<float> out;
    for (size_t c = 0; c < x.size(); ++c)
      out.push_back(lcnet::to_code(x[c], reciprocal(next.in_scale[c], six), next.in_zero[c]));
    return out;
  }
  static Tensor code(Tensor x, const lcnet::Int8Layer& next) {
    const size_t pixels = x.height * x.width;
    for (size_t i = 0; i < x.values.size(); ++i) {
      const size_t c = i / pixels;
      x.values[i] = lcnet::to_code(x.values[i], reciprocal(next.in_scale[c], 6), next.in_zero[c]);
    }
    return x;
  }

  // h6 of a conv: of each channel alone, or of all input channels where it has as many. The stem's codes keep their zero.
  Tensor conv(const Tensor& x, const lcnet::Int8Spatial& s, size_t stride, bool centered) const {
    const long K = static_cast<long>(s.kernel), pad = K / 2;
    Tensor out{s.channels, (x.height - 1) / stride + 1, (x.width - 1) / stride + 1, {}};
    for (size_t o = 0; o < s.channels; ++o) {
      std::vector<int32_t> sums;
      for (size_t y = 0; y < out.height; ++y)
        for (size_t i = 0; i < out.width; ++i) {
          int32_t sum = 0;
          for (size_t ci = 0; ci < s.in_chans; ++ci)
            for (long ky = 0; ky < K; ++ky)
              for (long kx = 0; kx < K; ++kx) {
                const long r = static_cast<long>(y * stride) + ky - pad, q = static_cast<long>(i * stride) + kx - pad;
                const size_t c = s.in_chans == 1 && s.kernel > 1 && centered ? o : ci;
                const bool inside = r >= 0 && q >= 0 && r < static_cast<long>(x.height) && q < static_cast<long>(x.width);
                const int zero = s.in_zero[c];
                const int v = inside ? static_cast<int>(x.at(c, static_cast<size_t>(r), static_cast<size_t>(q))) : zero;
                sum += s.w[((o * s.in_chans + ci) * s.kernel + static_cast<size_t>(ky)) * s.kernel + static_cast<size_t>(kx)] *
                       (centered ? v - zero : v);
              }
          sums.push_back(sum);
        }
      if (fits) fit_channel(sums, const_cast<float&>(s.scale[o]), const_cast<float&>(s.b[o]));
      for (int32_t sum : sums) out.values.push_back(lcnet::hswish6(lcnet::pre_activation(sum, s.scale[o], s.b[o])));
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

  static std::vector<float> dense(const std::vector<float>& codes, const lcnet::Int8Dense& d, bool activated) {
    std::vector<float> out;
    for (size_t o = 0; o < d.out; ++o) {
      int32_t sum = 0;
      for (size_t i = 0; i < d.in; ++i) sum += d.w[o * d.in + i] * (static_cast<int>(codes[i]) - d.in_zero[i]);
      const float pre = lcnet::pre_activation(sum, d.scale[o], d.b[o]);
      out.push_back(activated ? lcnet::hswish6(pre) : pre);
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
      for (size_t i = 0; i < h6.values.size(); ++i) h6.values[i] *= lcnet::hsigmoid6(gates[i / pixels]) * (1.0f / 6.0f);
    }
    return conv(code(h6, b.pointwise), {b.pointwise, b.pointwise.out, b.pointwise.in, 1}, 1, true);
  }
};
