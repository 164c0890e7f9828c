// A network as JavaScript describes it: numbers and addresses, in the order in which it is built. The layers' arrays are those of a
// model file, which is in this memory, and whose batch norms are folded in their places: it can be read once.
//
//   network   quantized, activation, gate, plain_head, stem_stride h w, mean_255, the stem, a list of blocks, a list of feature maps, a
//             list of pooled maps, head, classifier
//   block     stride h w, squeeze_excite, split, shortcut, depthwise, [reduce, expand], pointwise, [the second one]
//   layer     a kind, and then for none 0; out, in, kernel and the addresses of its arrays: of a normed one 5, of a plain one 2 of which
//             the second may be null, of a quantised one 5
//   list      how many, and these
#pragma once

#include <list>
#include <vector>

#include "../inference/int8/network.h"

namespace lcnet {

class Program {
 public:
  // eps: of the batch norms. slope: of the hard-sigmoids, whose layer gets what makes it 1/6.
  Program(const uint32_t* words, double eps, double slope) : at_(words), eps_(eps), slope_(slope) {}

  bool quantized() { return next(); }
  NetworkSource floats();
  Int8NetworkSource int8();

 private:
  enum Kind : uint32_t { none, normed, plain, whole };

  struct Layer {
    uint32_t kind = none, out = 0, in = 0, kernel = 0;
    float *w = nullptr, *b = nullptr;  // in float
    Int8Layer int8{};

    Dense dense() const { return {w, b, in, out}; }
    Spatial spatial() const { return {w, b, out, in, kernel}; }
    Int8Dense int8_dense() const { return {int8, in, out}; }
    Int8Spatial int8_spatial() const { return {int8, out, in, kernel}; }
  };

  uint32_t next() { return *at_++; }
  template <class T>
  T* array() {
    return reinterpret_cast<T*>(next());
  }
  Stride stride();
  std::vector<size_t> list();
  Layer layer();
  void fold_into(Layer& layer);
  void gates(Dense& reduce, Dense& expand);
  template <class Source>
  void begin(Source& source);
  template <class Source>
  void maps(Source& source);
  BlockSource float_block();
  Int8BlockSource int8_block();

  const uint32_t* at_;
  const double eps_, slope_;
  std::list<std::vector<float>> zeros_;  // biases that there are not
};

}  // namespace lcnet
