// Head conv and classifier of several images at once: their weights, 5 MB of floats, are read once for all of them. Allocates
// nothing.
#pragma once

#include <algorithm>

#include "plan.h"
#include "runner.h"

namespace lcnet {

template <class Network, class Plan>
class HeadsOf {
 public:
  HeadsOf(const Network& net, const Plan& plan, std::byte* arena) : net_(net), plan_(plan), arena_(arena) {}

  // Where the pooled values of the next image go; they are in `add`'s hands from then on.
  float* next() { return at(plan_.pooled, net_.pooled_size, images_); }
  // Computes what is waiting as soon as there are Plan::kHeads.
  void add(const Outputs& out) {
    outputs_[images_++] = out;
    if (images_ == Plan::kHeads) flush();
  }
  // Computes what is waiting. To be called after the last image.
  void flush();

 private:
  float* at(Place<float> place, size_t floats, size_t image) const { return place.in(arena_) + image * floats; }
  // The results, an image a row, go to `to`.
  template <class Layer>
  void dense(const Layer& d, Place<float> from, Place<float> to, Activation act);

  const Network& net_;
  const Plan& plan_;
  std::byte* arena_;
  Outputs outputs_[Plan::kHeads];
  size_t images_ = 0;
};

using Heads = HeadsOf<Network, Plan>;
template <>
template <>
void Heads::dense(const PackedDense& d, Place<float> from, Place<float> to, Activation act);

template <class Network, class Plan>
void HeadsOf<Network, Plan>::flush() {
  if (images_ == 0) return;
  const bool head = net_.head.out;
  const Place<float> embeddings = head ? plan_.embeddings : plan_.pooled;
  if (head) dense(net_.head, plan_.pooled, embeddings, net_.head_activation);
  if (std::any_of(outputs_, outputs_ + images_, [](const Outputs& out) { return out.logits; }))
    dense(net_.classifier, embeddings, plan_.all_logits, Activation::none);
  for (size_t i = 0; i < images_; ++i) {
    const float* embedding = at(embeddings, head ? net_.head.out : net_.pooled_size, i);
    const float* logits = at(plan_.all_logits, net_.classifier.out, i);
    if (float* out = outputs_[i].embedding) net_.copy_embedding(embedding, out, net_.embedding_scale());
    if (outputs_[i].logits) std::copy(logits, logits + net_.classes, outputs_[i].logits);
  }
  images_ = 0;
}

}  // namespace lcnet
