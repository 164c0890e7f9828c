#include "program.h"

#include <cmath>

#include "../fail.h"
#include "../inference/fold.h"

namespace lcnet {

Stride Program::stride() {
  const size_t h = next();
  return {h, next()};
}

std::vector<size_t> Program::list() {
  std::vector<size_t> values(next());
  for (size_t& value : values) value = next();
  return values;
}

static bool finite(const float* values, size_t n) {
  for (size_t i = 0; i < n; ++i)
    if (!(std::fabs(values[i]) <= __FLT_MAX__)) return false;
  return true;
}

void Program::fold_into(Layer& layer) {
  const size_t taps = size_t{layer.in} * layer.kernel * layer.kernel;
  const float* gamma = array<float>();
  float* beta = array<float>();
  const float *mean = array<float>(), *var = array<float>();
  fold({gamma, beta, mean, var, eps_}, layer.w, layer.out, taps, layer.w, beta);
  if (!finite(layer.w, layer.out * taps) || !finite(beta, layer.out))
    fail("a convolution overflows float32 with its batch norm folded in: the weights are damaged");
  layer.b = beta;
}

Program::Layer Program::layer() {
  Layer layer;
  layer.kind = next();
  if (layer.kind == none) return layer;
  layer.out = next(), layer.in = next(), layer.kernel = next();
  if (layer.kind == whole) {
    layer.int8.w = array<int8_t>(), layer.int8.scale = array<float>(), layer.int8.b = array<float>();
    layer.int8.in_scale = array<float>(), layer.int8.in_zero = array<uint8_t>();
    return layer;
  }
  layer.w = array<float>();
  if (layer.kind == normed)
    fold_into(layer);
  else if (!(layer.b = array<float>()))
    layer.b = zeros_.emplace_back(layer.out).data();
  return layer;
}

// slope * x is 1/6 of 6 * slope * x.
void Program::gates(Dense& reduce, Dense& expand) {
  reduce = layer().dense();
  const Layer last = layer();
  expand = last.dense();
  if (slope_ == 1.0 / 6.0) return;
  for (auto [values, n] : {std::pair{last.w, size_t{last.out} * last.in}, std::pair{last.b, size_t{last.out}}}) {
    for (size_t i = 0; i < n; ++i) values[i] = static_cast<float>(6 * slope_ * static_cast<double>(values[i]));
    if (!finite(values, n)) fail("a gate overflows float32 with the slope of its hard-sigmoid: the weights are damaged");
  }
}

BlockSource Program::float_block() {
  BlockSource b{};
  b.stride = stride();
  b.se = next();
  const bool split = next();
  b.shortcut = next();
  b.depthwise = layer().spatial();
  if (b.se) gates(b.reduce, b.expand);
  if (split) b.mid = layer().dense();
  b.pointwise = layer().dense();
  return b;
}

Int8BlockSource Program::int8_block() {
  Int8BlockSource b{};
  const uint32_t* const begin = at_;
  b.stride = stride();
  b.se = next();
  const bool split = next();
  b.shortcut = next();
  if (*at_ != whole) {
    at_ = begin;
    b.in_float = true;
    b.floats = float_block();
    b.stride = b.floats.stride, b.se = b.floats.se, b.reduce = b.floats.reduce, b.expand = b.floats.expand;
    b.depthwise.channels = b.floats.depthwise.channels, b.pointwise.out = b.floats.pointwise.out;
    return b;
  }
  b.depthwise = layer().int8_spatial();
  if (b.se) gates(b.reduce, b.expand);
  if (split) b.mid = layer().int8_dense();
  b.pointwise = layer().int8_dense();
  return b;
}

template <class Source>
void Program::begin(Source& source) {
  source.activation = next() ? Activation::relu : Activation::hswish6;
  source.gate = next() ? Activation::sigmoid : Activation::hsigmoid6;
  source.plain_head = next();
  source.stem_stride = stride();
}

template <class Source>
void Program::maps(Source& source) {
  source.feature_maps = list();
  source.pooled = list();
}

NetworkSource Program::floats() {
  NetworkSource source{};
  begin(source);
  next();  // no mean is needed
  source.stem = layer().spatial();
  for (size_t blocks = next(); blocks; --blocks) source.blocks.push_back(float_block());
  maps(source);
  source.head = layer().dense();
  source.classifier = layer().dense();
  return source;
}

Int8NetworkSource Program::int8() {
  Int8NetworkSource source{};
  begin(source);
  source.mean_255 = array<float>();
  source.stem = layer().int8_spatial();
  for (size_t blocks = next(); blocks; --blocks) source.blocks.push_back(int8_block());
  maps(source);
  const Layer head = layer(), classifier = layer();
  source.head = head.int8_dense(), source.classifier = classifier.int8_dense();
  source.float_head = head.dense(), source.float_classifier = classifier.dense();
  if (head.kind == whole) source.float_head.out = 0;
  if (classifier.kind == whole) source.float_classifier.out = 0;
  return source;
}

}  // namespace lcnet
