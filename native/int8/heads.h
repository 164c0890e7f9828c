// As heads.h: head conv and classifier of several images at once, quantised.
#pragma once

#include "plan.h"
#include "runner.h"

namespace lcnet {

class Int8Heads {
 public:
  Int8Heads(const Int8Network& net, const Int8Plan& plan, float* arena) : net_(net), plan_(plan), arena_(arena) {}

  float* next() { return at(plan_.pooled, net_.head.in, images_); }
  void add(const Outputs& out);
  void flush();

 private:
  float* at(size_t offset, size_t floats, size_t image) const { return arena_ + offset + image * floats; }
  void dense(const Int8PackedDense& d, size_t from, size_t to, Activation act);

  const Int8Network& net_;
  const Int8Plan& plan_;
  float* arena_;
  Outputs outputs_[Int8Plan::kHeads];
  size_t images_ = 0;
};

}  // namespace lcnet
