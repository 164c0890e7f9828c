// Head conv and classifier of several images at once: their weights, 5 MB of floats, are read once for all of them. Allocates
// nothing.
#pragma once

#include "plan.h"
#include "runner.h"

namespace lcnet {

class Heads {
 public:
  Heads(const Network& net, const Plan& plan, float* arena) : net_(net), plan_(plan), arena_(arena) {}

  // Where the pooled values of the next image go; they are in `add`'s hands from then on.
  float* next() { return at(plan_.pooled, net_.head.in, images_); }
  // Computes what is waiting as soon as there are Plan::kHeads.
  void add(const Outputs& out);
  // Computes what is waiting. To be called after the last image.
  void flush();

 private:
  float* at(size_t offset, size_t floats, size_t image) const { return arena_ + offset + image * floats; }
  // The results, an image a row, go to arena place `to`.
  void dense(const PackedDense& d, size_t from, size_t to, Activation act);

  const Network& net_;
  const Plan& plan_;
  float* arena_;
  Outputs outputs_[Plan::kHeads];
  size_t images_ = 0;
};

}  // namespace lcnet
